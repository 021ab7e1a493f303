"""The logit source of an adapter that decodes on its own where it can."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vlm_confidence_tasks import probe


class SharedPrefixSource(probe.TransformersSource):
    """Full distributions of a transformers model, whether generate() or the adapter decodes.

    Attributes:
        rows: The evaluation's rows while it measures: the adapter asks them what to measure in
            the answers that it decodes itself, and hands their readings over. None outside of an
            evaluation.
    """

    rows: probe.BatchRows | None = None

    @contextmanager
    def reading(self, rows: probe.BatchRows, representations: bool) -> Iterator[None]:
        """Measure every `generate()` of the model in the block."""
        self.rows = rows
        try:
            with super().reading(_Forwarded(self), representations):
                yield
        finally:
            self.rows = None

    @contextmanager
    def aside(self, rows: Sequence[probe.Row]) -> Iterator[list[probe.Reading]]:
        """Keep the readings of generate() in the block from the evaluation, in the list it yields.

        `rows` tell what to measure in each of its calls.
        """
        before, kept = self.rows, _Kept(rows)
        self.rows = kept
        try:
            yield kept.readings
        finally:
            self.rows = before


class _Forwarded:
    """The rows that a source has at the time."""

    def __init__(self, source: SharedPrefixSource) -> None:
        self._source = source

    def rows(self) -> Sequence[probe.Row]:
        return self._now.rows()

    def deliver(self, readings: Sequence[probe.Reading]) -> None:
        self._now.deliver(readings)

    def fail(self, error: BaseException) -> None:
        self._now.fail(error)

    @property
    def _now(self) -> probe.BatchRows:
        assert self._source.rows is not None
        return self._source.rows


class _Kept:
    """Rows that one call of generate() after the other answers."""

    def __init__(self, rows: Sequence[probe.Row]) -> None:
        self._rows = rows
        self.readings: list[probe.Reading] = []

    def rows(self) -> Sequence[probe.Row]:
        return self._rows[len(self.readings) : len(self.readings) + 1]

    def deliver(self, readings: Sequence[probe.Reading]) -> None:
        self.readings.extend(readings)

    def fail(self, error: BaseException) -> None:
        """Do nothing: the caller gets the exception."""
