"""What is fuzzed, one file for each kind of input.

Such a file has `INPUTS`, the strategies of hypothesis that make up the arguments of `check`, and
`check`, which raises unless they give an answer or one of the errors that are promised.
"""
