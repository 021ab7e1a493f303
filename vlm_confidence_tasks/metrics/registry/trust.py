"""Whether what is repaired or promised on clean images survives the perturbation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any

from vlm_confidence_tasks.metrics import cross_fitted, trust
from vlm_confidence_tasks.metrics.cross_fitted import BASE, CrossFit, Side
from vlm_confidence_tasks.metrics.extractors import generated_answers as answers
from vlm_confidence_tasks.metrics.extractors import trust as extract
from vlm_confidence_tasks.metrics.extractors import verbal_confidence as verbal
from vlm_confidence_tasks.metrics.inference.clusters import Interval
from vlm_confidence_tasks.metrics.metric import Extract, Metric
from vlm_confidence_tasks.metrics.reducers import Values
from vlm_confidence_tasks.metrics.registry.kinds import (
    ALWAYS,
    DOWN,
    LOGLIK,
    NEITHER,
    REPRESENTATIONS,
    UP,
    VERBAL,
)

_SIDES: tuple[tuple[str, Side, str], ...] = (
    ("", "perturbed", "perturbed images"),
    ("_clean", "clean", "clean images"),
)

# What a fitted table is reduced to, and how the interval of that is made.
Reduced = tuple[Callable[..., float | None], Callable[..., Interval | None]]
ERROR: Reduced = (trust.calibration_error, trust.of_error)
AUROC: Reduced = (trust.error_auroc, trust.of_error_auroc)
GAIN: Reduced = (trust.auroc_gain, trust.of_auroc_gain)
PAIR_AUROC: Reduced = (trust.pair_auroc, trust.of_pair_auroc)
PAIR_GAIN: Reduced = (trust.pair_gain, trust.of_pair_gain)

_LABELS = partial(extract.distributions, extract.LABELS)
_OPTIONS = partial(extract.distributions, extract.OPTIONS)
_TOKEN = partial(extract.confidences, answers.calibrated)
_STATED = partial(extract.confidences, verbal.calibrated)

# Signals of an error but 1 - confidence: name, what is required, and words for it.
_SIGNALS = (
    ("entropy", ALWAYS, "entropy"),
    ("verbal", VERBAL, "1 - stated certainty"),
    ("visual_entropy", ALWAYS, "entropy of the answers to clean and perturbed images"),
    ("drift", REPRESENTATIONS, "drift of the context when perturbed"),
    ("layer_entropy", REPRESENTATIONS, "entropy of the middle layer"),
)


# What tasks list that list all calibration.
_OLDER = ("ece", "brier", "auroc", "aurc")


def metrics() -> Iterator[Metric]:
    """Yield repaired confidences, conformal sets, selective answers and signals of errors."""
    stated = "stated certainty, by isotonic regression on clean ones"
    for prefix, found in (
        ("", _scaled("", _LABELS, "probabilities", ALWAYS)),
        ("loglik_", _scaled("loglik_", _OPTIONS, "shares of options", LOGLIK)),
        ("verbal_", _repaired("verbal_{}_iso", _STATED, cross_fitted.repaired, stated, VERBAL)),
        ("", _sets("", cross_fitted.lac_sets, "LAC")),
        ("", _sets("aps_", cross_fitted.aps_sets, "randomised APS")),
        ("", _given()),
        ("", _errors()),
    ):
        older = frozenset(f"{prefix}{name}" for name in _OLDER)
        yield from (replace(metric, beside=older) for metric in found)


def _ratio(interval: Callable[..., Interval | None], above: str, below: str = "one") -> Reduced:
    """Divide the sum of one column by that of another; "one" is 1 of every answer."""
    shown = {"above": above} if below == "one" else {"above": above, "below": below}
    reduce: Callable[..., float | None] = trust.ratio
    return partial(reduce, **shown), partial(interval, **shown)


@cache
def _fit(fit: Callable[[Side, Values], CrossFit], side: Side) -> Callable[[Values], CrossFit]:
    """Return one function for all metrics of a fit, so that it is made once for them."""
    return partial(fit, side)


def _both(
    name: str,
    values: Extract,
    fit: Callable[[Side, Values], CrossFit],
    reduced: Reduced,
    better: bool | None,
    text: str,
    requires: frozenset[str] = ALWAYS,
) -> Iterator[Metric]:
    """Yield a metric on perturbed and on clean images."""
    for end, side, images in _SIDES:
        line, made = text.format(images=images), _fit(fit, side)
        yield _metric(name + end, values, made, reduced, better, line, requires)


def _metric(
    name: str,
    values: Extract,
    fit: Callable[[Values], Any],
    reduced: Reduced,
    better: bool | None,
    text: str,
    requires: frozenset[str] = ALWAYS,
) -> Metric:
    reduce, interval = reduced
    made = partial(interval, fit)
    return Metric(name, values, partial(reduce, fit), made, requires, better, text)


def _scaled(prefix: str, values: Extract, what: str, requires: frozenset[str]) -> Iterator[Metric]:
    text = f"temperature of {what} that gives clean images the least NLL; over 1: overconfident"
    reduce, interval = trust.temperature, trust.of_temperature
    yield Metric(f"{prefix}temperature", values, reduce, interval, requires, NEITHER, text)
    text = f"{what}, scaled by clean images' temperature"
    name, fit = prefix + "{}_ts", cross_fitted.scaled
    yield from _repaired(name, values, fit, text, requires)
    line = text + ": mean -ln p(right) on {images}, in nats"
    reduced = _ratio(trust.of_mean, above="nll")
    yield from _both(name.format("nll"), values, fit, reduced, DOWN, line, requires)


def _repaired(
    name: str,
    values: Extract,
    fit: Callable[[Side, Values], CrossFit],
    text: str,
    requires: frozenset[str],
) -> Iterator[Metric]:
    line = text + ": calibration error on {images}; biased upwards"
    yield from _both(name.format("ece"), values, fit, ERROR, DOWN, line, requires)
    line = text + ": mean (confidence - correct)^2 on {images}"
    brier = _ratio(trust.of_loss, above="brier")
    yield from _both(name.format("brier"), values, fit, brier, DOWN, line, requires)


def _sets(prefix: str, fit: Callable[[Side, Values], CrossFit], what: str) -> Iterator[Metric]:
    name, covered = f"{prefix}coverage_90", _ratio(trust.of_share, above="covered")
    text = f"share of {{images}} with the right label in the 90% set ({what}) of clean images"
    yield from _both(name, _LABELS, fit, covered, NEITHER, text)
    name, size = f"{prefix}set_size_90", _ratio(trust.of_size, above="size")
    text = f"mean number of labels in the 90% set ({what}) on {{images}}"
    text += "; its interval holds in 81 to 95%"
    yield from _both(name, _LABELS, fit, size, DOWN, text)


def _given() -> Iterator[Metric]:
    at = "at the confidence that gives 80% of the clean ones"
    risk = _ratio(trust.of_share, above="wrong", below="given")
    given = _ratio(trust.of_share, above="given")
    text = f"share of wrong ones among the answers to {{images}} given {at}"
    yield from _both("risk_80", _TOKEN, cross_fitted.accepted, risk, DOWN, text)
    text = f"share of answers to {{images}} given {at}"
    yield from _both("answered_80", _TOKEN, cross_fitted.accepted, given, NEITHER, text)


def _errors() -> Iterator[Metric]:
    values, name, text = extract.signals, "error_auroc_{}", "AUROC of {} for wrong clean answers"
    base = partial(cross_fitted.one_signal, BASE)
    yield _metric(name.format(BASE), values, base, AUROC, UP, text.format("1 - confidence"))
    gain, more = "error_auroc_gain_{}", "AUROC of {} for wrong clean answers, less 1 - confidence's"
    for signal, requires, what in _SIGNALS:
        fit = partial(cross_fitted.one_signal, signal)
        line = text.format(what)
        yield _metric(name.format(signal), values, fit, AUROC, UP, line, requires)
        fit = partial(cross_fitted.signal_and_confidence, signal)
        line = more.format(what)
        yield _metric(gain.format(signal), values, fit, GAIN, UP, line, requires)
    pair, what = cross_fitted.joined_signals, "the two signals that are best on the other half"
    yield _metric(name.format("pair"), values, pair, PAIR_AUROC, UP, text.format(what))
    yield _metric(gain.format("pair"), values, pair, PAIR_GAIN, UP, more.format(what))
