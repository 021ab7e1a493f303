"""What has to be asked: each thing once, in blocks of a few images."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from lmms_eval.api.instance import Instance

from vlm_confidence_tasks.benchmarks import option_texts
from vlm_confidence_tasks.harness.task import PerturbedTask
from vlm_confidence_tasks.types import CLEAN, Question, Variant

# Perturbed images that a block may hold at once; with the block after it, which is
# being prepared, about 300 MB at 1024 x 768.
BLOCK_IMAGES = 64
# What a kill or a signal can cost is a call: on large models a minute or two of this many.
MOST_OF_A_CALL = 96


@dataclass(frozen=True, slots=True)
class Shown:
    """An image set as it is shown: what a perturbed picture is a function of."""

    source: bytes
    max_side: int | None
    variant: Variant


@dataclass(frozen=True, slots=True)
class Key:
    """All that decides an answer on a given model. Equal keys are asked once."""

    shown: Shown
    prompt: str
    generation: str
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Ask:
    """One thing to ask, by the first request that asks it.

    Attributes:
        task: Whose request it is.
        index: By which adapters look its document up.
        document: Index of the document itself.
        request: As the adapter gets it.
        key: What decides the answer.
        first: The ask whose answer this one, a second turn, is about; else None.
        options: Texts that are to be scored after the prompt, one for each label, or ().
        inside: Whether the model's inside is captured.
    """

    task: PerturbedTask
    index: int
    document: int
    request: Instance
    key: Key
    first: Ask | None = None
    options: tuple[str, ...] = ()
    inside: bool = False

    @property
    def question(self) -> Question:
        """The question behind it."""
        return self.task.question(self.document)

    @property
    def variant(self) -> Variant:
        """How the images are shown."""
        return self.key.shown.variant

    @property
    def opening(self) -> Ask:
        """The first turn: this ask, or the one that it follows."""
        return self.first or self

    @property
    def clean(self) -> Key:
        """The key of the same question on the untouched images."""
        key = self.opening.key
        return replace(key, shown=replace(key.shown, variant=CLEAN))


def make_ask(task: PerturbedTask, request: Instance, chat: bool) -> Ask:
    """Work out what a request asks."""
    prompt = request.args[0]
    generation = request.args[2 if chat else 1]
    index = request.args[3]
    document, variant = task.locate(index)
    shown = Shown(task.documents.digests()[document], task.plan.max_side, variant)
    question = task.question(document)
    # Interned: thousands of requests have the same arguments.
    arguments = sys.intern(json.dumps(generation, sort_keys=True))
    key = Key(shown, prompt, arguments, question.labels)
    options = option_texts(question) if task.plan.loglik else ()
    inside = task.plan.representations
    return Ask(task, index, document, request, key, options=options, inside=inside)


def distinct(asks: Iterable[Ask]) -> list[Ask]:
    """Keep the first ask of each key, or the first that scores options; keys in order.

    Its inside is captured if any ask of its key wants that.
    """
    kept: dict[Key, Ask] = {}
    inside = set()
    for ask in asks:
        if not kept.setdefault(ask.key, ask).options:
            kept[ask.key] = ask if ask.options else kept[ask.key]
        if ask.inside:
            inside.add(ask.key)
    return [
        replace(ask, inside=True) if key in inside and not ask.inside else ask
        for key, ask in kept.items()
    ]


def blocks(asks: Sequence[Ask], limit: int = BLOCK_IMAGES) -> Iterator[list[Ask]]:
    """Cut the asks into blocks of whole images, in order of first appearance.

    All that is asked about an image stands in one block, so that its variants can
    depend on its clean answers and its pixels are made once. A block takes images until
    it shows `limit` pictures; a single image is never split.
    """
    by_image: dict[bytes, list[Ask]] = {}
    for ask in asks:
        by_image.setdefault(ask.key.shown.source, []).append(ask)
    block: list[Ask] = []
    pictures = 0
    for group in by_image.values():
        count = len({ask.key.shown for ask in group})
        if block and pictures + count > limit:
            yield block
            block, pictures = [], 0
        block.extend(group)
        pictures += count
    if block:
        yield block


def calls(asks: Sequence[Ask], batch_size: int = 1) -> Iterator[list[Ask]]:
    """Split asks into calls of the adapter: clean before variants, one task at a time.

    Adapters take the task of a batch's first request for all of the batch. A call's answers
    are kept when it is over: it is of whole batches, and of about a hundred asks at most.
    """
    most = batch_size * math.ceil(MOST_OF_A_CALL / batch_size)

    def order(ask: Ask) -> tuple[Any, ...]:
        return (ask.variant != CLEAN, ask.task.task_name)

    for _, together in groupby(sorted(asks, key=order), key=order):
        left = list(together)
        for start in range(0, len(left), most):
            yield left[start : start + most]
