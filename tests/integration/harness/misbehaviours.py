"""What servers do wrong: each a change of one good response, and what comes of it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple

Response = dict[str, Any]
MODEL = "stand-in"
# The likeliest tokens of the good answer's one step, of which no other can be: p(Yes) = 0.74,
# p(No) = 0.22.
LIKELIEST = {"Yes": 0.7, "No": 0.2, "yes": 0.04, "no": 0.02} | {f" w{n}": 0.0025 for n in range(16)}
SURE = 0.74 / 0.96
ENTROPY = -math.fsum(p * math.log(p) for p in LIKELIEST.values())


class Case(NamedTuple):
    """A misbehaviour.

    Attributes:
        what: What the server does.
        change: Does it to a good response.
        scored: Fields of the readout that is scored; or a part of the line with which the document
            fails.
    """

    what: str
    change: Callable[[Response], object]
    scored: dict[str, Any] | str


def token(text: str | None, logprob: Any) -> Response:
    return {"token": text, "logprob": logprob, "bytes": None if text is None else [*text.encode()]}


def step(text: str | None, **likeliest: float) -> Response:
    """A generated token, the likeliest of its list: that of the good answer, or another."""
    held = likeliest or LIKELIEST
    listed = [token(name, math.log(p)) for name, p in held.items()]
    return {**token(text, listed[0]["logprob"]), "top_logprobs": listed}


def good() -> Response:
    """The response that is not wrong."""
    message = {"role": "assistant", "content": "Yes"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {
        **{"id": "1", "object": "chat.completion", "created": 0, "model": MODEL},
        "choices": [choice | {"logprobs": {"content": [step("Yes")]}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8},
    }


def response(case: Case) -> Response:
    """The response of a server that misbehaves."""
    made = copy.deepcopy(good())
    case.change(made)
    return made


def choice(made: Response) -> Response:
    found: Response = made["choices"][0]
    return found


def steps(made: Response) -> list[Response]:
    found: list[Response] = choice(made)["logprobs"]["content"]
    return found


def ended(reason: str, **message: str | None) -> Callable[[Response], object]:
    """Give another reason of the end, and another message."""

    def change(made: Response) -> None:
        choice(made)["finish_reason"] = reason
        choice(made)["message"].update(message)
        if message:
            choice(made)["logprobs"] = None

    return change


def listing(*entries: Response, keep: int = 20) -> Callable[[Response], object]:
    """List other tokens behind the likeliest."""

    def change(made: Response) -> None:
        steps(made)[0]["top_logprobs"][keep:] = entries

    return change


def then(text: str | None) -> Callable[[Response], object]:
    """List another token behind the answer's."""
    return lambda made: steps(made).append(step(text, **{text or "": 0.5, "Yes": 0.5}))


def first(**changes: Any) -> Callable[[Response], object]:
    """Change the answer's token."""
    return lambda made: steps(made)[0].update(changes)


def says(text: str | None) -> Callable[[Response], object]:
    return lambda made: choice(made)["message"].update(content=text)


def impossible(value: float) -> Callable[[Response], object]:
    """List the two that can be, and others by a mark."""

    def change(made: Response) -> None:
        others = [token(f" w{n}", value) for n in range(18)]
        likely = [token("Yes", math.log(0.7)), token("No", math.log(0.3))]
        steps(made)[0]["top_logprobs"] = likely + others

    return change


def of_sum(total: float) -> Callable[[Response], object]:
    """Multiply all probabilities."""

    def change(made: Response) -> None:
        for entry in [steps(made)[0], *steps(made)[0]["top_logprobs"]]:
            entry["logprob"] += math.log(total)

    return change


def half(text: str) -> Callable[[Response], object]:
    """Cut text and token in the middle of a character."""

    def change(made: Response) -> None:
        says(text)(made)
        rest = text.removeprefix("Yes")
        steps(made).append(
            step("!")
            | {"token": rest, "bytes": None}
            | {"top_logprobs": [{"token": rest, "bytes": None, "logprob": math.log(0.7)}]}
        )

    return change


