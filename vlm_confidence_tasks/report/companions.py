"""Which numbers are not to be read alone: an ECE without its floor, a p-value among others."""

from __future__ import annotations

_KINDS = ("", "verbal_", "loglik_")
_SIDES = ("", "_clean")

# From each ECE to the metric that it is to be held against.
FLOORS = {f"{kind}ece{side}": f"{kind}ece_floor{side}" for kind in _KINDS for side in _SIDES}
P_VALUES = frozenset(
    (
        "entropy_delta_p",
        "entropy_delta_wilcoxon_p",
        *(f"{kind}ece_p{side}" for kind in _KINDS for side in _SIDES),
    )
)
# How the 95% intervals are made, in words.
INTERVALS = (
    "rates by Korn and Graubard, means by a studentized bootstrap, calibration errors by "
    "inverting a test, all others by the jackknife"
)
