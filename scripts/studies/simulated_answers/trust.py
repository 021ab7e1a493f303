"""What is fitted on clean answers, and what comes of it on perturbed ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import expit, ndtr

from simulated_answers.design import Answers, Data, Floats, Generator, Kind
from vlm_confidence_tasks.metrics import auroc, metrics_for
from vlm_confidence_tasks.metrics.functional.error_detection import best_pair
from vlm_confidence_tasks.metrics.functional.recalibration import (
    LEAST_PROBABILITY,
    fit_temperature,
)


@dataclass(frozen=True)
class Shift:
    """Answers to two-label questions, clean and perturbed, and a signal of clean errors.

    Attributes:
        clean: Confidence in the given label when clean, [D].
        right: Whether the clean answer is right, [D].
        moved: Confidence when perturbed, [N].
        chance: The chance that the perturbed answer is right, [N].
        hit: Whether it is, [N].
        signal: The signal, [D].
    """

    clean: Floats
    right: Floats
    moved: Floats
    chance: Floats
    hit: Floats
    signal: Floats


def _shifted(data: Data, rng: Generator) -> Shift:
    """Draw answers that are overconfident when clean, and more so and less sure when perturbed."""
    each = data.cell.variants
    base = rng.beta(2.0, 1.0, data.document.max() + 1)
    clean = 0.5 + 0.5 * base
    moved = np.clip(0.5 + 0.4 * base[data.document] + rng.normal(0, 0.03, data.image.size), 0.5, 1)
    common = data.scores(rng)
    first, other = (np.sqrt(0.7) * common + np.sqrt(0.3) * data.scores(rng) for _ in range(2))
    right = (ndtr(first[::each]) < clean - 0.1).astype(np.float64)
    chance = moved - 0.15
    return Shift(
        clean=clean,
        right=right,
        moved=moved,
        chance=chance,
        hit=(ndtr(other) < chance).astype(np.float64),
        signal=rng.normal(size=clean.size) - 0.5 * right,
    )


def _saturated(data: Data, rng: Generator) -> Shift:
    """Draw confidences of which 90% are exactly 1, and none tells the 5% wrong answers."""
    each, size = data.cell.variants, data.image.size
    sure, moved = (np.where(rng.random(size) < 0.9, 1.0, rng.uniform(0.5, 1, size)) for _ in "ab")
    right, hit = (data.events(rng, 0.95) for _ in "ab")
    clean = sure[::each]
    return Shift(clean, right[::each], moved, np.full(size, 0.95), hit, rng.normal(size=clean.size))


def _drawn(shift: Callable[[Data, Generator], Shift], data: Data, rng: Generator) -> list[Answers]:
    """Draw the table of clean and perturbed answers: label 0 is always right."""
    drawn = shift(data, rng)

    def columns(sure: Floats, right: Floats, entropy: Floats) -> dict[str, Floats]:
        gold = np.where(right > 0, sure, 1.0 - sure)
        return {
            "confidence": sure,
            "correct": right,
            "probs": np.column_stack([gold, 1.0 - gold]),
            "answer": (1 - right).astype(np.intp),
            "gold": np.zeros(sure.size, np.intp),
            "uniform": np.full(sure.size, 0.5),
            "entropy": entropy,
            # There are no other signals.
            "labelled": np.zeros(sure.size, np.bool_),
            "stated": np.full(sure.size, np.nan),
            **dict.fromkeys(("drift", "layer_entropy"), np.full((sure.size, 1), np.nan)),
        }

    clean = columns(drawn.clean, drawn.right, drawn.signal)
    return [data.pairs(clean, columns(drawn.moved, drawn.hit, np.full(drawn.hit.size, np.nan)))]


def _repaired(
    shift: Callable[[Data, Generator], Shift], field: str, data: Data, rng: Generator
) -> float:
    """Scale by the temperature of all clean answers."""
    answers = shift(data, rng)
    right = np.where(answers.right > 0, answers.clean, 1.0 - answers.clean)
    temperature = fit_temperature(np.column_stack([right, 1.0 - right]), np.zeros(right.size, int))
    least = LEAST_PROBABILITY
    odds = np.log(answers.moved / np.maximum(1.0 - answers.moved, least)) / (temperature or np.nan)
    sure, chance = expit(odds), answers.chance
    if field == "temperature":
        return float(temperature or np.nan)
    if field == "nll_ts":
        sure = np.clip(sure, 1e-12, 1.0 - 1e-12)
        return float(-(chance * np.log(sure) + (1.0 - chance) * np.log(1.0 - sure)).mean())
    if field == "brier_top_ts":
        return float((chance * (1.0 - sure) ** 2 + (1.0 - chance) * sure**2).mean())
    bins = np.searchsorted(np.arange(1, 15) / 15, sure)
    return float(np.abs(np.bincount(bins, chance - sure)).sum() / sure.size)


def _promised(field: str, data: Data, rng: Generator) -> float:
    """Set the threshold of sets, or of confidence, on all clean answers."""
    answers = _shifted(data, rng)
    wrong = np.where(answers.right > 0, 1.0 - answers.clean, answers.clean)
    threshold, least = np.quantile(wrong, 0.9), np.quantile(answers.clean, 0.2)
    both = (1.0 - answers.moved <= threshold, answers.moved <= threshold)
    given = answers.moved >= least
    return {
        "hit_90": float(np.mean(np.where(answers.hit > 0, *both))),
        "set_size_90": float(np.mean(both[0]) + np.mean(both[1])),
        "answered_80": float(np.mean(given)),
        "risk_80": float(1.0 - answers.chance[given].mean()),
    }[field]


def _gained(field: str, data: Data, rng: Generator) -> float:
    answers = _shifted(data, rng)
    wrong, doubt = 1.0 - answers.right, 1.0 - answers.clean
    signals = np.column_stack([doubt, answers.signal])
    joined = best_pair(signals, wrong)
    signal = answers.signal if joined is None or "pair" not in field else joined.chance(signals)
    return float((auroc(signal, wrong) or np.nan) - (auroc(doubt, wrong) or np.nan))


_TRUTHS: dict[Callable[[str, Data, Generator], float], tuple[str, ...]] = {
    partial(_repaired, _shifted): ("temperature", "ece_ts", "nll_ts", "brier_top_ts"),
    _promised: ("hit_90", "set_size_90", "risk_80", "answered_80"),
    _gained: ("error_auroc_gain_entropy", "error_auroc_gain_pair"),
}
KINDS = {
    name: Kind(
        f"`{name}`",
        f"`{name}`",
        metrics_for(())[name].interval,
        partial(_drawn, _shifted),
        partial(truth, name),
        variants=truth is not _gained,
    )
    for truth, names in _TRUTHS.items()
    for name in names
}
KINDS |= {
    f"{name}, saturated": Kind(
        f"`{name}`, 90% at exactly 1, 5% wrong",
        f"`{name}`",
        metrics_for(())[name].interval,
        partial(_drawn, _saturated),
        partial(_repaired, _saturated, name),
    )
    for name in ("temperature", "ece_ts", "nll_ts", "brier_top_ts")
}
