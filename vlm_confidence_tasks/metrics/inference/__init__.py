"""How far a number may be off: intervals and tests in which an image is one observation.

Answers about one image are not independent, so every interval and test here takes the image
as its unit. Which method serves which kind of number was decided by measured coverage:
`scripts/studies/coverage.py`, `docs/studies/coverage.md`.
"""
