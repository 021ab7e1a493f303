"""From the records of the catalogue to the metrics of a task: the one place that spells names.

A name is made of the record's name, the prefix of the source of the confidence, the channel,
band or family, and the suffix of the side. Nothing takes a name apart again.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers, Source
from vlm_confidence_tasks.metrics.catalogue import GROUPS, Group
from vlm_confidence_tasks.metrics.catalogue.metric import Metric, Side
from vlm_confidence_tasks.metrics.functional.spectra import BANDS
from vlm_confidence_tasks.metrics.inference.clusters import LEVEL, Interval
from vlm_confidence_tasks.metrics.inference.ranks import Standing, level_among
from vlm_confidence_tasks.metrics.statistics.means import Loss, Mean, PerImage, Rate
from vlm_confidence_tasks.metrics.statistics.statistic import Statistic
from vlm_confidence_tasks.types import CHANNELS, Measure

# How the 95% intervals are made, in words.
METHODS = (
    "rates by Korn and Graubard, means by a studentized bootstrap, calibration errors by "
    "inverting a test, all others by the jackknife"
)
# Prefix of the names, and the confidence and the labels' probabilities in words.
_SOURCES: dict[Source, tuple[str, str, str]] = {
    "generated": ("", "unparsed answers left out", "probabilities"),
    "stated": ("verbal_", "stated certainty, unparsed answers left out", ""),
    "options": ("loglik_", "shares of options", "shares of options"),
}
_REQUIRED: dict[Source, frozenset[Measure]] = {
    "generated": frozenset(),
    "stated": frozenset({"verbal"}),
    "options": frozenset({"loglik"}),
}


@dataclass(frozen=True)
class Selection:
    """Which answers of a table a metric is of: calling it gives the view.

    Attributes:
        source: What the confidence is read from.
        side: The side.
        channel: The channel of vectors, "" for all.
        band: The band of the spectrum, "" for all.
        family: The family of perturbations, "" for all that count.
    """

    source: Source
    side: Side
    channel: str = ""
    band: str = ""
    family: str = ""

    def __call__(self, answers: Answers) -> Answers:
        """Return the view of the whole table of a task."""
        if self.family:
            return answers.of_family(self.family)
        if self.channel:
            answers = answers.of_channel(self.channel)
        if self.band:
            answers = answers.of_band(self.band)
        return self.side.view(answers.once(_Read(self.source)))


@dataclass(frozen=True)
class _Read:
    source: Source

    def __call__(self, answers: Answers) -> Answers:
        return answers.read_from(self.source)


@dataclass(frozen=True)
class NamedMetric:
    """One number of a task's results.

    Attributes:
        name: Its name.
        record: The record that it is of.
        selection: Which answers it is of.
        description: What it means, in one line.
        requires: What a task must measure for it to exist.
        floor: The metric that it is to be held against; None for most.
        formerly: Its name in release 0.1.0; "" if that is the same, or it is new.
    """

    name: str
    record: Metric
    selection: Selection
    description: str
    requires: frozenset[Measure]
    floor: str | None
    formerly: str

    @property
    def statistic(self) -> Statistic:
        """How it is computed and how its interval is made."""
        return self.record.statistic

    @property
    def higher_is_better(self) -> bool | None:
        """Which way is better; None for neither."""
        return self.record.higher_is_better

    @property
    def is_p(self) -> bool:
        """Whether it is a p-value."""
        return self.record.is_p

    @property
    def is_core(self) -> bool:
        """Whether a task shows it unless it lists others."""
        return self.selection.side in self.record.core and self.selection.source == (
            self.record.source
        )

    def view(self, answers: Answers) -> Answers:
        """Return the answers that it is of."""
        return answers.once(self.selection)

    def value(self, answers: Answers) -> float | None:
        """Return the number of a task's whole table; None if it could not be computed."""
        return self.statistic.value(self.view(answers))

    def interval(self, answers: Answers, level: float = LEVEL) -> Interval | None:
        """Return its interval over images; None where there is none."""
        return self.statistic.interval(self.view(answers), level)

    def standing(self, answers: Answers, models: int) -> Standing | None:
        """Return what tells its rank among so many models; None where it has no interval."""
        influence = self.statistic.influence(self.view(answers), int(answers.image.max()) + 1)
        level = level_among(models, paired=influence is not None)
        found = self.interval(answers, level)
        return None if found is None else Standing(found, level, influence)

    def difference(self, first: Answers, second: Answers, level: float = LEVEL) -> Interval | None:
        """Return the interval of the second table's number less the first's, paired by image."""
        return self.statistic.difference(self.view(first), self.view(second), level)


@dataclass(frozen=True)
class Number:
    """A metric's value and its 95% interval, None where there is none.

    Attributes:
        influence: Of a mean with an interval, the share of its variance that one image carries.
    """

    value: float
    low: float | None = None
    high: float | None = None
    influence: float | None = None


