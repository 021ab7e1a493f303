"""What a metric is computed from: one document's answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vlm_confidence_tasks.types import Readout

# What a metric extracts from a sample: JSON types, since it travels between processes and files.
Value = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """The answers to one document, clean and perturbed, and the right answer.

    Attributes:
        image_id: Name of the image: the cluster of every interval.
        gold: The right answer, None where there is none (captions).
        labels: The closed set of answers, empty for an open question.
        positive: The label that precision and recall count as positive, or None.
        clean: The answer to the clean image.
        variants: The answers to its variants.
        upstream_clean: Upstream's own score of the clean text, if it was computed.

    Raises:
        ValueError: `gold` is not one of the `labels`, or an answer to a document with
            `gold` was not marked right or wrong.
    """

    image_id: str
    gold: str | None
    labels: tuple[str, ...]
    positive: str | None
    clean: Readout
    variants: tuple[Readout, ...]
    upstream_clean: float | None = None
    question_id: str = ""
    category: str = ""
    image_sha256: str = ""

    def __post_init__(self) -> None:
        """Check what every metric relies on."""
        if self.gold is None:
            return
        if self.labels and self.gold not in self.labels:
            raise ValueError(f"gold {self.gold!r} is not one of the labels {self.labels}")
        for readout in (self.clean, *self.variants):
            if readout.correct is None:
                raise ValueError(f"{readout.variant}: gold is {self.gold!r} but correct is None")

    @cached_property
    def perturbed(self) -> tuple[Readout, ...]:
        """The variants that pooled metrics count: not the controls, unless all are.

        Of variants with the same pixels the first one counts.
        """
        return _distinct([r for r in self.variants if not r.variant.control] or self.variants)

    @cached_property
    def paired_clean(self) -> tuple[Readout, ...]:
        """The clean answer, once for each answer in `perturbed`: what `_clean` metrics count.

        So both sides count the same documents with the same weights, and the difference of
        two means over all answers is the mean of the paired differences.
        """
        return (self.clean,) * len(self.perturbed)

    @cached_property
    def families(self) -> dict[str, tuple[Readout, ...]]:
        """The variants of each family, controls too; those with the same pixels once."""
        grouped: dict[str, list[Readout]] = {}
        for readout in self.variants:
            grouped.setdefault(readout.variant.family, []).append(readout)
        return {name: _distinct(readouts) for name, readouts in grouped.items()}


def _distinct(readouts: Iterable[Readout]) -> tuple[Readout, ...]:
    # One answer that is counted several times would look like several that agree. A
    # Readout without a digest (one made by hand) is like no other.
    first: dict[str | int, Readout] = {}
    for number, readout in enumerate(readouts):
        first.setdefault(readout.image_sha256 or number, readout)
    return tuple(first.values())
