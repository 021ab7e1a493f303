"""What is asked of a model, in which order, cached, retried and measured.

Knows neither lmms-eval nor torch: an `Engine` answers requests, its `LogitSource` gives the
numbers behind the answers.
"""
