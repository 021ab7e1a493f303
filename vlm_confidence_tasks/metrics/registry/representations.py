"""What moves inside the model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from vlm_confidence_tasks.metrics import intervals, reducers
from vlm_confidence_tasks.metrics.extractors import representation_shift as representations
from vlm_confidence_tasks.metrics.extractors import values
from vlm_confidence_tasks.metrics.functional.spectra import BANDS
from vlm_confidence_tasks.metrics.metric import Metric
from vlm_confidence_tasks.metrics.registry.kinds import (
    MEAN,
    NEITHER,
    POSITIVE,
    REPRESENTATIONS,
    SAME_QUESTION,
    mean,
)

# Of each channel: means over perturbed answers.
_MOVES = (
    (
        "drift_{}",
        representations.drift,
        POSITIVE,
        "mean 1 - cos of {} vectors, clean and perturbed",
    ),
    (
        "drift_unflipped_{}",
        representations.unflipped,
        POSITIVE,
        "drift of {} vectors where the answer stayed",
    ),
    (
        "stability_{}",
        representations.stability,
        MEAN,
        "mean cosine of {} vectors, clean and perturbed",
    ),
    (
        "stability_l2_{}",
        representations.distance,
        POSITIVE,
        "mean L2 distance of {} vectors, clean and perturbed",
    ),
)


# What drift is held against: infix of the metrics' names, its extractor and its description.
_CONTROLS = (
    ("", representations.control, "of other images", REPRESENTATIONS),
    (
        "_same",
        representations.control_same,
        "of the same question about other images",
        SAME_QUESTION,
    ),
)


# Of each channel: drift held against the drift between images.
_AGAINST_CONTROL = (
    (
        "drift_ratio",
        reducers.drift_over_control,
        partial(intervals.of_ratio, "moved", "control"),
        "drift over control drift",
    ),
    (
        "drift_d",
        reducers.drift_effect_size,
        partial(intervals.of_reduction, reducers.drift_effect_size),
        "Cohen's d of drift against control drift",
    ),
    (
        "drift_dz",
        reducers.drift_paired_effect_size,
        partial(intervals.of_reduction, reducers.drift_paired_effect_size),
        "mean difference of drift and control drift, over the differences' SD",
    ),
)


# Of hidden states and spectra: means over perturbed answers.
_SHIFTS = (
    (
        "drift_to_prior",
        representations.to_prior,
        MEAN,
        "mean approach of the margin to a blank image's, nats",
    ),
    (
        "drift_to_prior_context",
        representations.to_prior_context,
        MEAN,
        "mean approach of the context to it",
    ),
    (
        "dirichlet_delta",
        representations.dirichlet_delta,
        MEAN,
        "mean change in energy of the vision tokens",
    ),
)


def metrics() -> Iterator[Metric]:
    """Yield drift and its controls by channel, then what has no channel."""
    moved = partial(mean, better=NEITHER, requires=REPRESENTATIONS)
    for channel in representations.CHANNELS:
        for name, numbers, interval, text in _MOVES:
            line = text.format(channel)
            yield moved(name.format(channel), partial(numbers, channel), interval, text=line)
        for control in _CONTROLS:
            yield from _against_control(channel, *control)
    for name, shift, interval, text in _SHIFTS:
        yield moved(name, shift, interval, text=text)
    for band in BANDS:
        text = f"mean relative change of the image's power, {band} band"
        yield moved(
            f"spectral_{band}_delta", partial(representations.spectral_delta, band), MEAN, text=text
        )
        flipped = partial(representations.spectral_delta_flipped, band)
        text = f"{text}, where the answer flipped"
        yield moved(f"spectral_{band}_delta_flipped", flipped, MEAN, text=text)


def _against_control(
    channel: str,
    infix: str,
    control: values.ChannelNumbers,
    others: str,
    requires: frozenset[str],
) -> Iterator[Metric]:
    name, text = f"drift_control{infix}_{channel}", f"mean 1 - cos of {channel} vectors, clean and"
    drifts = partial(control, channel)
    yield mean(name, drifts, POSITIVE, NEITHER, f"{text} {others}", requires=requires)
    extract = partial(values.drift_and_control, control, channel)
    for prefix, reduce, interval, text in _AGAINST_CONTROL:
        line = f"{text} {others}, {channel} vectors"
        name = f"{prefix}{infix}_{channel}"
        yield Metric(name, extract, reduce, interval, requires, NEITHER, line)
