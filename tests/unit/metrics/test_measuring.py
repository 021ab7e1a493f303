"""Values and intervals: the metrics' own, over images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from report.conftest import FAMILIES
from report.synthetic import answers, noise, questions

from vlm_confidence_tasks.metrics import (
    BANDS,
    CHANNELS,
    Number,
    Sample,
    bootstrap_interval,
    measure,
    metrics_for,
    task_metrics,
)
from vlm_confidence_tasks.types import Inside, Readout

from .making import METRICS

DRAWS = 30


def everything(readout: Readout, rng: np.random.Generator) -> Readout:
    """The answer with a stated certainty, scored options and representations."""

    def numbers(names: Sequence[str]) -> dict[str, float]:
        return dict(zip(names, rng.uniform(0.1, 1.0, len(names)).tolist(), strict=True))

    scores = {label: -value for label, value in numbers(["Yes", "No"]).items()}
    return replace(
        readout,
        verbal_text="so sure",
        verbal_confidence=float(rng.integers(11)) / 10 if rng.random() < 0.9 else None,
        option_logprob=scores,
        option_logprob_mean={label: value / 2 for label, value in scores.items()},
        inside=Inside(
            drift=numbers(CHANNELS),
            distance=numbers(CHANNELS),
            control=numbers(CHANNELS),
            prior_drift=rng.random(),
            prior_probs={"Yes": 0.25, "No": 0.75},
            dirichlet_energy=rng.random(),
            layer_entropy=(),
            spectrum=numbers(BANDS),
            control_same=numbers(CHANNELS),
        ),
        overlay_label=str(rng.choice(["Yes", "No"])),
    )


@cache
def documents(count: int = 50) -> list[Sample]:
    rng = np.random.default_rng(1)
    return [
        replace(
            sample,
            clean=everything(sample.clean, rng),
            variants=tuple(everything(readout, rng) for readout in sample.variants),
        )
        for _, sample in answers(questions(count), [noise(0.3), *FAMILIES])
    ]


def naive(name: str, held: Sequence[Sample]) -> tuple[float, float, float]:
    """Interval of a metric by computing it again on the drawn documents."""
    metric = METRICS[name]
    kept = [(value, d.image_id) for d in held if (value := metric.extract(d)) is not None]
    found = bootstrap_interval(
        lambda rows: metric.reduce([kept[row][0] for row in rows]),
        [image for _, image in kept],
        draws=DRAWS,
    )
    return found.estimate, found.low, found.high


def test_values_are_those_of_the_metrics() -> None:
    held = documents()
    measured = measure(held, draws=2)
    assert {name: number.value for name, number in measured.items()} == task_metrics(held)


@cache
def measured() -> dict[str, Number]:
    return measure(documents(), DRAWS)


SHOWN = ("noise", *dict.fromkeys(variant.family for variant in FAMILIES))
NAMES = list(metrics_for(SHOWN))


def test_every_metric_can_be_computed_here() -> None:
    assert set(measured()) == set(NAMES)


@pytest.mark.parametrize("name", [n for n in NAMES if METRICS[n].interval])
def test_intervals_equal_those_of_the_metric_computed_again(name: str) -> None:
    number = measured()[name]
    expected = naive(name, documents())
    assert (number.value, number.low, number.high) == pytest.approx(expected, abs=1e-12)


def test_a_p_value_and_a_noise_floor_have_no_interval() -> None:
    numbers = measured()
    without = {n for n, m in METRICS.items() if m.interval is None}
    kinds = ("ece_floor", "verbal_ece_floor", "loglik_ece_floor")
    assert without == {"entropy_delta_p", *kinds, *(f"{kind}_clean" for kind in kinds)}
    for name in without:
        assert numbers[name].low is None and numbers[name].high is None


def test_questions_of_one_image_go_together() -> None:
    many = [document for _, document in answers(questions(60, images=60), [noise(0.3)])]
    few = [replace(document, image_id=f"image{n // 20}") for n, document in enumerate(many)]
    one = measure(few, 400)["accuracy"]
    each = measure(many, 400)["accuracy"]
    assert one.value == each.value
    assert (one.low, one.high) != (each.low, each.high)
    values = [np.mean([d.variants[0].correct for d in few[k : k + 20]]) for k in (0, 20, 40)]
    assert one.low >= min(values) and one.high <= max(values)


def test_one_image_has_no_interval() -> None:
    alone = [replace(document, image_id="image0") for document in documents(12)]
    assert all(number.low is number.high is None for number in measure(alone, DRAWS).values())
