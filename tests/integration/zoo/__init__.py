"""Tiny random-weight checkpoints of the families that stock adapters run on a CPU."""

from .families import CANNOT, FAMILIES, Family, build

__all__ = ["CANNOT", "FAMILIES", "Family", "build"]
