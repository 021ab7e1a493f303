"""A run on an engine that is no model and knows no harness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
from loguru import logger

from vlm_confidence_tasks import benchmarks, perturbations
from vlm_confidence_tasks.benchmarks import dataset
from vlm_confidence_tasks.errors import MeasurementError
from vlm_confidence_tasks.evaluation.engine import BatchSize
from vlm_confidence_tasks.evaluation.request import Generation, Request, TaskSpec, make_request
from vlm_confidence_tasks.evaluation.response_cache import ResponseCache
from vlm_confidence_tasks.evaluation.run import Run
from vlm_confidence_tasks.probe.logit_source import NoLogits
from vlm_confidence_tasks.sandbox import DATA_DIR
from vlm_confidence_tasks.types import CLEAN, Variant

from . import making

NOISE = perturbations.variants([{"name": "gaussian_noise", "epsilon": 0.5}])
OVERLAY = perturbations.variants([{"name": "text_overlay"}])


class Brightness:
    """Says "Yes" to bright images, and how sure it is when asked."""

    name = "Brightness"

    def __init__(self, failing: int | None = None) -> None:
        self.source = NoLogits(self.name)
        self.batch_size = BatchSize(self)
        self.failing = failing
        self.calls: list[list[Request]] = []
        self.run: Run | None = None

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        self.calls.append(list(requests))
        return [self.answer(request) for request in requests]

    def answer(self, request: Request) -> Generation:
        found, shown = self.run.runner.look_up(request.task.name, request.index)
        assert found is request
        if request.document == self.failing:
            return Generation("", failure="it is tired")
        if request.first is not None:
            return Generation("80%")
        return Generation("Yes" if np.asarray(shown.images[0]).mean() > 127 else "No")

    def answer_text(self, request: Request, text: str) -> str:
        return text

    @contextmanager
    def quiet(self) -> Iterator[None]:
        yield


@pytest.fixture(scope="module")
def documents() -> dataset.Documents:
    return dataset.load({"test_split": "test"}, benchmarks.get("pope"), DATA_DIR)


def task(documents: dataset.Documents, name: str, **others) -> TaskSpec:
    return making.spec(name, benchmark=benchmarks.get("pope"), documents=documents, **others)


def requests_of(spec: TaskSpec, variants: Sequence[Variant], count: int) -> list[Request]:
    made = []
    for document in range(count):
        question = spec.benchmark.question(spec.documents.text[document], "", "")
        for position, variant in enumerate((CLEAN, *variants)):
            index = document * (1 + len(variants)) + position
            made.append(
                make_request(spec, index, document, question, variant, question.prompt, {}, ())
            )
    return made


@contextmanager
def running(engine: Brightness, *specs: TaskSpec, complete=None) -> Iterator[Run]:
    done = complete if complete is not None else []
    run = engine.run = Run(engine, specs, ResponseCache(), lambda *task: done.append(task))
    try:
        yield run
    finally:
        run.close()


def test_each_key_is_answered_once_clean_first_and_by_task(documents) -> None:
    one, other = task(documents, "one"), task(documents, "other")
    engine, complete = Brightness(), []
    requests = requests_of(one, NOISE, 4) + requests_of(other, (*NOISE, *OVERLAY), 4)
    with running(engine, one, other, complete=complete) as run:
        answers = run.answer(requests)
        first, sample = run.samples("one")[0], run.samples("other")[3]
    answered = [request for call in engine.calls for request in call]
    assert len(answered) == len({request.key for request in answered}) == 4 * 3
    assert [request.variant == CLEAN for request in answered] == [True] * 4 + [False] * 8
    assert [answer.text for answer in answers[:2]] == [first.clean.text, first.variants[0].text]
    readouts = (sample.clean, *sample.variants)
    assert [readout.variant for readout in readouts] == [CLEAN, *NOISE, *OVERLAY]
    assert all(readout.entropy is None and readout.probs is None for readout in readouts)
    other_answer = {"Yes": "No", "No": "Yes"}[readouts[0].answer]
    assert [readout.overlay_label for readout in readouts] == [None, None, other_answer]
    assert sorted(complete) == [("one", [0, 1, 2, 3]), ("other", [0, 1, 2, 3])]


class Shy(Brightness):
    """Refuses to look at perturbed images."""

    def answer(self, request: Request) -> Generation:
        shown = super().answer(request)
        refusal = Generation("No image was provided, so I cannot answer.")
        return shown if request.variant == CLEAN else refusal


def test_a_refusal_is_no_label_and_marked(documents) -> None:
    asked = task(documents, "asked")
    with running(Shy(), asked) as run:
        run.answer(requests_of(asked, NOISE, 1))
        sample = run.samples("asked")[0]
    found = [(readout.answer, readout.refused) for readout in (sample.clean, *sample.variants)]
    assert found == [(sample.clean.text, False), (None, True)]


def test_a_failure_has_its_place_and_ends_the_run_or_is_counted(documents) -> None:
    strict = task(documents, "strict")
    with running(Brightness(failing=1), strict) as run:
        with pytest.raises(MeasurementError) as caught:
            run.answer(requests_of(strict, NOISE, 3))
    assert str(caught.value).startswith("task strict, document 1 (question_id ")
    assert "variant clean: Brightness has no answer: it is tired" in str(caught.value)
    lenient = task(documents, "lenient", max_failures=1)
    with running(Brightness(failing=1), lenient) as run:
        answers = run.answer(requests_of(lenient, NOISE, 3))
    assert [answer is None for answer in answers] == [False, False, True, True, False, False]
    assert "it is tired" in run.failure("lenient", 1) and run.failure("lenient", 0) is None


class Probable(NoLogits):
    """Says of itself that it gives probabilities."""

    measures = frozenset({"probabilities"})

    def reading(self, rows, representations: bool):
        return nullcontext()


def test_what_an_engine_with_probabilities_cannot_measure_is_said_once(documents) -> None:
    probable = Brightness()
    probable.source = Probable(probable.name)
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="WARNING")
    try:
        specs = (
            task(documents, "moved", representations=True),
            task(documents, "scored", loglik=True),
        )
        with running(probable, *specs), running(probable, task(documents, "plain")):
            pass
        # One without probabilities says so for all of them.
        with running(Brightness(), *specs):
            pass
    finally:
        logger.remove(sink)
    assert lines == [
        f"{probable.name} gives no hidden states: what moves inside the model is absent "
        "(task moved)",
        f"{probable.name} scores no texts: log-likelihoods of the options are absent (task scored)",
    ]