ONE = {"refused": False, "answer": "Yes", "confidence": SURE, "entropy_low": ENTROPY}
WITHHELD = {"answer": None, "confidence": None, "entropy_low": None}
NO_ANSWER = "in place of a text"
CASES = (
    Case("nothing", lambda made: None, ONE),
    # The end token.
    Case("it lists the end token", then("</s>"), ONE),
    Case("it lists the end token as an empty string", then(""), ONE),
    Case("it lists the end token as null", then(None), ONE),
    # Marks of what cannot be, and rounding.
    *(
        Case(
            f"it marks impossible tokens by {value}",
            impossible(value),
            ONE | {"confidence": 0.7, "confidence_high": 0.7, "entropy_low": 0.610864},
        )
        for value in (-9999.0, -math.inf, -3.4e38)
    ),
    Case("its probabilities sum to 1.0001", of_sum(1.0001), ONE),
    Case("its list is in no order", lambda made: steps(made)[0]["top_logprobs"].reverse(), ONE),
    # 5 of 20: p_k is 0.0025, and the other 0.0375 may be further spellings of either label.
    Case(
        "it lists 5 tokens of 20",
        listing(keep=5),
        {
            **{"answer": "Yes", "probs": None, "confidence": SURE},
            "confidence_low": 0.74 / 0.9975,
            "confidence_high": 0.7775 / 0.9975,
        },
    ),
    # p_k is 0.2, and p(No) anything up to 0.3.
    Case(
        "it lists 2 tokens of 20",
        listing(keep=2),
        {"answer": "Yes", "confidence": None, "confidence_low": 0.7, "confidence_high": 0.8 / 1.0},
    ),
    # Contradictions.
    Case(
        "the token is not in its own list",
        listing(token("maybe", -2.0), keep=0),
        "is not in its own list of the likeliest",
    ),
    Case(
        "the token has another probability there",
        first(logprob=math.log(0.014)),
        "a token has probability 0.014, and 0.7 in its own list",
    ),
    Case("the token has -9999.0, and 0.7 there", first(logprob=-9999.0), "and 0.7 in its own list"),
    Case("a log-probability above 0", first(logprob=0.5), "one is 0.5, above 0"),
    Case("one above 0 in the list", listing(token("maybe", 2.0)), "one is 2, above 0"),
    Case("probabilities that sum to 1.4", of_sum(1.4), "have probability 1.4 together"),
    Case("lists of another text", says("No"), "do not make its text"),
    Case("lists of a part of the text", says("Yes, there is one"), "do not make its text"),
    # No numbers.
    Case("NaN in the list", listing(token("maybe", math.nan)), "a log-probability is not finite"),
    Case("null as a log-probability", first(logprob=None), "cannot be read: TypeError"),
    Case("words as a log-probability", first(logprob="likely"), "cannot be read: ValueError"),
    Case("null as a list", first(top_logprobs=None), "cannot be read: TypeError"),
    Case("an empty list", first(top_logprobs=[]), "expected 1 to V log-probabilities"),
    Case(
        "every token impossible",
        lambda made: (
            impossible(-9999.0)(made),
            listing(keep=0)(made),
            listing(token("Yes", -9999.0))(made),
            first(logprob=-9999.0)(made),
        ),
        "every token has probability 0",
    ),
    Case(
        "no log-probabilities",
        lambda made: choice(made).update(logprobs=None),
        "came without log-probabilities",
    ),
    # What it says beside the text.
    Case(
        "the limit of tokens cut it off",
        lambda made: choice(made).update(finish_reason="length"),
        ONE | {"truncated": True},
    ),
    Case("cut off while it thinks", ended("length", content=None), WITHHELD | {"truncated": True}),
    Case(
        "a filter withheld it", ended("content_filter", content=""), WITHHELD | {"filtered": True}
    ),
    Case(
        "a filter withheld it, null",
        ended("content_filter", content=None),
        WITHHELD | {"filtered": True},
    ),
    Case(
        "a refusal",
        ended("stop", content=None, refusal="No, I cannot help with that."),
        WITHHELD | {"refused": True, "text": "No, I cannot help with that."},
    ),
    Case(
        "another model",
        lambda made: made.update(model="stand-in-mini"),
        ONE | {"other_model": "stand-in-mini"},
    ),
    Case("a version of the model", lambda made: made.update(model="stand-in-2026-08-06"), ONE),
    Case(
        "it breaks the answer off",
        lambda made: choice(made).update(finish_reason="abort"),
        "broke an answer off",
    ),
    # No text, and no text that a file can hold.
    Case("a message without content", says(None), NO_ANSWER),
    Case("an empty text of a token", says(""), "returned an empty answer"),
    Case("no choices", lambda made: made.update(choices=[]), "has no answer"),
    Case(
        "an error with status 200",
        lambda made: (made.clear(), made.update(error="busy")),
        "has no answer",
    ),
    Case("half a character", half("Yes \ud83d"), {"answer": "Yes", "text": "Yes \\ud83d"}),
)
