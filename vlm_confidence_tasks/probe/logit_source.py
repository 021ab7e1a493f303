"""Where the numbers behind an engine's answers come from: the seam to other engines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any, Literal, Protocol

from loguru import logger

from vlm_confidence_tasks.probe.backend import find_model, find_tokenizer
from vlm_confidence_tasks.probe.description import Origin, numerics, origin
from vlm_confidence_tasks.probe.generation import watched
from vlm_confidence_tasks.probe.hidden_states import InsideWatcher
from vlm_confidence_tasks.probe.labels import label_tokens
from vlm_confidence_tasks.probe.reading import Reading
from vlm_confidence_tasks.probe.rows import BatchRows
from vlm_confidence_tasks.probe.scoring import OptionScorer

Measure = Literal["probabilities", "options", "representations"]


class LogitSource(Protocol):
    """Gives the numbers behind the answers of one engine.

    Attributes:
        measures: What it can give. Where it is not empty, an answer without numbers is an
            error; where it is, there are none.
        origin: Where the model's weights came from, None if that cannot be told; the
            engine's answers are then not cached.
    """

    measures: frozenset[Measure]
    origin: Origin | None

    def numerics(self) -> Mapping[str, Any]:
        """Return what of the loaded model decides its numbers besides the weights' files."""

    def reading(self, rows: BatchRows, representations: bool) -> AbstractContextManager[None]:
        """Watch the engine in the block, where that is how numbers come.

        Args:
            rows: Says what to read of each batch, and takes the readings.
            representations: Whether hidden states are captured of any row.
        """

    def read(self, text: str, labels: Sequence[str]) -> Reading | None:
        """Read the numbers that an engine returned with an answer's text.

        Args:
            text: What the engine returned: a `str`, perhaps of a type that carries more.
            labels: The closed set of answers.

        Returns:
            None where numbers do not come in this way.
        """

    def decode(self, reading: Reading) -> str | None:
        """Return the text of a reading's tokens, None if it cannot be told."""


class TransformersSource:
    """Full distributions of a transformers model, watched while `generate()` runs."""

    measures: frozenset[Measure] = frozenset({"probabilities", "options", "representations"})

    def __init__(self, model: Any, tokenizer: Any) -> None:
        """Watch nothing yet.

        Args:
            model: A transformers model.
            tokenizer: Its tokenizer.
        """
        self._model, self._tokenizer = model, tokenizer
        self.origin: Origin | None = origin(model)
        self._tokens = lru_cache(maxsize=None)(lambda labels: label_tokens(tokenizer, labels))

    def numerics(self) -> Mapping[str, Any]:
        """Return dtypes, kinds of device, attention and quantisation."""
        return numerics(self._model)

    @contextmanager
    def reading(self, rows: BatchRows, representations: bool) -> Iterator[None]:
        """Watch every `generate()` of the model in the block."""
        scorer = OptionScorer(self._tokenizer, lambda: [row.options for row in rows.rows()])
        watcher = (
            InsideWatcher(self._model, lambda: any(row.representations for row in rows.rows()))
            if representations
            else None
        )
        with watched(
            self._model,
            lambda: [self._tokens(row.labels) for row in rows.rows()],
            rows.deliver,
            rows.fail,
            scorer,
            watcher,
        ):
            yield

    def read(self, text: str, labels: Sequence[str]) -> None:
        """Return None: readings come from watching alone."""

    def decode(self, reading: Reading) -> str:
        """Return the text of a reading's tokens, without special ones."""
        return str(self._tokenizer.decode(reading.tokens, skip_special_tokens=True))


class NoLogits:
    """An engine that gives text alone."""

    measures: frozenset[Measure] = frozenset()
    origin: Origin | None = None

    def __init__(self, name: str) -> None:
        """Remember the engine's name for the warning."""
        self._name = name

    def numerics(self) -> Mapping[str, Any]:
        """Return nothing."""
        return {}

    def reading(self, rows: BatchRows, representations: bool) -> AbstractContextManager[None]:
        """Warn that numbers will be absent."""
        logger.warning(
            f"{self._name} gives no logits: accuracy and flips are measured; "
            "entropy, calibration and all else that needs probabilities is absent"
        )
        return nullcontext()

    def read(self, text: str, labels: Sequence[str]) -> None:
        """Return None."""

    def decode(self, reading: Reading) -> None:
        """Return None."""


def find_source(adapter: Any) -> LogitSource:
    """Return the source of an adapter's numbers.

    It is the adapter's own `logit_source`, if it has one; that of the transformers model in
    it; or none.

    Raises:
        ProbeError: There is a model, but no tokenizer.
    """
    own: LogitSource | None = getattr(adapter, "logit_source", None)
    if own is not None:
        return own
    model = find_model(adapter)
    if model is None:
        return NoLogits(type(adapter).__name__)
    return TransformersSource(model, find_tokenizer(adapter))