def metrics_for(
    families: Iterable[str], provides: Collection[Measure] | None = None
) -> dict[str, NamedMetric]:
    """Return the metrics of a task by name, in the order of tables.

    Args:
        families: Of the perturbations, in the order of their flip rates.
        provides: What the task measures besides its answers; None for all.

    >>> [name for name in metrics_for(["noise"], frozenset()) if "noise" in name]
    ['ifr_noise', 'iv_noise', 'ece_noise', 'ece_floor_noise']
    """
    named = (metric for group in GROUPS for metric in _named(group, tuple(families)))
    return {m.name: m for m in named if provides is None or m.requires <= set(provides)}


def _named(group: Group, families: Sequence[str]) -> Iterator[NamedMetric]:
    """Yield the metrics of a group, for one source, channel, band or family after the other."""
    if group.per is None:
        records = [each for record in group.records for each in _weighed(record)]
        for source in _SOURCES:
            for record in records:
                if source == record.source:
                    yield from _sided(record, source, "", {})
                elif source in record.also:
                    yield from _sided(record, source, _SOURCES[source][0], {})
        return
    parts = {"channel": CHANNELS, "band": BANDS, "family": families}
    for part in parts[group.per]:
        for record in group.records:
            yield from _sided(record, record.source, "", {group.per: part})


def _weighed(record: Metric) -> Iterator[Metric]:
    """Yield a record, and the one in which images weigh alike, if it has that."""
    yield record
    mean = record.statistic
    if record.per_image and isinstance(mean, Mean):
        # Of an image a rate is no event, but a number in [0, 1].
        mean = Loss(mean.take, mean.within) if isinstance(mean, Rate) else mean
        yield replace(
            record,
            name=f"{record.name}_per_image",
            statistic=PerImage(mean),
            description=f"{record.description}; images weigh alike",
            # Limits that send a reader to this metric are not its own.
            limits="" if "{per_image}" in record.limits else record.limits,
            core=(),
            formerly="",
        )


def _sided(
    record: Metric, source: Source, prefix: str, part: dict[str, str]
) -> Iterator[NamedMetric]:
    for side in record.sides:
        floor = f"{prefix}{record.floor.format(**part)}{side.suffix}" if record.floor else None
        _, confidence, probabilities = _SOURCES[source]
        text = record.description.format(
            images=side.images,
            floor=floor,
            confidence=confidence,
            probabilities=probabilities,
            **part,
        )
        formerly = f"{prefix}{record.formerly}{side.suffix}" if record.formerly else ""
        limits = record.limits.format(per_image=f"{prefix}{record.name}_per_image{side.suffix}")
        yield NamedMetric(
            name=f"{prefix}{record.name.format(**part)}{side.suffix}",
            record=record,
            selection=Selection(source, side, **part),
            description=f"{text}; {limits}" if limits else text,
            requires=record.requires | _REQUIRED[source],
            floor=floor,
            formerly=formerly,
        )


def current_names(names: Iterable[str], known: Mapping[str, NamedMetric]) -> list[str]:
    """Return names of metrics as they are now, with a warning for each that was renamed.

    Args:
        names: As a user gave them; one that is no metric stays as it is.
        known: The metrics that there are.
    """
    renamed = {metric.formerly: name for name, metric in known.items() if metric.formerly}
    current = {name: name if name in known else renamed.get(name, name) for name in names}
    for name, now in current.items():
        if name != now:
            line = f"metric {name} is now {now}: its old name goes with the next release"
            warnings.warn(line, FutureWarning, stacklevel=3)
    return list(current.values())


def measured_in(answers: Answers) -> frozenset[Measure]:
    """Return what a table holds besides answers."""
    found: dict[Measure, bool] = {
        "verbal": bool(answers.asked_certainty.any()),
        "loglik": bool((~np.isnan(answers.option_scores)).any()),
        "representations": bool(answers.inside.any()),
        "same_question": bool((~np.isnan(answers.control_same)).any()),
        "attacks": bool((answers.goal >= 0).any()),
        "object_noise": bool((~np.isnan(answers.noise_confidence)).any()),
    }
    return frozenset(measure for measure, held in found.items() if held)


def measure(
    answers: Answers, names: Collection[str] | None = None, intervals: bool = True
) -> dict[str, Number]:
    """Compute every metric that can be computed, or those of `names`; others are absent.

    Args:
        answers: The table of a task.
        names: The metrics; None for all.
        intervals: Whether each has its 95% interval.

    Raises:
        ValueError: A number that a metric uses is out of range.
    """
    numbers = {}
    known = metrics_for(answers.families, measured_in(answers))
    wanted = known.keys() if names is None else set(current_names(names, known))
    for name, metric in known.items():
        value = metric.value(answers) if name in wanted else None
        if value is not None:
            found = metric.interval(answers) if intervals else None
            ends = (found.low, found.high, found.influence) if found else ()
            numbers[name] = Number(value, *ends)
    return numbers


def values(answers: Answers, names: Collection[str] | None = None) -> dict[str, float]:
    """Compute every metric that can be computed, or those of `names`, without intervals.

    Raises:
        ValueError: A number that a metric uses is out of range.
    """
    return {name: found.value for name, found in measure(answers, names, intervals=False).items()}
