"""Images with 1 to 200 questions, of which those with many are harder and less sure.

Sizes are log-uniform, or fall as 1 / n^2: then large images are rare, and make much of the number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter

import numpy as np
from scipy.special import ndtr

from simulated_answers.design import STATISTICS, Answers, Data, Floats, Generator, Ints, Kind
from vlm_confidence_tasks.metrics import Mean, calibration_test
from vlm_confidence_tasks.metrics.statistics.means import PerImage

SIZES = np.arange(1, 201)
_SHARES: dict[str, Floats] = {
    "1 to 200 questions an image": np.log1p(1.0 / SIZES),
    "1 to 200 questions an image, many on few": 1.0 / SIZES**2.0,
}


def _chance(size: Ints) -> Floats:
    """Return the confidence about images of a size, and the chance to be right."""
    chance: Floats = 0.9 - 0.35 * np.log(size) / np.log(SIZES[-1])
    return chance


def _drawn(share: Floats, data: Data, rng: Generator) -> list[Answers]:
    """Draw calibrated confidences, right answers of two labels, and skewed entropies."""
    size = rng.choice(SIZES, data.cell.images, p=share / share.sum())
    image = np.repeat(np.arange(size.size), size)
    laid_out = Data(image=image, document=np.arange(image.size), cell=data.cell)
    confidence = _chance(size[image]) + rng.uniform(-0.05, 0.05, image.size)
    right = ndtr(laid_out.scores(rng)) < confidence
    entropy = -np.log(ndtr(-laid_out.scores(rng))) * (1.0 - _chance(size[image]))
    gold = np.where(right, confidence, 1.0 - confidence)
    labels = {
        "probs": np.column_stack([gold, 1.0 - gold]),
        "answer": (~right).astype(np.intp),
        "gold": np.zeros(right.size, np.intp),
        "uniform": np.full(right.size, 0.5),
    }
    numbers = {"confidence": confidence, "correct": right * 1.0, "entropy": entropy}
    return [laid_out.table(**numbers, **labels).documents]


def _mean(share: Floats, of: Callable[[Ints], Floats], per_image: bool) -> float:
    """Return the mean over answers, or over images, of what depends on the image's size."""
    return float(np.average(of(SIZES), weights=share if per_image else share * SIZES))


def _population(share: Floats) -> tuple[Floats, Floats]:
    """Return all confidences, falling, and how common each is, [T]."""
    spread = np.linspace(-0.05, 0.05, 101)
    confidence = (_chance(SIZES)[:, None] + spread).ravel()
    weight = np.repeat(share * SIZES, spread.size)
    order = np.argsort(-confidence)
    return confidence[order], weight[order] / weight.sum()


def _auroc(share: Floats, data: Data, rng: Generator) -> float:
    confidence, weight = _population(share)
    right, wrong = weight * confidence, weight * (1.0 - confidence)
    beaten = 1.0 - np.cumsum(wrong) / wrong.sum() + 0.5 * wrong / wrong.sum()
    return float((right * beaten).sum() / right.sum())


def _aurc(share: Floats, data: Data, rng: Generator) -> float:
    confidence, weight = _population(share)
    risk = np.cumsum(weight * (1.0 - confidence)) / np.cumsum(weight)
    return float((weight * risk).sum())


def _augrc(share: Floats, data: Data, rng: Generator) -> float:
    confidence, weight = _population(share)
    return float((weight * np.cumsum(weight * (1.0 - confidence))).sum())


def _calibration_p(answers: Answers) -> float:
    columns = (answers.confidence, answers.correct, answers.document, answers.image)
    return calibration_test(*columns).p


_ENTROPY = Mean(attrgetter("entropy"))
_NUMBERS = STATISTICS | {"entropy": _ENTROPY, "entropy_per_image": PerImage(_ENTROPY)}
_MEANS: dict[str, Callable[[Ints], Floats]] = {
    "accuracy": _chance,
    "entropy": lambda size: 1.0 - _chance(size),
    "overconfidence": lambda size: 0.0 * size,
}
KINDS = {
    f"{name}{end}, {sizes}": Kind(
        f"`{name}{end}`, {sizes}",
        f"`{name}{end}`",
        _NUMBERS[f"{name}{end}"].interval,
        partial(_drawn, share),
        _mean(share, of, bool(end)),
        variants=False,
        questions=(200,),
    )
    for sizes, share in _SHARES.items()
    for name, of in _MEANS.items()
    for end in ("", "_per_image")
}
KINDS |= {
    f"{name}, {sizes}": Kind(
        f"`{name}`, calibrated, {sizes}",
        f"`{name}`",
        STATISTICS[name].interval,
        partial(_drawn, share),
        partial(truth, share) if callable(truth) else truth,
        variants=False,
        questions=(200,),
    )
    for sizes, share in _SHARES.items()
    for name, truth in (
        *(("ece", 0.0), ("temperature", 1.0)),
        *(("auroc", _auroc), ("aurc", _aurc), ("augrc", _augrc)),
    )
}
KINDS |= {
    f"ece_p, {sizes}": Kind(
        f"Test of calibration, {sizes}",
        "`ece_p`",
        _calibration_p,
        partial(_drawn, share),
        variants=False,
        questions=(200,),
    )
    for sizes, share in _SHARES.items()
}
