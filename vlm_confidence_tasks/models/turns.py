"""The harness's requests as images and texts, grouped by images and processed ahead."""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, TypeVar

from lmms_eval.protocol import ChatMessages

Item = TypeVar("Item")
# The generation arguments that are read; the last is of tasks that LLaVA's own adapter answers too.
ARGUMENTS = frozenset(
    (
        *("max_new_tokens", "temperature", "do_sample", "top_p", "top_k", "num_beams"),
        *("num_return_sequences", "until", "image_aspect_ratio"),
    )
)


@dataclass(frozen=True, eq=False)
class Turn:
    """One request, and its index among the requests.

    Attributes:
        document: Index under which the task has the document.
        messages: The conversation, for a chat template.
    """

    index: int
    task: str
    document: int
    messages: Sequence[Mapping[str, Any]]
    images: tuple[Any, ...]
    arguments: Mapping[str, Any]


def chat_turn(index: int, request: Any, documents: Mapping[str, Any]) -> Turn:
    """Read a request of the harness's chat form; ValueError if it has videos or sounds."""
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


class Unprocessable(Exception):
    """A request whose prompt cannot be processed."""

    def __init__(self, turn: Turn, reason: Exception) -> None:
        """Keep the request, and what its processor raised."""
        super().__init__(str(reason))
        self.turn, self.reason = turn, reason


class ProcessedOnce:
    """An image processor that processes the first images that it is given, and returns these."""

    def __init__(self, processor: Any) -> None:
        """Wrap an image processor."""
        self._processor = processor
        self._result: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result of the first call."""
        if self._result is None:
            self._result = self._processor(*args, **kwargs)
        # Processors take entries out of what they get.
        result = copy.copy(self._result)
        result.data = dict(self._result.data)
        return result

    def __getattr__(self, name: str) -> Any:
        """Return the processor's own attribute."""
        return getattr(self._processor, name)
