"""The records of an evaluation: tasks, requests and responses."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from PIL import Image

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.benchmarks import Benchmark, option_texts
from vlm_confidence_tasks.benchmarks.dataset import Documents
from vlm_confidence_tasks.errors import Place
from vlm_confidence_tasks.evaluation.settings import Settings
from vlm_confidence_tasks.probe import LabelStep, LogitSource, Reading, Served
from vlm_confidence_tasks.types import CLEAN, Question, Variant


class NeedProvider(Protocol):
    """Provides a need that a perturbation declares (`perturbations.needs`)."""

    @property
    def name(self) -> str:
        """Unique name of the provider and its version; part of cache keys."""

    def __call__(self, request: Request, image: Image.Image, source: LogitSource) -> object:
        """Return the value of the need for one clean image.

        It must be a deterministic function of the image, of the request's prompt and labels, and
        of the source's model. Called by image threads; for `gradient` while the engine is idle.
        """


class ObjectiveProvider(Protocol):
    """Provides the need `objective`, which depends on the answer to the clean image too."""

    @property
    def name(self) -> str:
        """As that of a `NeedProvider`."""

    def __call__(
        self, request: Request, image: Image.Image, source: LogitSource, clean: Response
    ) -> object:
        """Return the objective for one clean image; called while the engine is idle."""

    def summary(self) -> str | None:
        """Return the line to log at the end of a run, None if nothing was attacked."""


@dataclass(frozen=True, eq=False, slots=True)
class TaskSpec:
    """A task, as far as the evaluation needs it.

    Attributes:
        settings: What is asked and measured.
        indices: Number of request indices; those of second turns and controls come after them.
        providers: Providers of needs other than the clean answer, by need.
    """

    name: str
    benchmark: Benchmark
    documents: Documents
    settings: Settings
    max_failures: int
    indices: int
    until: tuple[str, ...]
    providers: Mapping[str, NeedProvider | ObjectiveProvider]


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """The images of a document as one variant shows them.

    Attributes:
        source: Digest of the stored images.
        max_side: Longest side in pixels to which they are resized first.
        providers: (need, name of its provider) pairs.
    """

    source: bytes
    max_side: int | None
    variant: Variant
    providers: tuple[tuple[str, str], ...] = ()

    @property
    def clean(self) -> ImageSpec:
        """The same images, untouched."""
        return replace(self, variant=CLEAN, providers=())


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Everything that a model's answer depends on: each key is generated once."""

    image: ImageSpec
    prompt: str
    generation: str
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Request:
    """One question about one variant of a document's images.

    Attributes:
        index: The doc_id under which adapters look the document up.
        first: For a second turn: the request of the first turn; else None.
        options: Texts to score after the prompt, one for each label; () for none.
        other: For a control: index of the document whose images are shown; else None.
    """

    task: TaskSpec
    index: int
    document: int
    question: Question
    key: RequestKey
    first: Request | None = None
    options: tuple[str, ...] = ()
    representations: bool = False
    other: int | None = None

    @property
    def variant(self) -> Variant:
        """How the images are shown."""
        return self.key.image.variant

    @property
    def opening(self) -> Request:
        """The first turn: `first`, or this request itself."""
        return self.first or self

    @property
    def clean(self) -> RequestKey:
        """The key of the same question on the untouched images."""
        key = self.opening.key
        return replace(key, image=key.image.clean)

    @property
    def place(self) -> Place:
        """The request's place, for errors."""
        turn = "" if self.first is None else ", second turn"
        images = "" if self.other is None else f", images of document {self.other}"
        shown = f"{self.variant}{turn}{images}"
        return Place(self.task.name, self.document, self.question.question_id, shown)


def make_request(
    task: TaskSpec,
    index: int,
    document: int,
    question: Question,
    variant: Variant,
    prompt: str,
    generation: Mapping[str, Any],
    measures: Collection[str],
) -> Request:
    """Build the request of one document and variant.

    It is asked under `index`, the doc_id under which adapters look it up. `measures` are what the
    engine can measure (`probe.LogitSource`).
    """
    needs = sorted(perturbations.needs_of(variant) & task.providers.keys())
    providers = tuple((need, task.providers[need].name) for need in needs)
    source = task.documents.digests()[document]
    image = ImageSpec(source, task.settings.max_side, variant, providers)
    # Interned: thousands of requests have the same arguments.
    arguments = sys.intern(json.dumps(generation, sort_keys=True))
    return Request(
        task,
        index,
        document,
        question,
        RequestKey(image, prompt, arguments, question.labels),
        options=option_texts(question) if task.settings.loglik else (),
        representations=task.settings.representations and "representations" in measures,
    )


@dataclass(frozen=True, slots=True)
class Generation:
    """The raw output of an engine for one request.

    Attributes:
        token_counts: Counts of tokens by name, None if the engine gave none.
        failure: The error message, if the engine returned one in place of an answer; else None.
        served: What the engine said of the answer beside its text.
    """

    text: str
    token_counts: Mapping[str, int | None] | None = None
    failure: str | None = None
    served: Served = Served()


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one request, fresh from the engine or from the cache.

    Attributes:
        text: Its text without a reasoning model's thinking.
        answer: The label parsed from `text`, None if there is none.
        reading: The measurements; None if the engine gives none.
        position: The reading's answer position; None if it is unknown.
    """

    generation: Generation
    text: str
    answer: str | None
    image_sha256: str
    reading: Reading | None
    position: LabelStep | None
