"""The harness's requests as images and texts, grouped by the images that they show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, TypeVar

from lmms_eval.protocol import ChatMessages

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Turn:
    """One request, and its index among the requests.

    Attributes:
        document: Index under which the task has the document.
        messages: The conversation, for a chat template.
        images: Its images, in their order.
        arguments: Generation arguments.
    """

    index: int
    task: str
    document: int
    messages: Sequence[Mapping[str, Any]]
    images: tuple[Any, ...]
    arguments: Mapping[str, Any]


def chat_turn(index: int, request: Any, documents: Mapping[str, Any]) -> Turn:
    """Read a request of the harness's chat form.

    Raises:
        ValueError: It has videos or sounds.
    """
    _, doc_to_messages, arguments, doc_id, task, split = request.args
    messages = ChatMessages(messages=doc_to_messages(documents[task][split][doc_id]))
    images, videos, audios = messages.extract_media()
    if videos or audios:
        raise ValueError(f"task {task} has videos or sounds: hf_multimodal takes images only")
    dumped = messages.model_dump()["messages"]
    return Turn(index, task, doc_id, dumped, tuple(images), arguments)


def simple_turn(index: int, request: Any, documents: Mapping[str, Any]) -> Turn:
    """Read a request of the harness's simple form: images before the text."""
    context, arguments, doc_to_visual, doc_id, task, split = request.args
    images = tuple(doc_to_visual(documents[task][split][doc_id]))
    content = [*({"type": "image"} for _ in images), {"type": "text", "text": context}]
    return Turn(index, task, doc_id, [{"role": "user", "content": content}], images, arguments)


def about_the_same_images(turns: Iterable[Turn]) -> Iterator[list[Turn]]:
    """Yield runs of consecutive requests that show the same images and generate alike."""

    def shown(turn: Turn) -> tuple[Any, ...]:
        # By identity: an evaluation makes each image once.
        return turn.task, repr(turn.arguments), *map(id, turn.images)

    for _, run in groupby(turns, key=shown):
        yield list(run)


def made_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield items, each made in a thread while the one before it is used."""

    def take() -> list[Item]:
        # The next item, or none: a list tells the end from any item.
        return list(islice(items, 1))

    with ThreadPoolExecutor(1, thread_name_prefix="vlm-confidence-prompts") as pool:
        following = pool.submit(take)
        while found := following.result():
            following = pool.submit(take)
            yield from found
