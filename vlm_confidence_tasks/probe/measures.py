"""What a logit source can measure."""

from __future__ import annotations

from typing import Literal

Capability = Literal["probabilities", "options", "representations"]

# What is said of an engine without probabilities.
NO_PROBABILITIES = (
    "accuracy and flips are measured; "
    "entropy, calibration and all else that needs probabilities is absent"
)
