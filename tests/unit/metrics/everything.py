"""Documents of which all is measured, and what metrics take of them, by loops over documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np
import pytest
from msgspec.structs import replace
from report.synthetic import answers, noise, questions

from vlm_confidence_tasks.metrics import BANDS, CHANNELS, Answers, Interval, Sample
from vlm_confidence_tasks.metrics.statistics.statistic import Statistic
from vlm_confidence_tasks.types import Inside, Readout

from .making import EMPTY, NOISE_1, SHIFT, TEXT

VARIANTS = (noise(0.3), NOISE_1, SHIFT, TEXT, EMPTY)
IMAGES = 40


def measured(readout: Readout, rng: np.random.Generator) -> Readout:
    """The answer with a stated certainty, scored options, representations, bounds and refusals."""

    def numbers(names: Sequence[str]) -> dict[str, float]:
        return dict(zip(names, rng.uniform(0.1, 1.0, len(names)).tolist(), strict=True))

    scores = {label: -value for label, value in numbers(["Yes", "No"]).items()}
    # Not worse than guesses, of which no temperature would be the best.
    right = readout.answer if readout.correct else "No" if readout.answer == "Yes" else "Yes"
    scores[right] += 0.3
    return replace(
        readout,
        answer_mass=float(rng.uniform(0.8, 1.0)),
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
            layer_entropy=tuple(rng.uniform(0.1, 1.0, 3).tolist()),
            spectrum=numbers(BANDS),
            control_same=numbers(CHANNELS),
        ),
        overlay_label=str(rng.choice(["Yes", "No"])),
        entropy_low=readout.entropy,
        entropy_high=readout.entropy,
        refused=not readout.correct,
        **served(readout),
    )


def served(readout: Readout) -> dict[str, object]:
    """What engines say of an answer; without draws of its own, which would change the others."""
    mark = round(1e6 * (readout.entropy or 0.0))
    found: dict[str, object] = {
        "truncated": mark % 5 == 0 or None,
        "filtered": mark % 7 == 0 or None,
        "other_model": None if mark % 6 else "another",
    }
    if readout.confidence is not None:
        width = mark % 4 / 100
        found["confidence_low"] = max(0.0, readout.confidence - width)
        found["confidence_high"] = min(1.0, readout.confidence + width)
    return found


@cache
def documents(count: int = 80, seed: int = 0) -> tuple[Sample, ...]:
    """Documents of uneven weight: each has three variants or more."""
    rng = np.random.default_rng(seed + 1)
    return tuple(
        replace(
            sample,
            question_id=asked.question_id,
            clean=measured(sample.clean, rng),
            variants=tuple(measured(readout, rng) for readout in sample.variants[n % 3 :]),
        )
        for n, (asked, sample) in enumerate(answers(questions(count, IMAGES), VARIANTS, seed))
    )


@cache
def table(count: int = 80, seed: int = 0) -> Answers:
    """The same as a table; those of two seeds can be compared."""
    return Answers.of(documents(count, seed), sorted({f"image{n}" for n in range(IMAGES)}))


Number = Callable[[Readout, Readout], float | None]


def counted(samples: Sequence[Sample]) -> Iterator[tuple[Sample, Readout]]:
    """The perturbed answers that pooled metrics count: no controls, unless all are."""
    for sample in samples:
        others = [readout for readout in sample.variants if not readout.control]
        for readout in others or sample.variants:
            yield sample, readout


def sums(samples: Sequence[Sample], *numbers: Number) -> list[np.ndarray]:
    """Sums of numbers of (answer, clean answer), their count and the image, of each document.

    Of the answers that have all of the numbers.
    """
    rows = []
    for sample in samples:
        found = [[of(r, sample.clean) for of in numbers] for _, r in counted([sample])]
        found = [row for row in found if None not in row]
        if found:
            rows.append((*np.sum(found, axis=0), len(found), sample.image_id))
    *columns, images = zip(*rows, strict=True)
    return [*map(np.array, columns), np.array(images)]


def rows(samples: Sequence[Sample], *numbers: Number) -> list[np.ndarray]:
    """The numbers themselves, and the image, of each answer that has all of them."""
    found = [
        (*(of(r, sample.clean) for of in numbers), sample.image_id)
        for sample, r in counted(samples)
    ]
    *columns, images = zip(*(row for row in found if None not in row), strict=True)
    return [*map(np.array, columns), np.array(images)]


def ends(interval: Interval) -> tuple[float, float, float]:
    return interval.estimate, interval.low, interval.high


def agree(
    statistic: Statistic,
    columns: Callable[[Sequence[Sample]], list[np.ndarray]],
    expected: Callable[..., Interval],
) -> None:
    """Value, interval and difference are what a function makes of columns made by hand."""
    views = [table(seed=seed).perturbed for seed in (0, 1)]
    one, other = (columns(documents(seed=seed)) for seed in (0, 1))
    two = [np.concatenate(pair) for pair in zip(one, other, strict=True)]
    second = np.repeat([False, True], [len(one[-1]), len(other[-1])])
    assert statistic.value(views[0]) == pytest.approx(expected(*one).estimate, abs=1e-9)
    for level in (0.95, 0.8):
        for found, theirs in (
            (statistic.interval(views[0], level), expected(*one, level=level)),
            (statistic.difference(*views, level), expected(*two, paired=second, level=level)),
        ):
            assert ends(found) == pytest.approx(ends(theirs), abs=1e-6)
