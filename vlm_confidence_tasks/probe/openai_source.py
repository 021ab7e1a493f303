"""Log-probabilities of OpenAI-compatible servers, which come with each answer."""

import asyncio
import inspect
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

from loguru import logger

from vlm_confidence_tasks.errors import RequestError, one_line
from vlm_confidence_tasks.probe.backend import ProbeError
from vlm_confidence_tasks.probe.carrying import CarryingText, carried
from vlm_confidence_tasks.probe.description import NO_PROBABILITIES, Capability, Origin
from vlm_confidence_tasks.probe.labels import spellings
from vlm_confidence_tasks.probe.reading import Reading
from vlm_confidence_tasks.probe.rows import BatchRows
from vlm_confidence_tasks.probe.temporary import replaced
from vlm_confidence_tasks.probe.top_k import (
    ALL,
    USUAL_K,
    TopKStep,
    likeliest,
    read_top_k,
    wanted_top_k,
)

# A model's version in the user's words, since a server does not tell which weights it runs.
MODEL_VERSION = "VLM_CONFIDENCE_MODEL_VERSION"
# What is asked for when a server refuses more.
FEWER = (5, 1)
# HTTP statuses by which servers refuse a parameter.
REFUSALS = (400, 422)
# Adapters with an asynchronous client run an event loop a call, and a connection that outlives
# its loop fails in the next.
NOT_KEPT = {"extra_headers": {"Connection": "close"}}


