"""Logit sources: how entropies and probabilities are read from an inference engine."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from loguru import logger

from vlm_confidence_tasks.probe.backend import find_model, find_processor, find_tokenizer
from vlm_confidence_tasks.probe.carrying import Served
from vlm_confidence_tasks.probe.description import (
    NO_PROBABILITIES,
    Capability,
    Origin,
    numerics,
    origin,
)
from vlm_confidence_tasks.probe.generation import watched
from vlm_confidence_tasks.probe.labels import label_tokens
from vlm_confidence_tasks.probe.openai_source import OpenAISource
from vlm_confidence_tasks.probe.reading import Reading
from vlm_confidence_tasks.probe.rows import BatchRows
from vlm_confidence_tasks.probe.structure import find_structure
from vlm_confidence_tasks.probe.vllm_source import VllmSource


class LogitSource(Protocol):
    """Gives a `Reading` for each answer of one engine; as it stands, an engine of text only.

    Attributes:
        measures: What it can measure. If it is not empty, an answer without a reading is an
            error; if it is empty, no answer has a reading.
        origin: Where the model's weights came from; None if unknown, and the engine's answers
            are then not cached.
        model: The transformers model, for perturbations that differentiate it; else None.
        processor: The model's processor of images and texts; else None.
    """

    measures: frozenset[Capability] = frozenset()
    origin: Origin | None = None
    model: Any = None
    processor: Any = None

    def numerics(self) -> Mapping[str, Any]:
        """Return what affects the model's outputs besides its weights (dtype, kernels)."""
        return {}

    def reading(self, rows: BatchRows, representations: bool) -> AbstractContextManager[None]:
        """Measure the engine in the block, if readings are taken while it generates.

        `rows` gives what to measure in each batch and receives the readings; `representations`
        tells whether hidden states are captured for any row.
        """

    def read(self, text: str, labels: Sequence[str]) -> Reading | None:
        """Read the log-probabilities that an engine returned with an answer's text.

        The text is a `str`, or a subclass that carries them. None if readings are not obtained in
        this way.
        """
        return None

    def served(self, text: str) -> Served:
        """Return what an engine said of an answer beside its text, which carries it."""
        return Served()

    def decode(self, tokens: Sequence[int]) -> str | None:
        """Return the text of generated token ids, None if it is unknown."""
        return None


class TransformersSource(LogitSource):
    """Full distributions of a transformers model, read while `generate()` runs."""

    measures = frozenset({"probabilities", "options", "representations"})

    def __init__(self, model: Any, tokenizer: Any, processor: Any = None) -> None:
        """Prepare; the model is wrapped in `reading` only, and attacked only with a processor."""
        self.model, self.tokenizer, self.processor = model, tokenizer, processor
        self.origin = origin(model)

    def numerics(self) -> Mapping[str, Any]:
        """Return dtypes, device types, attention kernel and quantisation."""
        return numerics(self.model)

    @contextmanager
    def reading(self, rows: BatchRows, representations: bool) -> Iterator[None]:
        """Measure every `generate()` of the model in the block."""
        structure = find_structure(self.model) if representations else None
        with watched(self.model, self.tokenizer, rows, structure):
            yield

    def label_tokens(self, labels: tuple[str, ...]) -> Sequence[Sequence[int]]:
        """Return the token ids of each label."""
        return label_tokens(self.tokenizer, labels)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of token ids, without special ones."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))


class NoLogits(LogitSource):
    """An engine that returns text only."""

    def __init__(self, name: str) -> None:
        """Store the engine's name for the warning."""
        self._name = name

    def reading(self, rows: BatchRows, representations: bool) -> AbstractContextManager[None]:
        """Warn that measures will be absent."""
        logger.warning(f"{self._name} gives no logits: {NO_PROBABILITIES}")
        return nullcontext()


def find_source(adapter: Any) -> LogitSource:
    """Return an adapter's logit source.

    The adapter's own `logit_source` if it has one, else a `TransformersSource` if it holds a
    transformers model, else that of its client: a `VllmSource` for vLLM's, an `OpenAISource` for
    one of OpenAI-compatible servers, else `NoLogits`.

    Raises:
        ProbeError: There is a model, but no tokenizer; or see the sources.
    """
    own: LogitSource | None = getattr(adapter, "logit_source", None)
    if own is not None:
        return own
    model = find_model(adapter)
    if model is None:
        return _source_of_client(adapter)
    return TransformersSource(model, find_tokenizer(adapter), find_processor(adapter))


def _source_of_client(adapter: Any) -> LogitSource:
    name, client = type(adapter).__name__, getattr(adapter, "client", None)
    if hasattr(client, "llm_engine"):
        return VllmSource(client, name)
    completions = getattr(getattr(client, "chat", None), "completions", None)
    model = getattr(adapter, "model_version", None)
    if hasattr(completions, "create") and model is not None:
        return OpenAISource(completions, str(model), name)
    return NoLogits(name)
