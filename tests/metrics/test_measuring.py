"""Values and intervals: the metrics' own, over images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from report.conftest import FAMILIES
from report.synthetic import answers, noise, questions

from vlm_confidence_tasks.metrics import Sample, bootstrap_interval, measure, task_metrics

from .making import METRICS

DRAWS = 30


def documents(count: int = 30) -> list[Sample]:
    held = answers(questions(count), [noise(0.3), *FAMILIES])
    return [document for _, document in held]


def naive(name: str, held: Sequence[Sample]) -> tuple[float, float, float] | None:
    """Interval of a metric by computing it again on the drawn documents."""
    metric = METRICS[name]
    kept = [(value, d.image_id) for d in held if (value := metric.extract(d)) is not None]
    if len({image for _, image in kept}) < 2:
        return None
    found = bootstrap_interval(
        lambda rows: metric.reduce([kept[row][0] for row in rows]),
        [image for _, image in kept],
        draws=DRAWS,
    )
    return None if found is None else (found.estimate, found.low, found.high)


def test_values_are_those_of_the_metrics() -> None:
    held = documents()
    measured = measure(held, draws=2)
    assert {name: number.value for name, number in measured.items()} == task_metrics(held)


@pytest.mark.parametrize("name", [n for n, m in METRICS.items() if m.interval])
def test_intervals_equal_those_of_the_metric_computed_again(name: str) -> None:
    held = documents()
    number = measured(DRAWS).get(name)
    expected = naive(name, held)
    if number is None or expected is None:
        assert expected is None and (number is None or number.low is number.high is None)
        return
    assert (number.value, number.low, number.high) == pytest.approx(expected, abs=1e-12)


cached: dict = {}


def measured(draws: int) -> dict:
    if draws not in cached:
        cached[draws] = measure(documents(), draws)
    return cached[draws]


def test_a_p_value_and_a_noise_floor_have_no_interval() -> None:
    numbers = measured(DRAWS)
    without = {n for n, m in METRICS.items() if m.interval is None}
    kinds = ("ece_floor", "verbal_ece_floor", "loglik_ece_floor")
    assert without == {"entropy_delta_p", *kinds, *(f"{kind}_clean" for kind in kinds)}
    for name in without & numbers.keys():
        assert numbers[name].low is None and numbers[name].high is None


def test_questions_of_one_image_go_together() -> None:
    many = [document for _, document in answers(questions(60, images=60), [noise(0.3)])]
    few = [replace_image(document, n // 20) for n, document in enumerate(many)]
    one = measure(few, 400)["accuracy"]
    each = measure(many, 400)["accuracy"]
    assert one.value == each.value
    assert (one.low, one.high) != (each.low, each.high)
    values = [np.mean([d.variants[0].correct for d in few[k : k + 20]]) for k in (0, 20, 40)]
    assert one.low >= min(values) and one.high <= max(values)


def test_one_image_has_no_interval() -> None:
    alone = [replace_image(document, 0) for document in documents(12)]
    assert all(number.low is number.high is None for number in measure(alone, DRAWS).values())


def replace_image(document: Sample, number: int) -> Sample:
    fields = {name: getattr(document, name) for name in document.__dataclass_fields__}
    return partial(Sample, **fields | {"image_id": f"image{number}"})()
