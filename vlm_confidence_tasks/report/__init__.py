"""Samples files -> tables and figures. Knows neither the harness nor torch."""
