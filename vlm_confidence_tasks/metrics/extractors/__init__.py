"""From one sample to what a metric keeps of it.

`generated_answers`, `verbal_confidence`, `option_loglik` and `representation_shift` give
numbers of single answers; `values` joins these into the record of a sample.
"""
