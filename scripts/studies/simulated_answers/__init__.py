"""One repeat of every kind of interval and test, on simulated answers with a known truth."""

from __future__ import annotations

from simulated_answers import confidence, means, others, trust, uneven
from simulated_answers.design import Cell, Kind, cells, simulated

KINDS: dict[str, Kind] = means.KINDS | confidence.KINDS | others.KINDS | trust.KINDS | uneven.KINDS

__all__ = ["KINDS", "Cell", "Kind", "cells", "simulated"]
