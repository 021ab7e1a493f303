"""Log-probabilities of OpenAI-compatible servers, which come with each answer."""

import asyncio
import inspect
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

from loguru import logger

from vlm_confidence_tasks.errors import RequestError, one_line
from vlm_confidence_tasks.probe.backend import ProbeError
from vlm_confidence_tasks.probe.carrying import CarryingText, Served, carried, escaped
from vlm_confidence_tasks.probe.description import NO_PROBABILITIES, Capability, Origin
from vlm_confidence_tasks.probe.reading import Reading
from vlm_confidence_tasks.probe.rows import BatchRows
from vlm_confidence_tasks.probe.served_tokens import spelled_tokens, token_bytes, token_id
from vlm_confidence_tasks.probe.temporary import replaced
from vlm_confidence_tasks.probe.top_k import (
    ALL,
    ROUNDING,
    USUAL_K,
    TopKStep,
    read_top_k,
    served_step,
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
# How servers say why an answer ended, besides at its own end.
CUT_OFF = ("length", "max_tokens", "model_length")
FILTERED = ("content_filter", "safety")
BROKEN_OFF = ("abort", "error", "insufficient_system_resource")
# What a name may have behind that of the model: the date or number of a version.
_VERSION = re.compile(r"([-@:]v?\d{3}[\d.-]*|-latest)?")
# What stands in served tokens for bytes that are no character alone, or for white space.
_MARKS = re.compile(r"\ufffd|[\u0120\u010a\u2581]|<0x[0-9A-Fa-f]{2}>|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}")


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
            RequestError: The text is the adapter's own, or came without log-probabilities or with
                those of another one.
            ValueError: They are no part of a distribution.
        """
        choice = carried(text).choices[0]
        if not self._asked:
            return None
        steps = read_steps(choice)
        if not steps:
            served = self.served(text)
            if served.refused or served.filtered or (served.truncated and not text.strip()):
                return None
            raise RequestError(
                "an answer came without log-probabilities, which the server sent before; nothing "
                "was scored"
            )
        return read_top_k(steps, spelled_tokens(steps, labels), self._vocabulary)

    def served(self, text: str) -> Served:
        """Return what the server said of an answer.

        Raises:
            RequestError: It broke the answer off.
        """
        if not isinstance(text, CarryingText):
            return Served()
        choice, name = text.carried.choices[0], getattr(text.carried, "model", None)
        reason = _reason(choice)
        if reason in BROKEN_OFF:
            raise RequestError(
                f"the server broke an answer off (finish_reason {reason}); nothing was scored"
            )
        other = name if isinstance(name, str) and not same_model(self._model, name) else None
        return Served(
            truncated=reason in CUT_OFF,
            filtered=reason in FILTERED,
            refused=bool(getattr(choice.message, "refusal", None)),
            other_model=None if other is None else escaped(other),
        )

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, named as by `token_id`."""
        return b"".join(map(token_bytes, tokens)).decode("utf-8", errors="replace")


def same_model(asked: str, served: str) -> bool:
    """Whether a server's name of the model that answered may be that of the one that was asked.

    Servers leave a provider's prefix out, and add a version.

    >>> same_model("gpt-4o", "gpt-4o-2024-08-06"), same_model("gpt-4o", "gpt-4o-mini")
    (True, False)
    """
    names = [name.rstrip("/").rsplit("/", 1)[-1].casefold() for name in (asked, served)]
    short, long = sorted((name.removesuffix("-latest") for name in names), key=len)
    begins = long.startswith(short) and _VERSION.fullmatch(long, len(short))
    return not served or bool(begins)


def read_steps(choice: Any) -> list[TopKStep]:
    """Return the steps of an answer before its end token; that itself if it came first.

    Raises:
        RequestError: They are of another text, or contradict each other.
    """
    content, text = _content(choice), choice.message.content or ""
    tokens = [_bytes(at) for at in content]
    if content and not _holds(b"".join(tokens).decode("utf-8", "replace"), escaped(text)):
        raise RequestError(
            "the log-probabilities of an answer are of tokens that do not make its text; nothing "
            "was scored: ask another server or version"
        )
    cut_off = _reason(choice) in CUT_OFF
    length = len(tokens) if cut_off else _before_end(tokens, text)
    return [
        served_step(
            token_id(token),
            float(at.logprob),
            [
                (token_id(token if _same_name(at, other) else _bytes(other)), float(other.logprob))
                for other in at.top_logprobs
            ],
        )
        for at, token in zip(content[: max(length, 1)], tokens, strict=False)
    ]


def _holds(generated: str, text: str) -> bool:
    """Whether tokens make a text, of which servers may leave a part out, such as the thinking.

    White space is ignored; where the tokens have marks in place of characters, all characters but
    ASCII are.
    """
    generated, text = "".join(generated.split()), "".join(text.split())
    if text in generated:
        return True
    plain = _MARKS.sub("", generated)
    return plain != generated and _ascii(text) in _ascii(plain)


def _ascii(text: str) -> str:
    return _MARKS.sub("", text).encode("ascii", "ignore").decode()


def _before_end(tokens: Sequence[bytes], text: str) -> int:
    """Return how many tokens make the text: some servers list the token that ended it too.

    It may have a name, or be empty. White space is ignored, which servers strip; where the tokens
    do not make the text, all are taken.
    """
    wanted, joined = b"".join(escaped(text).encode().split()), b""
    for length, token in enumerate(tokens):
        if joined == wanted and (token.strip() or not token):
            return length
        joined += b"".join(token.split())
    return len(tokens)


def _reason(choice: Any) -> str:
    """Return why an answer ended, in the server's words."""
    return str(getattr(choice, "finish_reason", None)).lower()


def _content(choice: Any) -> list[Any]:
    return list(getattr(choice.logprobs, "content", None) or ())


def _bytes(token: Any) -> bytes:
    given = getattr(token, "bytes", None)
    if given is not None:
        return bytes(given)
    # The token that ends an answer may have no name.
    return b"" if token.token is None else escaped(str(token.token)).encode()


def _same_name(token: Any, other: Any) -> bool:
    """Whether a listed token, of which the bytes are not given, is the chosen one."""
    return getattr(other, "bytes", None) is None and bool(other.token == token.token)


def _whole(step: Any) -> int | None:
    """Return how many tokens a step lists, if these are the whole vocabulary."""
    # Of a number that is none, such as 800, no exponential exists.
    total = math.fsum(math.exp(min(other.logprob, 1.0)) for other in step.top_logprobs)
    return len(step.top_logprobs) if abs(total - 1) <= ROUNDING else None


def _carry(response: Any) -> Any:
    """Put a carrying text into a response.

    A refusal has its text in another field, and an answer that a filter or the limit of tokens
    withheld has none.
    """
    choice = response.choices[0]
    text, refusal = choice.message.content, getattr(choice.message, "refusal", None)
    reason = _reason(choice)
    if isinstance(refusal, str):
        text = text or refusal
    if text is None and reason in (*CUT_OFF, *FILTERED):
        text = ""
    if isinstance(text, str):
        choice.message.content = CarryingText(text, response)
    return response


async def _carry_later(response: Any) -> Any:
    return _carry(await response)


async def _awaited(answer: Any) -> Any:
    return await answer


def _address(completions: Any) -> str:
    client = getattr(completions, "_client", None)
    return str(getattr(client, "base_url", None) or getattr(completions, "_base_url", None) or "")
