"""Measured coverage of every kind of interval and test that the package reports.

    python scripts/coverage.py [--repeats 1000] [--workers 2] [--output docs/coverage.md]
    python scripts/coverage.py --small --repeats 20

Simulates answers in clusters with a known truth: images with 1 or with 1 to 18 questions, 1, 4
or 24 variants of each, and answers of one image that go together. For each kind of number and
cell it counts how often the 95% interval holds the truth, or how often the test rejects a true
null hypothesis at 5%, and takes the mean width. The seed of a repeat is a function of kind, cell
and number, so that any cell can be run alone.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from tqdm import tqdm

from vlm_confidence_tasks.metrics import (
    aurc,
    auroc,
    calibration_error_interval,
    calibration_test,
    cohens_d,
    cohens_dz,
    expected_calibration_error,
    jackknife_interval,
    mean_interval,
    pearson,
    rate_interval,
    sign_flip_p,
    smooth_calibration_error,
    spearman,
    threshold_defense,
    wilcoxon_p,
)
from vlm_confidence_tasks.metrics.functional.defense import ThresholdDefense
from vlm_confidence_tasks.metrics.inference.clusters import FEWEST_CLUSTERS, Interval, seen_on
from vlm_confidence_tasks.metrics.inference.jackknife import ranking_interval
from vlm_confidence_tasks.metrics.inference.rare_errors import (
    loss_interval,
    overconfidence_interval,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

IMAGES = (10, 30, 100, 500)
QUESTIONS = (1, 18)
VARIANTS = (1, 4, 24)
CORRELATIONS = (0.0, 0.1, 0.3)
# How far answers to variants of one document go together, on the scale of their scores.
WITHIN_DOCUMENT = 0.8
TRUTH_ANSWERS = 2_000_000


@dataclass(frozen=True)
class Cell:
    """One design: how many images, at most how many questions on one, variants, correlation."""

    images: int
    questions: int
    variants: int
    correlation: float


@dataclass(frozen=True)
class Data:
    """The rows of one simulated run: an answer each.

    Attributes:
        image: Its image, [N].
        document: Its document, [N].
        cell: The design.
    """

    image: Ints
    document: Ints
    cell: Cell

    def scores(self, rng: np.random.Generator) -> Floats:
        """Draw standard normal scores, [N].

        Those of one image correlate as the cell says, and those of one document by 0.8.
        """
        shared = self.cell.correlation
        within = 1.0 if self.cell.variants == 1 else WITHIN_DOCUMENT
        images, documents, own = (
            rng.standard_normal(size)
            for size in (self.image.max() + 1, self.document.max() + 1, self.image.size)
        )
        return (
            np.sqrt(shared) * images[self.image]
            + np.sqrt(within - shared) * documents[self.document]
            + np.sqrt(1.0 - within) * own
        )

    def events(self, rng: np.random.Generator, rate: float) -> Floats:
        """Draw events with the cell's intra-image correlation, [N] of 0 and 1.

        The image's rate is beta distributed; a variant repeats its document with chance 0.8.
        """
        shared, images = self.cell.correlation, self.image.max() + 1
        rates = np.full(images, rate)
        if shared and 0 < rate < 1:
            size = (1.0 - shared) / shared
            rates = rng.beta(rate * size, (1.0 - rate) * size, images)
        drawn = rng.random(self.document.max() + 1)[self.document]
        if self.cell.variants > 1:
            own = rng.random(drawn.size) >= WITHIN_DOCUMENT
            drawn = np.where(own, rng.random(drawn.size), drawn)
        return (drawn < rates[self.image]).astype(np.float64)

    def by_document(self, values: Floats) -> Floats:
        """Sum the values of each document, [D]."""
        return np.bincount(self.document, values)

    @property
    def image_of(self) -> Ints:
        """The image of each document, [D]."""
        return self.image[:: self.cell.variants]


def simulated(cell: Cell, rng: np.random.Generator) -> Data:
    """Draw how many questions each image has, and lay the answers out."""
    questions = rng.integers(1, cell.questions + 1, cell.images)
    image_of = np.repeat(np.arange(cell.images), questions)
    return Data(
        image=np.repeat(image_of, cell.variants),
        document=np.repeat(np.arange(image_of.size), cell.variants),
        cell=cell,
    )


# What one repeat gives: an interval and the truth, or a p-value.
Outcome = tuple[Interval | None, float] | float | None


@dataclass(frozen=True)
class Kind:
    """One kind of interval or test.

    Attributes:
        title: What it is.
        metrics: For which of the package's metrics it stands.
        run: One repeat.
        note: What to know.
        variants: Whether it depends on the number of variants.
    """

    title: str
    metrics: str
    run: Callable[[Data, np.random.Generator], Outcome]
    note: str = ""
    variants: bool = True


def _rate(rate: float, data: Data, rng: np.random.Generator) -> Outcome:
    hits = data.by_document(data.events(rng, rate))
    counts = np.full(hits.size, float(data.cell.variants))
    return rate_interval(hits, counts, data.image_of), rate


def _rate_difference(rate: float, data: Data, rng: np.random.Generator) -> Outcome:
    both = data.events(rng, rate)
    own = rng.random(both.size) < 0.3
    other = np.where(own, data.events(rng, rate), both)
    hits = np.concatenate([data.by_document(both), data.by_document(other)])
    found = rate_interval(
        hits,
        np.full(hits.size, float(data.cell.variants)),
        np.tile(data.image_of, 2),
        paired=np.repeat([False, True], hits.size // 2),
    )
    return found, 0.0


def _family_rates(data: Data, rng: np.random.Generator) -> Outcome:
    """Three families' rates, of events that go together."""
    rates = (0.02, 0.1, 0.4)
    hits = np.column_stack([data.by_document(data.events(rng, rate)) for rate in rates])
    counts = np.full(hits.shape, float(data.cell.variants))
    return rate_interval(hits, counts, data.image_of), float(np.mean(rates))


