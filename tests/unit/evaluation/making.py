"""Requests without a data set behind them."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace

from vlm_confidence_tasks.evaluation.request import ImageSpec, Request, RequestKey, TaskSpec
from vlm_confidence_tasks.evaluation.settings import Settings
from vlm_confidence_tasks.types import CLEAN, Question, Variant

SIDE = 10
# Each document has one stored image of SIDE x SIDE.
PHOTOGRAPHS = SimpleNamespace(sizes=lambda: defaultdict(lambda: ((SIDE, SIDE),)))


def spec(name: str = "a", **others) -> TaskSpec:
    """Return a task of no benchmark; some of what it is given are settings."""
    names = ("verbal", "loglik", "representations", "control")
    asked = {key: others.pop(key) for key in names if key in others}
    given = dict(
        benchmark=None,
        documents=PHOTOGRAPHS,
        settings=Settings(benchmark="", perturbations=[], **asked),
        max_failures=0,
        indices=1000,
        until=(),
        providers={},
    )
    return TaskSpec(name, **{**given, **others})


def request(
    image: bytes = b"a",
    variant: Variant = CLEAN,
    prompt: str = "Is it?",
    index: int = 0,
    task: TaskSpec | None = None,
    labels: tuple[str, ...] = ("Yes", "No"),
    **others,
) -> Request:
    """Return a request about an image of a digest."""
    key = RequestKey(ImageSpec(image, None, variant), prompt, "{}", labels)
    question = Question(str(index), "x", "Is it?\nAnswer.", labels, asked="Is it?")
    return Request(task or spec(), index, index, question, key, **others)


def response(text: str, answer: str | None) -> SimpleNamespace:
    """Return what follow-ups read of a response."""
    return SimpleNamespace(text=text, answer=answer)
