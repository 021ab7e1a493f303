"""How often images show the effect that `vlm-confidence power` says they can show in 80%.

    python scripts/studies/power.py [--repeats 1600]    # docs/studies/power.md, half an hour

Brute force: by one sample the detectable effect is told; another is drawn from the same population,
and its interval is held against a value as far below the truth, and against one above it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from page_parts import STUDIES
from simulated_answers.design import Cell, simulated
from simulated_answers.means import KINDS
from simulated_answers.shapes import SHAPES
from vlm_confidence_tasks.metrics import Interval, mean_interval
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.inference.clusters import LEVEL
from vlm_confidence_tasks.metrics.inference.power import (
    MOST_SKEWNESS,
    POWER,
    Detectable,
    detectable,
    is_skewed,
    moves,
    variance_of,
)
from vlm_confidence_tasks.report.claims.verdicts import one_image_decides_at

PAGE = STUDIES / "power.md"
IMAGES = (30, 100, 300)
# More take too long where another effect is asked for.
MOST_ASKED = 100
# As a share of what is detectable: four times as many images.
ASKED = 0.5
# Of the first look of a page of claims at 12 claims.
STRICT = 1.0 - 0.05 / 12
# Fewer samples say too little.
FEWEST = 50
Generator = np.random.Generator


@dataclass(frozen=True)
class Drawn:
    """A sample of images: its interval, and how far each image moves the number, [K]."""

    interval: Interval | None
    moved: Floats


@dataclass(frozen=True)
class Design:
    """A population of images: draws a sample of so many at a level, and the truth."""

    draw: Callable[[Generator, int, float], Drawn]
    truth: float = 0.0
    level: float = LEVEL


@dataclass(frozen=True)
class Told:
    """What one sample tells: what is detectable, and whether it is marked as skewed."""

    found: Detectable
    marked: bool


def of_shape(shape: str, rng: Generator, images: int, level: float) -> Drawn:
    """Draw one number an image."""
    values, image = SHAPES[shape](rng, images), np.arange(images)
    interval = mean_interval(values, np.ones(images), image, level=level)
    return Drawn(interval, moves(image, values))


def of_kind(
    name: str, cell: tuple[int, int, float], rng: Generator, images: int, level: float
) -> Drawn:
    """Draw answers to questions about each image."""
    number: Any = KINDS[name].number
    views = KINDS[name].draw(simulated(Cell(images, *cell), rng), rng)
    mean = number.__self__
    rows = mean.rows(*views)
    moved = moves(rows.image, mean.numbers(rows), rows.second)
    return Drawn(number(*views, level), moved)


def _kind(name: str, cell: tuple[int, int, float]) -> Design:
    truth: Any = KINDS[name].truth
    return Design(partial(of_kind, name, cell), truth)


def _shape(name: str) -> Design:
    return Design(partial(of_shape, name))


# At most how many questions an image has, how many variants, correlation within an image.
SINGLE, MANY = (1, 1, 0.0), (18, 4, 0.3)
# Where 80% must hold.
NORMAL = {
    "mean, normal": _shape("normal"),
    "mean, normal, 1 to 18 questions": _kind("mean, normal", MANY),
    "difference of means, normal, 1 to 18 questions": _kind("mean difference, normal", MANY),
    "rate of 0.5, 1 to 18 questions": _kind("rate 0.5", MANY),
    "difference of rates of 0.5": _kind("rate difference 0.5", SINGLE),
    "difference of rates of 0.5, 1 to 18 questions": _kind("rate difference 0.5", MANY),
}
CLAIMS = {
    f"{name}, as claims": replace(NORMAL[name], level=STRICT)
    for name in (
        "mean, normal",
        "rate of 0.5, 1 to 18 questions",
        "difference of rates of 0.5, 1 to 18 questions",
    )
}
OTHERS = {
    "rate of 0.5": _kind("rate 0.5", SINGLE),
    "rate of 0.02, 1 to 18 questions": _kind("rate 0.02", MANY),
    "difference of rates of 0.02, 1 to 18 questions": _kind("rate difference 0.02", MANY),
    "mean, exponential": _shape("exponential"),
    "mean, exponential, 1 to 18 questions": _kind("mean, exponential", MANY),
    "difference of means, exponential, 1 to 18 questions": _kind(
        "mean difference, exponential", MANY
    ),
    "mean, lognormal, sigma 1": _shape("lognormal, sigma 1"),
    "mean, measured changes": _shape("measured changes"),
}
DESIGNS = NORMAL | CLAIMS | OTHERS


def told(design: Design, images: int, repeats: int) -> list[Told]:
    """Return what samples tell; nothing of those that one image decides."""
    rng = np.random.default_rng([images, 1])
    found = []
    for _ in range(repeats):
        drawn = design.draw(rng, images, design.level)
        # Claims know intervals alone.
        error = float(np.sqrt(variance_of(drawn.moved))) if design.level == LEVEL else None
        known = detectable(drawn.interval, images, design.level, error=error)
        if known is not None:
            found.append(Told(known, is_skewed(drawn.moved)))
    return found


def shown(design: Design, images: int, effect: float, rng: Generator) -> tuple[float, float]:
    """Return whether a sample shows an effect above and below a value; NaN without a verdict."""
    found = design.draw(rng, images, design.level).interval
    if found is None or one_image_decides_at(found, design.level):
        return np.nan, np.nan
    return found.low > design.truth - effect, found.high < design.truth + effect


def detected(design: Design, images: int, known: Sequence[Told]) -> Floats:
    """Return whether another sample shows what each one tells, above and below, [N, 2]."""
    rng = np.random.default_rng([images, 2])
    sides = [shown(design, images, one.found.effect, rng) for one in known]
    return np.array(sides, dtype=np.float64).reshape(-1, 2)


def asked(design: Design, images: int, known: Sequence[Told]) -> Floats:
    """Return whether half the median detectable effect is shown by the images it takes, [N, 2]."""
    rng = np.random.default_rng([images, 3])
    effect = ASKED * float(np.median([one.found.effect for one in known]))
    # In order, since the draws of the bootstrap are kept for as many images.
    needed = sorted(one.found.images_for(effect) for one in known)
    return np.array([shown(design, each, effect, rng) for each in needed], dtype=np.float64)


def _few(sides: Floats) -> bool:
    """Whether too few pairs have a verdict."""
    return int(np.count_nonzero(~np.isnan(sides[:, 0]))) < FEWEST


def cells(sides: Floats) -> list[str]:
    """Return how often an effect is shown above and below a value, with Monte-Carlo errors."""
    if _few(sides):
        return ["-", "-"]
    sides = sides[~np.isnan(sides[:, 0])]
    return [percent(float(share), len(sides)) for share in sides.mean(axis=0)]


def percent(share: float, repeats: int) -> str:
    """Return a share in percent, with its standard error, of at least one sample."""
    least = np.clip(share, 1.0 / repeats, 1.0 - 1.0 / repeats)
    return f"{100 * share:.1f} ({100 * np.sqrt(least * (1.0 - least) / repeats):.1f})"


HEADS = (
    *("numbers", "images", "no number", "no verdict", "~"),
    *("above", "below", "half: above", "half: below"),
)
TEXT = f"""# Power: what was foretold, and what came