def _f1(rate: float, data: Data, rng: np.random.Generator) -> Outcome:
    """F1 of answers of which a share is right, of positive documents as of negative ones."""
    wrong = data.events(rng, 1.0 - rate)
    positive = np.arange(wrong.size) // data.cell.variants % 2 == 0
    hits = 2.0 * data.by_document(positive * (1.0 - wrong))
    return rate_interval(hits, hits + data.by_document(wrong), data.image_of), rate


def _skewed(scores: Floats) -> Floats:
    return -np.log(ndtr(-scores))


def _same(scores: Floats) -> Floats:
    return scores


def _mean(shape: Callable[[Floats], Floats], truth: float, data: Data, rng: Any) -> Outcome:
    values = data.by_document(shape(data.scores(rng)))
    return mean_interval(values, np.full(values.size, data.cell.variants), data.image_of), truth


def _mean_difference(shape: Callable[[Floats], Floats], data: Data, rng: Any) -> Outcome:
    common = data.scores(rng)
    runs = [shape(np.sqrt(0.7) * common + np.sqrt(0.3) * data.scores(rng)) for _ in range(2)]
    values = np.concatenate([data.by_document(run) for run in runs])
    found = mean_interval(
        values,
        np.full(values.size, data.cell.variants),
        np.tile(data.image_of, 2),
        paired=np.repeat([False, True], values.size // 2),
    )
    return found, 0.0


def _ratio(data: Data, rng: np.random.Generator) -> Outcome:
    common = data.scores(rng)
    above, below = (
        data.by_document(_skewed(np.sqrt(0.5) * common + np.sqrt(0.5) * data.scores(rng)))
        for _ in range(2)
    )
    return mean_interval(0.3 * above, below, data.image_of), 0.3


# Miscalibration: the chance to be right, of a confidence.
Chance = Callable[[Floats], Floats]


def _calibrated(confidence: Floats) -> Floats:
    return confidence


def _overconfident(gap: float, confidence: Floats) -> Floats:
    return confidence - gap


def _crossing(confidence: Floats) -> Floats:
    return confidence - 0.2 * (confidence - 0.7)


def _sure(confidence: Floats) -> Floats:
    return np.full(confidence.size, 0.98)


def _answers(data: Data, rng: np.random.Generator, chance: Chance) -> tuple[Floats, Floats]:
    """Draw confidences, and whether the answers are right.

    Confidences lie between 0.5 and 1, those of `_sure` between 0.99 and 0.99999.
    """
    documents = data.document.max() + 1
    if chance is _sure:
        confidence = (1.0 - 10.0 ** rng.uniform(-5.0, -2.0, documents))[data.document]
    else:
        base = rng.beta(2.0, 1.0, documents)[data.document]
        confidence = np.clip(0.5 + 0.5 * base + rng.normal(0.0, 0.03, base.size), 0.5, 1.0)
    right = ndtr(data.scores(rng)) < chance(confidence)
    return confidence, right.astype(np.float64)


@cache
def _truth(name: str) -> float:
    """Return a measure of very many independent answers, each of its own image."""
    rng = np.random.default_rng(20)
    return _TRUTHS[name](simulated(Cell(TRUTH_ANSWERS, 1, 1, 0.0), rng), rng)


def _calibration_truth(chance: Chance) -> Callable[[Data, np.random.Generator], float]:
    def truth(data: Data, rng: np.random.Generator) -> float:
        # Without the noise of being right: the chances themselves, in the same bins.
        confidence, _ = _answers(data, rng, chance)
        gap = chance(confidence) - confidence
        bins = np.searchsorted(np.arange(1, 15) / 15, confidence)
        return float(np.abs(np.bincount(bins, gap)).sum() / gap.size)

    return truth


def _overconfidence_truth(chance: Chance) -> Callable[[Data, np.random.Generator], float]:
    def truth(data: Data, rng: np.random.Generator) -> float:
        confidence, _ = _answers(data, rng, chance)
        return float((confidence - chance(confidence)).mean())

    return truth


def _brier_truth(chance: Chance) -> Callable[[Data, np.random.Generator], float]:
    def truth(data: Data, rng: np.random.Generator) -> float:
        confidence, _ = _answers(data, rng, chance)
        right = chance(confidence)
        return float((right * (1.0 - confidence) ** 2 + (1.0 - right) * confidence**2).mean())

    return truth


def _ranking_truth(
    measure: Callable[[Floats, Floats], float | None],
) -> Callable[[Data, np.random.Generator], float]:
    def truth(data: Data, rng: np.random.Generator) -> float:
        return float(measure(*_answers(data, rng, partial(_overconfident, 0.1))) or 0.0)

    return truth


_ERRORS: dict[str, tuple[Any, Callable[[Floats, Floats], float]]] = {
    "ece": ("uniform", expected_calibration_error),
    "smece": ("smooth", smooth_calibration_error),
    "ace": ("quantile", partial(expected_calibration_error, strategy="quantile")),
}
_CHANCES: dict[str, Chance] = {
    "calibrated": _calibrated,
    "overconfident by 0.05": partial(_overconfident, 0.05),
    "overconfident by 0.1": partial(_overconfident, 0.1),
    "over- and underconfident": _crossing,
    "sure, 2% wrong": _sure,
}


def _error(name: str, state: str, data: Data, rng: np.random.Generator) -> Outcome:
    confidence, correct = _answers(data, rng, _CHANCES[state])
    kind, measure = _ERRORS[name]
    estimate = measure(confidence, correct)
    found = calibration_error_interval(confidence, correct, data.image, estimate, kind=kind)
    return found, _truth(state)


def _overconfidence(state: str, data: Data, rng: np.random.Generator) -> Outcome:
    confidence, correct = _answers(data, rng, _CHANCES[state])
    sums = [data.by_document(column) for column in (confidence, correct, np.ones(correct.size))]
    return overconfidence_interval(*sums, data.image_of), _truth(f"overconfidence, {state}")


def _overconfidence_difference(state: str, data: Data, rng: np.random.Generator) -> Outcome:
    """Two runs with the same confidences, half of whose scores are the same."""
    confidence, scores = _answers(data, rng, _CHANCES[state])[0], data.scores(rng)
    moved = np.where(rng.random(scores.size) < 0.5, data.scores(rng), scores)
    hits = [ndtr(each) < _CHANCES[state](confidence) for each in (scores, moved)]
    runs = [[data.by_document(c) for c in (confidence, hit, np.ones(hit.size))] for hit in hits]
    columns = (np.concatenate(both) for both in zip(*runs, strict=True))
    documents = data.image_of.size
    second = np.repeat([False, True], documents)
    return overconfidence_interval(*columns, np.tile(data.image_of, 2), paired=second), 0.0


def _brier(state: str, data: Data, rng: np.random.Generator) -> Outcome:
    confidence, correct = _answers(data, rng, _CHANCES[state])
    losses = data.by_document((confidence - correct) ** 2)
    counts = np.full(losses.size, float(data.cell.variants))
    return loss_interval(losses, counts, data.image_of), _truth(f"brier, {state}")


def _error_difference(before: str, after: str, data: Data, rng: np.random.Generator) -> Outcome:
    """Two runs with the same confidences, half of whose scores are the same."""
    confidence, _ = _answers(data, rng, _CHANCES[before])
    scores = data.scores(rng)
    moved = np.where(rng.random(scores.size) < 0.5, data.scores(rng), scores)
    correct, other = (
        (ndtr(each) < _CHANCES[state](confidence)).astype(np.float64)
        for each, state in ((scores, before), (moved, after))
    )
    errors = [expected_calibration_error(confidence, column) for column in (correct, other)]
    found = calibration_error_interval(
        np.tile(confidence, 2),
        np.concatenate([correct, other]),
        np.tile(data.image, 2),
        errors[1] - errors[0],
        paired=np.repeat([False, True], correct.size),
    )
    truths = [_truth(state) for state in (before, after)]
    return found, truths[1] - truths[0]


def _calibration_p(data: Data, rng: np.random.Generator) -> Outcome:
    confidence, correct = _answers(data, rng, _calibrated)
    return calibration_test(confidence, correct, data.document, data.image).p


def _ranking(name: str, data: Data, rng: np.random.Generator) -> Outcome:
    confidence, correct = _answers(data, rng, partial(_overconfident, 0.1))
    measure: Any = {"auroc": auroc, "aurc": aurc}[name]
    return ranking_interval(measure, confidence, correct, data.image), _truth(name)


def _ranking_difference(data: Data, rng: np.random.Generator) -> Outcome:
    """Two runs, half of whose scores are the same."""
    confidence, correct = _answers(data, rng, partial(_overconfident, 0.1))
    other = np.where(rng.random(correct.size) < 0.5, ndtr(data.scores(rng)), np.nan)
    moved = np.where(np.isnan(other), correct, other < confidence - 0.1)
    both, right = np.tile(confidence, 2), np.concatenate([correct, moved])
    second = np.repeat([False, True], correct.size)
    return ranking_interval(auroc, both, right, np.tile(data.image, 2), paired=second), 0.0


def _two_columns(data: Data, rng: np.random.Generator) -> tuple[Floats, Floats]:
    common = data.scores(rng)
    return tuple(np.sqrt(0.5) * common + np.sqrt(0.5) * data.scores(rng) for _ in range(2))


def _correlation(measure: Any, truth: float, data: Data, rng: np.random.Generator) -> Outcome:
    one, other = _two_columns(data, rng)
    found = jackknife_interval(
        lambda rows: measure(one[rows], other[rows]), data.image, scale="fisher"
    )
    return found, truth


def _entropies(data: Data, rng: np.random.Generator) -> tuple[Floats, Floats]:
    clean, moved = (_skewed(column) for column in _two_columns(data, rng))
    return clean, 1.3 * moved


def _defense(field: str, data: Data, rng: np.random.Generator) -> Outcome:
    both = _entropies(data, rng)
    # Sorted once, for every group's sorting is then a pass.
    orders = [np.argsort(column) for column in both]
    entropy = np.concatenate([column[order] for column, order in zip(both, orders, strict=True)])
    image, rows = np.concatenate([data.image[order] for order in orders]), data.image.size

    def defended(kept: Ints) -> ThresholdDefense:
        first = np.searchsorted(kept, rows)
        return threshold_defense(entropy[kept[:first]], entropy[kept[first:]])

    truth = _truth(f"defense {field}")
    above = entropy[:rows] > defended(np.arange(2 * rows)).threshold
    if field == "reject" and seen_on(image[:rows], above) < FEWEST_CLUSTERS:
        return None, truth
    found = jackknife_interval(lambda kept: getattr(defended(kept), field), image, scale="logit")
    return found, truth


def _effect(measure: Any, truth: float, data: Data, rng: np.random.Generator) -> Outcome:
    one, other = _two_columns(data, rng)
    found = jackknife_interval(lambda rows: measure(one[rows] + 0.5, other[rows]), data.image)
    return found, truth


def _permutation(shape: Callable[[Floats], Floats], data: Data, rng: Any) -> Outcome:
    return sign_flip_p(shape(data.scores(rng)), data.image)


def _signed_rank(data: Data, rng: np.random.Generator) -> Outcome:
    values = data.scores(rng)
    return wilcoxon_p(values, data.image)


_TRUTHS: dict[str, Callable[[Data, np.random.Generator], float]] = {
    **{name: _calibration_truth(chance) for name, chance in _CHANCES.items()},
    **{f"brier, {name}": _brier_truth(chance) for name, chance in _CHANCES.items()},
    **{
        f"overconfidence, {name}": _overconfidence_truth(chance)
        for name, chance in _CHANCES.items()
    },
    "auroc": _ranking_truth(auroc),
    "aurc": _ranking_truth(aurc),
    "defense reject": lambda data, rng: threshold_defense(*_entropies(data, rng)).reject,
    "defense auroc": lambda data, rng: threshold_defense(*_entropies(data, rng)).auroc,
}

KINDS: dict[str, Kind] = {}
for _r in (0.0, 0.02, 0.5, 0.98, 1.0):
    KINDS[f"rate {_r:g}"] = Kind(
        f"Rate of {_r:g}", "`accuracy`, `ifr`, `iv` and other rates", partial(_rate, _r)
    )
for _r in (0.02, 0.5):
    KINDS[f"rate difference {_r:g}"] = Kind(
        f"Difference of two rates of {_r:g}", "`compare`", partial(_rate_difference, _r)
    )
KINDS |= {
    "rates of families": Kind(
        "Mean of rates of 0.02, 0.1 and 0.4", "`ifr_macro`, `iv_macro`", _family_rates
    ),
    "f1 0.9": Kind("F1 of 0.9", "`f1`, `precision`, `recall`", partial(_f1, 0.9)),
    "mean, normal": Kind("Mean, normal", "`entropy_delta`, `drift`", partial(_mean, _same, 0.0)),
    "mean, exponential": Kind(
        "Mean, exponential", "`entropy`, `nll`", partial(_mean, _skewed, 1.0)
    ),
    "mean difference, normal": Kind(
        "Difference of two means, normal", "`compare`", partial(_mean_difference, _same)
    ),
    "mean difference, exponential": Kind(
        "Difference of two means, exponential", "`compare`", partial(_mean_difference, _skewed)
    ),
    "ratio": Kind("Ratio of two exponential means", "`drift_ratio`", _ratio),
}
_ERROR_METRICS = {"ece": "`ece`, `ece_debiased`", "smece": "`smece`", "ace": "`ace`"}
for _name in _ERRORS:
    for _state in _CHANCES:
        KINDS[f"{_name}, {_state}"] = Kind(
            f"`{_name}`, {_state}", _ERROR_METRICS[_name], partial(_error, _name, _state)
        )
_SOME = ("calibrated", "overconfident by 0.1", "sure, 2% wrong")
for _state in _SOME:
    KINDS[f"overconfidence, {_state}"] = Kind(
        f"`overconfidence`, {_state}", "`overconfidence`", partial(_overconfidence, _state)
    )
    KINDS[f"brier, {_state}"] = Kind(f"`brier`, {_state}", "`brier`", partial(_brier, _state))
    KINDS[f"overconfidence difference, {_state}"] = Kind(
        f"Difference of two `overconfidence`, both {_state}",
        "`compare`",
        partial(_overconfidence_difference, _state),
    )
KINDS |= {
    "ece difference, calibrated": Kind(
        "Difference of two ECE, both calibrated",
        "`compare`",
        partial(_error_difference, "calibrated", "calibrated"),
    ),
    "ece difference, overconfident": Kind(
        "Difference of two ECE, both overconfident by 0.1",
        "`compare`",
        partial(_error_difference, "overconfident by 0.1", "overconfident by 0.1"),
    ),
    "ece difference, overconfident afterwards": Kind(
        "Difference of two ECE, the second overconfident by 0.1",
        "`compare`",
        partial(_error_difference, "calibrated", "overconfident by 0.1"),
    ),
    "auroc": Kind("AUROC of confidence", "`auroc`", partial(_ranking, "auroc")),
    "aurc": Kind("Area under risk and coverage", "`aurc`", partial(_ranking, "aurc")),
    "auroc difference": Kind("Difference of two AUROC", "`compare`", _ranking_difference),
    "spearman": Kind(
        "Spearman's correlation of 0.483",
        "`verbal_alignment`",
        partial(_correlation, spearman, 6.0 / np.pi * np.arcsin(0.25)),
    ),
    "pearson": Kind(
        "Pearson's correlation of 0.5", "`drift_table.py`", partial(_correlation, pearson, 0.5)
    ),
    "defense_reject": Kind(
        "Share above the 95th percentile of clean entropies",
        "`defense_reject`, `defense_bypass`",
        partial(_defense, "reject"),
    ),
    "defense_auroc": Kind("AUROC of entropy", "`defense_auroc`", partial(_defense, "auroc")),
    "cohens_d": Kind(
        "Cohen's d of 0.5", "`drift_d`", partial(_effect, cohens_d, 0.5), variants=False
    ),
    "cohens_dz": Kind(
        "Paired d of 0.5", "`drift_dz`", partial(_effect, cohens_dz, 0.5), variants=False
    ),
    "sign flip, normal": Kind(
        "Sign-flip permutation test, normal differences",
        "`entropy_delta_p`, `compare`",
        partial(_permutation, _same),
    ),
    "sign flip, skewed": Kind(
        "Sign-flip permutation test, exponential differences",
        "`entropy_delta_p`, `compare`",
        partial(_permutation, lambda scores: _skewed(scores) - 1.0),
    ),
    "wilcoxon": Kind(
        "Wilcoxon signed-rank test on image means", "`entropy_delta_wilcoxon_p`", _signed_rank
    ),
    "ece_p": Kind("Test of calibration", "`ece_p`", _calibration_p),
}


def cells(kind: Kind, images: Sequence[int] = IMAGES) -> Iterator[Cell]:
    """Yield the designs of a kind."""
    variants = VARIANTS if kind.variants else (1,)
    for n, questions, count, shared in itertools.product(images, QUESTIONS, variants, CORRELATIONS):
        # One answer an image has nothing to correlate with.
        if questions * count > 1 or not shared:
            yield Cell(n, questions, count, shared)


@dataclass(frozen=True)
class Result:
    """A cell's outcome.

    Attributes:
        kind: Name of the kind.
        cell: The design.
        share: Share of intervals that hold the truth, or of tests that reject.
        width: Mean width of the intervals, None for a test.
        repeats: Repeats in which there was an interval or a p-value.
        absent: Repeats in which there was none.
    """

    kind: str
    cell: Cell
    share: float
    width: float | None
    repeats: int
    absent: int


def measure(name: str, cell: Cell, repeats: int) -> Result:
    """Run the repeats of one kind in one cell."""
    kind = KINDS[name]
    held, widths, absent = [], [], 0
    for repeat in range(repeats):
        place = (zlib.crc32(name.encode()), cell.images, cell.questions, cell.variants)
        rng = np.random.default_rng([*place, round(100 * cell.correlation), repeat])
        outcome = kind.run(simulated(cell, rng), rng)
        if isinstance(outcome, tuple):
            found, truth = outcome
            if found is None:
                absent += 1
                continue
            held.append(found.low - 1e-9 <= truth <= found.high + 1e-9)
            widths.append(found.high - found.low)
        elif outcome is None:
            absent += 1
        else:
            held.append(outcome < 0.05)
    share = float(np.mean(held)) if held else np.nan
    return Result(name, cell, share, float(np.mean(widths)) if widths else None, len(held), absent)


def _measure(job: tuple[str, Cell, int]) -> Result:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return measure(*job)


def repeats_of(cell: Cell, repeats: int) -> int:
    """Return the repeats of a cell: fewer where there are many answers, which take long."""
    rows = cell.images * (cell.questions + 1) / 2 * cell.variants
    return max(repeats // 2, min(repeats, round(repeats * 10_000 / rows)))


def main() -> None:
    """Run the cells that are not kept yet and write the page."""
    options = _options()
    images = IMAGES[:2] if options.small else IMAGES
    kept = _kept(options.kept)
    names = [name for name in KINDS if not options.only or options.only in name]
    jobs = [
        (name, cell, repeats_of(cell, options.repeats))
        for name in names
        for cell in cells(KINDS[name], images)
        if (name, cell) not in kept
    ]
    # The longest first, so that no process waits for another at the end.
    jobs.sort(key=lambda job: -job[1].images * job[1].questions * job[1].variants)
    with ProcessPoolExecutor(options.workers) as pool:
        running = [pool.submit(_measure, job) for job in jobs]
        bar = tqdm(as_completed(running), total=len(jobs), disable=not sys.stderr.isatty())
        for result in (future.result() for future in bar):
            kept[result.kind, result.cell] = result
            if options.kept:
                with options.kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(result)) + "\n")
    order = {name: n for n, name in enumerate(KINDS)}
    text = page(sorted(kept.values(), key=lambda r: order[r.kind]))
    if options.output is None:
        print(text)
    else:
        options.output.write_text(text, encoding="utf-8")


