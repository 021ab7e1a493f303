"""What is fitted on clean answers, and what comes of it on perturbed ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import expit, ndtr

from simulated_answers.design import TRUTHS, Data, Floats, Kind, Outcome, truth
from vlm_confidence_tasks.metrics import Columns, auroc, interval, metrics_for
from vlm_confidence_tasks.metrics.functional.error_detection import best_pair
from vlm_confidence_tasks.metrics.functional.recalibration import fit_temperature

Values = dict[str, list[dict[str, Any]]]
_METRICS = metrics_for(())
_REPAIRS = ("temperature", "ece_ts", "nll_ts", "brier_ts")
_SETS = ("coverage_90", "set_size_90")
_GIVEN = ("risk_80", "answered_80")
_GAINS = ("error_auroc_gain_entropy", "error_auroc_gain_pair")


@dataclass(frozen=True)
class Answers:
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


def _shifted(data: Data, rng: np.random.Generator) -> Answers:
    """Draw answers that are overconfident when clean, and more so and less sure when perturbed."""
    each = data.cell.variants
    base = rng.beta(2.0, 1.0, data.document.max() + 1)
    clean = 0.5 + 0.5 * base
    moved = np.clip(0.5 + 0.4 * base[data.document] + rng.normal(0, 0.03, data.image.size), 0.5, 1)
    common = data.scores(rng)
    first, other = (np.sqrt(0.7) * common + np.sqrt(0.3) * data.scores(rng) for _ in range(2))
    right = (ndtr(first[::each]) < clean - 0.1).astype(np.float64)
    chance = moved - 0.15
    return Answers(
        clean=clean,
        right=right,
        moved=moved,
        chance=chance,
        hit=(ndtr(other) < chance).astype(np.float64),
        signal=rng.normal(size=clean.size) - 0.5 * right,
    )


def _values(data: Data, answers: Answers) -> Values:
    """Write the answers down as the package's metrics extract them: label 0 is always right."""
    each = data.cell.variants

    def probs(sure: Floats, right: Floats) -> list[list[float]]:
        gold = np.where(right > 0, sure, 1.0 - sure)
        return np.column_stack([gold, 1.0 - gold]).tolist()

    def rows(column: Floats, size: int) -> list[list[float]]:
        return column.reshape(-1, size).tolist()

    clean, moved = probs(answers.clean, answers.right), probs(answers.moved, answers.hit)
    said = [(1 - right).astype(int).tolist() for right in (answers.right, answers.hit)]
    names = [str(image) for image in data.image_of]
    confidences = zip(
        *(rows(c, 1) for c in (answers.clean, answers.right)),
        *(rows(c, each) for c in (answers.moved, answers.hit)),
        strict=True,
    )
    keys = ("clean", "clean_correct", "perturbed", "perturbed_correct")
    pairs = [
        {"image_id": name, "n": each, **dict(zip(keys, columns, strict=True))}
        for name, columns in zip(names, confidences, strict=True)
    ]
    labels = [
        {
            "image_id": name,
            "n": each,
            "gold": 0,
            "uniform": 0.5,
            "clean": [clean[d]],
            "clean_answer": [said[0][d]],
            "perturbed": moved[d * each : (d + 1) * each],
            "perturbed_answer": said[1][d * each : (d + 1) * each],
        }
        for d, name in enumerate(names)
    ]
    signals = [
        {
            "image_id": name,
            "wrong": 1 - int(answers.right[d]),
            "signals": {"confidence": 1.0 - answers.clean[d], "entropy": answers.signal[d]},
        }
        for d, name in enumerate(names)
    ]
    return {"labels": labels, "pairs": pairs, "signals": signals}


def _measured(name: str, kind: str, data: Data, rng: np.random.Generator) -> Outcome:
    """Measure a metric of what is fitted on clean answers as the package does."""
    columns = Columns(_values(data, _shifted(data, rng))[kind], data.image_of)
    return interval(_METRICS[name], columns), truth(name)


def _repaired_truth(field: str, data: Data, rng: np.random.Generator) -> float:
    """Scale by the temperature of all clean answers."""
    answers = _shifted(data, rng)
    right = np.where(answers.right > 0, answers.clean, 1.0 - answers.clean)
    temperature = fit_temperature(np.column_stack([right, 1.0 - right]), np.zeros(right.size, int))
    odds = np.log(answers.moved / np.maximum(1.0 - answers.moved, 1e-12)) / (temperature or np.nan)
    sure, chance = expit(odds), answers.chance
    if field == "temperature":
        return float(temperature or np.nan)
    if field == "nll_ts":
        sure = np.clip(sure, 1e-12, 1.0 - 1e-12)
        return float(-(chance * np.log(sure) + (1.0 - chance) * np.log(1.0 - sure)).mean())
    if field == "brier_ts":
        return float((chance * (1.0 - sure) ** 2 + (1.0 - chance) * sure**2).mean())
    bins = np.searchsorted(np.arange(1, 15) / 15, sure)
    return float(np.abs(np.bincount(bins, chance - sure)).sum() / sure.size)


def _promised_truth(field: str, data: Data, rng: np.random.Generator) -> float:
    """Set the threshold of sets, or of confidence, on all clean answers."""
    answers = _shifted(data, rng)
    wrong = np.where(answers.right > 0, 1.0 - answers.clean, answers.clean)
    threshold, least = np.quantile(wrong, 0.9), np.quantile(answers.clean, 0.2)
    both = (1.0 - answers.moved <= threshold, answers.moved <= threshold)
    given = answers.moved >= least
    return {
        "coverage_90": float(np.mean(np.where(answers.hit > 0, *both))),
        "set_size_90": float(np.mean(both[0]) + np.mean(both[1])),
        "answered_80": float(np.mean(given)),
        "risk_80": float(1.0 - answers.chance[given].mean()),
    }[field]


def _error_truth(field: str, data: Data, rng: np.random.Generator) -> float:
    answers = _shifted(data, rng)
    wrong, doubt = 1.0 - answers.right, 1.0 - answers.clean
    signals = np.column_stack([doubt, answers.signal])
    joined = best_pair(signals, wrong)
    signal = answers.signal if joined is None or "pair" not in field else joined.chance(signals)
    return float((auroc(signal, wrong) or np.nan) - (auroc(doubt, wrong) or np.nan))


TRUTHS |= {
    **{name: partial(_repaired_truth, name) for name in _REPAIRS},
    **{name: partial(_promised_truth, name) for name in (*_SETS, *_GIVEN)},
    **{name: partial(_error_truth, name) for name in _GAINS},
}

KINDS = {
    name: Kind(
        f"`{name}`", f"`{name}`", partial(_measured, name, values), variants=values != "signals"
    )
    for names, values in (
        (_REPAIRS, "labels"),
        (_SETS, "labels"),
        (_GIVEN, "pairs"),
        (_GAINS, "signals"),
    )
    for name in names
}
