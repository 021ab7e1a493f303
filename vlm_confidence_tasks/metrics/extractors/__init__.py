"""From one sample to the value that a metric needs of it.

`generated_answers`, `verbal_confidence`, `option_loglik` and `representation_shift` give
numbers of single answers; `values` joins these into one value a sample.
"""
