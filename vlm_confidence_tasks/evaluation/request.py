"""The records that travel through an evaluation: tasks, requests and responses."""

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
from vlm_confidence_tasks.perturbations import Given
from vlm_confidence_tasks.probe import LogitSource, Reading
from vlm_confidence_tasks.types import CLEAN, Question, Variant


class NeedProvider(Protocol):
    """Gives what a perturbation declares that it needs (`perturbations.needs`).

    Attributes:
        name: Tells it from every other provider, version included; enters keys.
    """

    name: str

    def __call__(self, request: Request, image: Image.Image, source: LogitSource) -> Given:
        """Return what the perturbation of one clean image gets; called by image threads."""


@dataclass(frozen=True, eq=False, slots=True)
class TaskSpec:
    """What an evaluation needs to know of a task.

    Attributes:
        name: The task's name.
        benchmark: Scores the answers.
        documents: Holds the stored images.
        max_side: Longest side in pixels that images are resized to first; None: as stored.
        verbal: The person of the follow-up that asks for the model's certainty; None: no
            follow-up.
        loglik: Whether the options' texts are scored after the prompt.
        representations: Whether hidden states are measured.
        max_failures: How many documents may fail in one process.
        indices: How many request indices the task has; those of follow-ups come after them.
        until: Texts at which an answer is cut.
        providers: What perturbations need beside the clean answer, by need.
    """

    name: str
    benchmark: Benchmark
    documents: Documents
    max_side: int | None
    verbal: str | None
    loglik: bool
    representations: bool
    max_failures: int
    indices: int
    until: tuple[str, ...]
    providers: Mapping[str, NeedProvider]


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """The images of a document as one variant shows them.

    Attributes:
        source: Digest of the stored images.
        max_side: Longest side in pixels that they are resized to first.
        variant: The perturbation.
        providers: (need, name of the provider) of each need that a provider satisfies.
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
    """All that decides an answer of a given model: requests of one key are answered once."""

    image: ImageSpec
    prompt: str
    generation: str
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Request:
    """One question about one variant of a document's images.

    Attributes:
        task: Whose request it is.
        index: By which adapters look the document up.
        document: Index of the document.
        question: The document's question.
        key: What decides the answer.
        first: The request whose answer this one, a follow-up, asks about; else None.
        options: Texts to score after the prompt, one for each label; () for none.
        representations: Whether hidden states are captured.
    """

    task: TaskSpec
    index: int
    document: int
    question: Question
    key: RequestKey
    first: Request | None = None
    options: tuple[str, ...] = ()
    representations: bool = False

    @property
    def variant(self) -> Variant:
        """How the images are shown."""
        return self.key.image.variant

    @property
    def opening(self) -> Request:
        """The first turn: this request, or the one that it follows."""
        return self.first or self

    @property
    def clean(self) -> RequestKey:
        """The key of the same question on the untouched images."""
        key = self.opening.key
        return replace(key, image=key.image.clean)

    @property
    def place(self) -> Place:
        """Where an error about it happened."""
        turn = "" if self.first is None else ", second turn"
        question_id = self.question.question_id
        return Place(self.task.name, self.document, question_id, f"{self.variant}{turn}")


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

    Args:
        task: The task.
        index: By which adapters look the document up.
        document: Index of the document.
        question: Its question.
        variant: How its images are shown.
        prompt: The text put to the model.
        generation: Generation arguments.
        measures: What the engine can give (`probe.LogitSource`).
    """
    needs = sorted(perturbations.needs_of(variant) & task.providers.keys())
    providers = tuple((need, task.providers[need].name) for need in needs)
    source = task.documents.digests()[document]
    image = ImageSpec(source, task.max_side, variant, providers)
    # Interned: thousands of requests have the same arguments.
    arguments = sys.intern(json.dumps(generation, sort_keys=True))
    return Request(
        task,
        index,
        document,
        question,
        RequestKey(image, prompt, arguments, question.labels),
        options=option_texts(question) if task.loglik else (),
        representations=task.representations and "representations" in measures,
    )


@dataclass(frozen=True, slots=True)
class Generation:
    """What an engine returned for one request, before anything is read from it.

    Attributes:
        text: The answer as the engine returned it.
        token_counts: Counts of tokens by name, None if the engine gave none.
        failure: Why the engine has no answer, where it says so in the text; else None.
    """

    text: str
    token_counts: Mapping[str, int | None] | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one request, fresh from the engine or from the cache.

    Attributes:
        generation: What the engine returned.
        text: Its text without a reasoning model's thinking.
        answer: The label read from `text`, None if none could be read.
        image_sha256: Digest of the images that were shown.
        reading: The numbers behind the answer; None if the engine gives none.
    """

    generation: Generation
    text: str
    answer: str | None
    image_sha256: str
    reading: Reading | None