def _kept(path: Path | None) -> dict[tuple[str, Cell], Result]:
    if path is None or not path.exists():
        return {}
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    results = [Result(**{**record, "cell": Cell(**record["cell"])}) for record in records]
    return {(result.kind, result.cell): result for result in results if result.kind in KINDS}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1000, help="of a cell of few answers")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--output", type=Path, help="file to write; printed if left out")
    parser.add_argument("--only", default="", help="kinds whose name holds this text")
    parser.add_argument(
        "--kept", type=Path, help="file of finished cells (JSON lines), which are not run again"
    )
    parser.add_argument("--small", action="store_true", help="10 and 30 images alone")
    return parser.parse_args()


def page(results: Sequence[Result]) -> str:
    """Write the results as Markdown."""
    lines = [_HEAD, *_unfinished(results)]
    lines += _summary(results)
    for name, kind in KINDS.items():
        rows = [result for result in results if result.kind == name]
        if rows:
            lines += _table(kind, rows)
    return "\n".join(lines) + "\n"


_HEAD = """# Measured coverage

Written by `python scripts/coverage.py --output docs/coverage.md`. How often 95% intervals hold the
truth, and how often tests reject a true null hypothesis at 5%, in percent; in brackets the mean
width. The number of repeats is given with each table: fewer in cells of many answers. The standard
error of a coverage of 95% is 0.7 with 1,000 repeats, 1.3 with 300 and 1.8 with 150, so that of a
hundred cells a few lie 2 of these away by chance.

**Images** are the clusters. **Questions** an image: 1, or a number from 1 to 18, each as likely.
**Correlation** is that between answers of one image; answers to the variants of one document
go together by 0.8. Rates have beta distributed image rates, everything else normal scores.
Truths are exact, or those of 2,000,000 answers. What each kind of interval is, and what it does
not reach: [reading the numbers](reading-the-numbers.md#how-far-a-number-may-be-off).
"""