class OpenAISource:
    """The likeliest tokens that a server returns with each answer.

    The size of the vocabulary is unknown unless the server returns all of it, so that
    entropies have no upper bound.
    """

    origin: Origin | None
    model: Any = None
    processor: Any = None

    def __init__(self, completions: Any, model: str, name: str) -> None:
        """Ask the server of a model once, without an image, how many tokens it returns.

        `completions` is the client's `chat.completions`, whose `create` may be asynchronous.

        Raises:
            ProbeError: The server cannot be reached, or refuses what is no parameter.
            ValueError: See `wanted_top_k`.
        """
        self._completions, self._model, self._name = completions, model, name
        waits = inspect.iscoroutinefunction(inspect.unwrap(completions.create))
        self._always: dict[str, Any] = NOT_KEPT if waits else {}
        version = os.environ.get(MODEL_VERSION)
        # As the revision, which is part of the key of every cached answer.
        self.origin = Origin(f"{_address(completions)} {model}", None, version or None)
        self._asked, self._vocabulary = self._negotiate()
        self.measures: frozenset[Capability] = frozenset({"probabilities"} if self._asked else ())

    def numerics(self) -> Mapping[str, Any]:
        """Return how many tokens are asked for."""
        return {"top_logprobs": self._asked.get("top_logprobs")}

    def _negotiate(self) -> tuple[dict[str, Any], int | None]:
        """Return the parameters that the server accepts and, if known, the vocabulary's size."""
        wanted = wanted_top_k() or USUAL_K
        why = "it sends none"
        for k in [wanted, *(k for k in (USUAL_K, *FEWER) if wanted == ALL or k < wanted)]:
            asked = {"logprobs": True, "top_logprobs": k}
            try:
                choice = self._ask(asked).choices[0]
            except Exception as error:
                if getattr(error, "status_code", None) not in REFUSALS:
                    raise ProbeError(
                        f"the server of {self._model} does not answer: {one_line(error)}; nothing "
                        "was scored: the same command starts again"
                    ) from error
                why = one_line(error)
                continue
            steps = _content(choice)
            found = len(steps[0].top_logprobs or ()) if steps else 0
            if found:
                return asked, _whole(steps[0]) if k == ALL else None
        logger.warning(f"{self._name}: no log-probabilities ({why}): {NO_PROBABILITIES}")
        return {}, None

    def _ask(self, asked: Mapping[str, Any]) -> Any:
        question = [{"role": "user", "content": "Answer with one word: is the sky blue?"}]
        answer = self._completions.create(
            model=self._model,
            messages=question,
            max_tokens=1,
            temperature=0,
            **self._always,
            **asked,
        )
        return asyncio.run(_awaited(answer)) if inspect.isawaitable(answer) else answer

    @contextmanager
    def reading(self, rows: BatchRows, representations: bool) -> Iterator[None]:
        """Ask for log-probabilities with every answer in the block, and carry them."""
        if self._asked and self._vocabulary is None:
            logger.warning(
                f"{self._name} returns the {self._asked['top_logprobs']} likeliest tokens at most: "
                "entropies have a lower bound (entropy_low) and no value"
            )
        with replaced(self._completions, "create", self._carrying()):
            yield

    def _carrying(self) -> Callable[..., Any]:
        create = self._completions.create

        def asked(payload: Mapping[str, Any]) -> dict[str, Any]:
            if not self._asked:
                return {**self._always, **payload}
            return {**self._always, **payload, "temperature": 0, **self._asked}

        @wraps(create)
        def carrying(**payload: Any) -> Any:
            answer = create(**asked(payload))
            return _carry_later(answer) if inspect.isawaitable(answer) else _carry(answer)

        return carrying

    def read(self, text: str, labels: Sequence[str]) -> Reading | None:
        """Read what came with a text; None from a server without log-probabilities.

        Raises:
            RequestError: The text is the adapter's own, or came without log-probabilities.
            ValueError: They are no part of a distribution.
        """
        choice = carried(text)
        if not self._asked:
            return None
        steps = read_steps(choice)
        if not steps:
            raise RequestError(
                "an answer came without log-probabilities, which the server sent before; nothing "
                "was scored"
            )
        return read_top_k(steps, spelled_tokens(labels), self._vocabulary)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, named as by `token_id`."""
        return b"".join(map(token_bytes, tokens)).decode("utf-8", errors="replace")


def token_id(data: bytes) -> int:
    """Return a number for a token that is known by its bytes alone, from which they can be told.

    >>> token_bytes(token_id(b" Yes"))
    b' Yes'
    """
    return int.from_bytes(b"\x01" + data, "big")


def token_bytes(token: int) -> bytes:
    """Return the bytes of a token, given its `token_id`."""
    return token.to_bytes((token.bit_length() + 7) // 8, "big")[1:]


def spelled_tokens(labels: Sequence[str]) -> list[list[int]]:
    """Return, for each label, the tokens that `probe.label_tokens` would look for.

    Whether the vocabulary has them is unknown: those that are not among the likeliest count as
    unseen.
    """
    return [sorted(token_id(text.encode()) for text in spellings(label)) for label in labels]


def read_steps(choice: Any) -> list[TopKStep]:
    """Return the steps of an answer before its end token; that itself if it came first."""
    content = _content(choice)
    length = _before_end([_bytes(at) for at in content], choice.message.content or "")
    return [
        TopKStep(
            token_id(_bytes(at)),
            float(at.logprob),
            likeliest(
                token_id(_bytes(at)),
                [(token_id(_bytes(other)), float(other.logprob)) for other in at.top_logprobs],
            ),
        )
        for at in content[: max(length, 1)]
    ]


def _before_end(tokens: Sequence[bytes], text: str) -> int:
    """Return how many tokens make the text: some servers list the token that ended it too.

    White space is ignored, which servers strip; where the tokens do not make the text, all are
    taken.
    """
    wanted, joined = b"".join(text.encode().split()), b""
    for length, token in enumerate(tokens):
        if joined == wanted and token.strip():
            return length
        joined += b"".join(token.split())
    return len(tokens)


def _content(choice: Any) -> list[Any]:
    return list(getattr(choice.logprobs, "content", None) or ())


def _bytes(token: Any) -> bytes:
    given = getattr(token, "bytes", None)
    return str(token.token).encode() if given is None else bytes(given)


def _whole(step: Any) -> int | None:
    """Return how many tokens a step lists, if these are the whole vocabulary."""
    total = math.fsum(math.exp(other.logprob) for other in step.top_logprobs)
    return len(step.top_logprobs) if abs(total - 1) < 1e-4 else None


def _carry(response: Any) -> Any:
    """Put a carrying text into a response."""
    choice = response.choices[0]
    if isinstance(choice.message.content, str):
        choice.message.content = CarryingText(choice.message.content, choice)
    return response


async def _carry_later(response: Any) -> Any:
    return _carry(await response)


async def _awaited(answer: Any) -> Any:
    return await answer


def _address(completions: Any) -> str:
    client = getattr(completions, "_client", None)
    return str(getattr(client, "base_url", None) or getattr(completions, "_base_url", None) or "")
