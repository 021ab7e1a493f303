"""Tests of the report, on runs made up here in the harness's own layout."""