def _unfinished(results: Sequence[Result]) -> list[str]:
    total = sum(len(list(cells(kind))) for kind in KINDS.values())
    if len(results) == total:
        return []
    return [f"{len(results):,} of {total:,} cells are measured so far; the others are left out."]


def _summary(results: Sequence[Result]) -> list[str]:
    lines = [
        "",
        "## Summary",
        "",
        "Lowest, mean and highest over all cells with as many images.",
        "",
        "| kind | 10 images | 30 and more | absent |",
        "|---|---|---|---|",
    ]
    for name, kind in KINDS.items():
        rows = [result for result in results if result.kind == name]
        few, many = ([r for r in rows if (r.cell.images < 30) == side] for side in (True, False))
        if rows:
            total = sum(r.repeats + r.absent for r in rows)
            absent = sum(r.absent for r in rows) / total
            lines.append(f"| {kind.title} | {_range(few)} | {_range(many)} | {absent:.1%} |")
    return lines


def _range(rows: Sequence[Result]) -> str:
    shares = [100 * row.share for row in rows if row.repeats]
    if not shares:
        return ""
    return f"{min(shares):.1f} / {np.mean(shares):.1f} / {max(shares):.1f}"


def _table(kind: Kind, rows: Sequence[Result]) -> list[str]:
    columns = sorted({(row.cell.variants, row.cell.correlation) for row in rows})
    heads = [f"{variants} var., {shared:g}" for variants, shared in columns]
    counts = [row.repeats + row.absent for row in rows]
    fewest, most = min(counts), max(counts)
    repeats = f"{fewest:,} repeats." if fewest == most else f"{fewest:,} to {most:,} repeats."
    lines = ["", f"## {kind.title}", "", f"For {kind.metrics}. {repeats}{kind.note}", ""]
    lines += [f"| images | questions | {' | '.join(heads)} |", "|---" * (2 + len(heads)) + "|"]
    for images, questions in sorted({(row.cell.images, row.cell.questions) for row in rows}):
        found = {
            (row.cell.variants, row.cell.correlation): row
            for row in rows
            if (row.cell.images, row.cell.questions) == (images, questions)
        }
        texts = [_cell(found.get(column)) for column in columns]
        lines.append(
            f"| {images} | {'1' if questions == 1 else f'1-{questions}'} | {' | '.join(texts)} |"
        )
    return lines


def _cell(row: Result | None) -> str:
    if row is None:
        return ""
    if not row.repeats:
        return "none"
    width = "" if row.width is None else f" ({row.width:.3f})"
    return f"{100 * row.share:.1f}{width}"


if __name__ == "__main__":
    main()
