"""Tiny random-weight checkpoints of the families that stock adapters run on a CPU."""

from .families import FAMILIES, Family, build

__all__ = ["FAMILIES", "Family", "build"]