Written by `python scripts/studies/power.py`. By brute force: one sample of images tells the
detectable effect, as [`vlm-confidence power`](../reading-the-numbers.md#how-many-images) prints it,
which {POWER:.0%} of samples are to show. Another sample is drawn from the same population, and its
95% interval held against a value that lies as far from the truth. In percent (Monte-Carlo standard
error) of {{repeats:,}} pairs of samples:

- **no number**: of the first samples, [one image decides](one-image.md) and no effect is told;
- **no verdict**: it decides in the second sample; such pairs count in no other column;
- **~**: the told effect has the mark of skewed numbers and rare events;
- **above**, **below**: the interval lies wholly above a value so far below the truth, or wholly
  below one above it;
- **half**: the same of half the detectable effect (its median), on as many images as the first
  sample says that it takes.

**As claims**: at the level at which `vlm-confidence claims` looks first at 12 claims,
{STRICT:.2%}, with the standard error taken from the interval alone.

{{table}}

{{found}}

The skewed have the longer side of their interval taken for both, and still fewer samples than
foretold show a value on the far side, and more one on the near side. A sample that lacks the rare
images which make the mean tells too small an effect, and nothing in it says so. With events on few
images the interval of a rate is wide. Rates of one answer an image move in steps, of 3 points with
30 images. Beyond 0 and 1 lies no rate: a rate of 0.02 has one side.

The mark: the skewness of the images over the square root of their number is over {MOST_SKEWNESS:g}.
It is of the sample, so that a population has it in some samples and not in others.
"""
FOUND = """Of normal numbers, of rates of 0.5 with several questions on an image, and of differences
of rates of 0.5, the told effect is shown in {low:.1f} to {high:.1f}% of samples (mean of both
sides, {cells} cells), the half one in {half_low:.1f} to {half_high:.1f}%; as claims in
{strict_low:.1f} to {strict_high:.1f}%.
Where most samples have the mark, one side is shown in {least:.1f}% at worst."""


@dataclass(frozen=True)
class Row:
    """What was found of a design, and its line in the table.

    Attributes:
        sides: Whether each pair shows the effect above and below, [N, 2].
        half: The same of half the effect; none where it was not asked.
        marked: Which share of the told effects has the mark.
    """

    line: str
    sides: Floats
    half: Floats
    marked: float


def row(name: str, images: int, repeats: int) -> Row:
    """Return a row of the table."""
    design = DESIGNS[name]
    known = told(design, images, repeats)
    sides, half = detected(design, images, known), np.empty((0, 2))
    if len(known) >= FEWEST and images <= MOST_ASKED and name not in CLAIMS:
        half = asked(design, images, known)
    marked = float(np.mean([one.marked for one in known])) if known else np.nan
    without = float(np.isnan(sides[:, 0]).mean()) if known else np.nan
    shares = (1.0 - len(known) / repeats, without, marked)
    parts = ("-" if np.isnan(share) else f"{100 * share:.0f}" for share in shares)
    line = f"| {' | '.join((name, str(images), *parts, *cells(sides), *cells(half)))} |"
    return Row(line, sides, half, marked)


def findings(rows: Mapping[tuple[str, int], Row]) -> str:
    """Say what the rows of the table show."""

    def percents(sides: Sequence[Floats]) -> list[float]:
        return [100 * float(np.nanmean(each)) for each in sides if not _few(each)]

    def ends(name: str, sides: Sequence[Floats]) -> dict[str, float]:
        found = percents(sides)
        return {f"{name}low": min(found), f"{name}high": max(found)}

    normal = [each for (name, _), each in rows.items() if name in NORMAL]
    strict = [each for (name, _), each in rows.items() if name in CLAIMS]
    skewed = [each.sides for each in rows.values() if each.marked > 0.5]
    sides = [each[:, [side]] for each in skewed for side in (0, 1)]
    return FOUND.format(
        cells=len(percents([each.sides for each in normal])),
        least=min(percents(sides)),
        **ends("", [each.sides for each in normal]),
        **ends("half_", [each.half for each in normal]),
        **ends("strict_", [each.sides for each in strict]),
    )


def table(repeats: int) -> tuple[str, str]:
    """Return the table, and what it shows."""
    rows = {}
    for name in DESIGNS:
        for images in IMAGES:
            rows[name, images] = row(name, images, repeats)
            print(rows[name, images].line, flush=True)
    heads = (f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|")
    return "\n".join([*heads, *(each.line for each in rows.values())]), findings(rows)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    written, found = table(given.repeats)
    text = TEXT.format(repeats=given.repeats, table=written, found=found)
    given.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
