"""Measures as pure functions of arrays, a family a file; they know nothing of samples.

A measure that is undefined on its input is None, never 0.
"""
