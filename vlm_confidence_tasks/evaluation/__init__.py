"""The evaluation engine: schedules, caches, retries and measures requests to a model.

Imports neither lmms-eval nor torch: an `Engine` answers requests, and its `LogitSource` gives
the readings of the answers.
"""
