"""Verdicts on the sources' claims: docs/claims.md says which test decides each."""
