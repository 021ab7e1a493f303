"""Numbers of hidden states and image spectra, by the rules of `generated_answers`.

A Readout without representations gives no number, nor does one in which the number does
not exist (the energy of tokens without a grid).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vlm_confidence_tasks.metrics.functional.calibration import log_probability
from vlm_confidence_tasks.metrics.functional.spectra import relative_change
from vlm_confidence_tasks.metrics.sample import Sample
from vlm_confidence_tasks.types import Inside, Readout

Readouts = Sequence[Readout]

CHANNELS = ("context", "answer", "vision")


def drift(channel: str, sample: Sample, readouts: Readouts) -> list[float]:
    """1 - cos of each vector with the clean image's."""
    return [i.drift[channel] for i in _insides(readouts) if channel in i.drift]


def stability(channel: str, sample: Sample, readouts: Readouts) -> list[float]:
    """Cosine of each vector with the clean image's."""
    return [1.0 - moved for moved in drift(channel, sample, readouts)]


def distance(channel: str, sample: Sample, readouts: Readouts) -> list[float]:
    """L2 distance of each vector to the clean image's."""
    return [i.distance[channel] for i in _insides(readouts) if channel in i.distance]


def unflipped(channel: str, sample: Sample, readouts: Readouts) -> list[float]:
    """Drift of each instance whose answer is the clean one's."""
    if not sample.labels:
        return []
    same = [r for r in readouts if r.answer == sample.clean.answer]
    return drift(channel, sample, same)


def control(channel: str, sample: Sample, readouts: Readouts) -> list[float]:
    """Mean drift between the clean image and other images, once for each drift.

    So control and drift weigh samples alike, and the ratio of the means is the drift ratio.
    """
    found = [i.control[channel] for i in _insides([sample.clean]) if channel in i.control]
    return found * len(drift(channel, sample, readouts))


def control_same(channel: str, sample: Sample, readouts: Readouts) -> list[float]:
    """Mean drift to the same question about other images, once for each drift."""
    insides = _insides([sample.clean])
    found = [i.control_same[channel] for i in insides if channel in i.control_same]
    return found * len(drift(channel, sample, readouts))


def to_prior(sample: Sample, readouts: Readouts) -> list[float]:
    """How much nearer each answer's margin is to that of a blank image than the clean one's.

    |m(clean) - m(blank)| - |m(variant) - m(blank)| in nats, with m = ln p(base) - ln p(best
    other) and the label that is likeliest on the *blank* image as base, the first of equals:
    the clean answer as base would select the clean margin upwards. Of two labels, either
    gives the same number.
    """
    inside, probs = sample.clean.inside, sample.clean.probs
    if inside is None or inside.prior_probs is None or probs is None:
        return []
    base = max(inside.prior_probs, key=inside.prior_probs.__getitem__)
    blank, clean = _margin(inside.prior_probs, base), _margin(probs, base)
    moved = [_margin(r.probs, base) for r in readouts if r.probs is not None]
    return [abs(clean - blank) - abs(margin - blank) for margin in moved]


def to_prior_context(sample: Sample, readouts: Readouts) -> list[float]:
    """How much nearer each context is to that of a blank image than the clean one's.

    (1 - cos(clean, blank)) - (1 - cos(variant, blank)).
    """
    inside = sample.clean.inside
    clean = None if inside is None else inside.prior_drift
    if clean is None:
        return []
    return [clean - i.prior_drift for i in _insides(readouts) if i.prior_drift is not None]


def dirichlet_delta(sample: Sample, readouts: Readouts) -> list[float]:
    """Energy of each variant's vision tokens minus the clean image's."""
    return [change for r in readouts if (change := energy_change(sample, r)) is not None]


def spectral_delta(band: str, sample: Sample, readouts: Readouts) -> list[float]:
    """Relative change of each image's power in a band."""
    return [change for r in readouts if (change := power_change(band, sample, r)) is not None]


def spectral_delta_flipped(band: str, sample: Sample, readouts: Readouts) -> list[float]:
    """The same for the instances whose answer is another than the clean one's."""
    if not sample.labels:
        return []
    flipped = [r for r in readouts if r.answer != sample.clean.answer]
    return spectral_delta(band, sample, flipped)


def energy_change(sample: Sample, readout: Readout) -> float | None:
    """Energy of one variant's vision tokens minus the clean image's, None without both."""
    one, other = sample.clean.inside, readout.inside
    if one is None or other is None:
        return None
    if one.dirichlet_energy is None or other.dirichlet_energy is None:
        return None
    return other.dirichlet_energy - one.dirichlet_energy


def power_change(band: str, sample: Sample, readout: Readout) -> float | None:
    """Relative change of one image's power in a band, None without both or of nothing."""
    one, other = sample.clean.inside, readout.inside
    if one is None or other is None or band not in one.spectrum or band not in other.spectrum:
        return None
    return relative_change(one.spectrum[band], other.spectrum[band])


def score_change(sample: Sample, readout: Readout) -> float | None:
    """p(right label) of one variant minus the clean image's, None where there is none."""
    gold, one, other = sample.gold, sample.clean.probs, readout.probs
    if gold is None or one is None or other is None:
        return None
    return other[gold] - one[gold]


def _insides(readouts: Readouts) -> list[Inside]:
    return [r.inside for r in readouts if r.inside is not None]


def _margin(probs: Mapping[str, float], base: str) -> float:
    best = max(value for label, value in probs.items() if label != base)
    return log_probability(probs[base]) - log_probability(best)
