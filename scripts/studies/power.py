"""How often images show the effect that `vlm-confidence power` says they can show in 80%.

    python scripts/studies/power.py [--repeats 1600]    # docs/studies/power.md, half an hour

Brute force: by one sample the detectable effect is told; another is drawn from the same population,
and its interval is held against a value as far below the truth, and against one above it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from page_parts import STUDIES
from simulated_answers.design import Cell, simulated
from simulated_answers.means import KINDS
from simulated_answers.shapes import SHAPES
from vlm_confidence_tasks.metrics import Interval, mean_interval
from vlm_confidence_tasks.metrics.functional.checks import Bools
from vlm_confidence_tasks.metrics.inference.clusters import LEVEL
from vlm_confidence_tasks.metrics.inference.power import (
    POWER,
    Detectable,
    detectable,
    variance_over,
)
from vlm_confidence_tasks.report.claims.verdicts import one_image_decides_at

PAGE = STUDIES / "power.md"
IMAGES = (30, 100, 300)
# As a share of what is detectable: four times as many images.
ASKED = 0.5
# Of the first look of a page of claims at 12 claims.
STRICT = 1.0 - 0.05 / 12
# Fewer samples with a verdict say too little.
FEWEST = 50
Generator = np.random.Generator


@dataclass(frozen=True)
class Drawn:
    """A sample of images: its interval, and its standard error."""

    interval: Interval | None
    error: float


@dataclass(frozen=True)
class Design:
    """A population of images: draws a sample of so many, and the truth."""

    draw: Callable[[Generator, int, float], Drawn]
    truth: float = 0.0


def of_shape(shape: str, rng: Generator, images: int, level: float) -> Drawn:
    """Draw one number an image."""
    values = SHAPES[shape](rng, images)
    columns = values, np.ones(images), np.arange(images)
    error = float(np.std(values, ddof=1) / np.sqrt(images))
    return Drawn(mean_interval(*columns, level=level), error)


def of_kind(
    name: str, cell: tuple[int, int, float], rng: Generator, images: int, level: float
) -> Drawn:
    """Draw answers to questions about each image."""
    number: Any = KINDS[name].number
    views = KINDS[name].draw(simulated(Cell(images, *cell), rng), rng)
    mean = number.__self__
    rows = mean.rows(*views)
    error = float(np.sqrt(variance_over(rows.image, mean.numbers(rows), rows.second)))
    return Drawn(number(*views, level), error)


def _kind(name: str, cell: tuple[int, int, float]) -> Design:
    truth: Any = KINDS[name].truth
    return Design(partial(of_kind, name, cell), truth)


# At most how many questions an image has, how many variants, correlation within an image.
SINGLE, MANY = (1, 1, 0.0), (18, 4, 0.3)
# Where normal theory can hold.
NORMAL = {
    "mean, normal": Design(partial(of_shape, "normal")),
    "mean, normal, 1 to 18 questions": _kind("mean, normal", MANY),
    "difference of means, normal, 1 to 18 questions": _kind("mean difference, normal", MANY),
    "rate of 0.5, 1 to 18 questions": _kind("rate 0.5", MANY),
    "difference of rates of 0.5": _kind("rate difference 0.5", SINGLE),
    "difference of rates of 0.5, 1 to 18 questions": _kind("rate difference 0.5", MANY),
}
OTHERS = {
    "rate of 0.5": _kind("rate 0.5", SINGLE),
    "rate of 0.02, 1 to 18 questions": _kind("rate 0.02", MANY),
    "difference of rates of 0.02, 1 to 18 questions": _kind("rate difference 0.02", MANY),
    "mean, exponential, 1 to 18 questions": _kind("mean, exponential", MANY),
    "difference of means, exponential, 1 to 18 questions": _kind(
        "mean difference, exponential", MANY
    ),
} | {f"mean, {shape}": Design(partial(of_shape, shape)) for shape in SHAPES if shape != "normal"}
DESIGNS = NORMAL | OTHERS


def told(design: Design, images: int, repeats: int, level: float) -> list[Detectable | None]:
    """Return what as many samples tell."""
    rng = np.random.default_rng([images, 1])
    samples = (design.draw(rng, images, level) for _ in range(repeats))
    return [detectable(s.interval, images, level, POWER, s.error) for s in samples]


def shown(
    design: Design, images: int, effect: float, rng: Generator, level: float
) -> tuple[bool, bool] | None:
    """Return whether a sample shows an effect above and below a value; None without a verdict."""
    found = design.draw(rng, images, level).interval
    if found is None or one_image_decides_at(found, level):
        return None
    return found.low > design.truth - effect, found.high < design.truth + effect


@dataclass(frozen=True)
class Power:
    """How often an effect is shown.

    Attributes:
        sides: Whether each sample that gets a verdict shows it above and below a value, [N, 2].
        without: Which share of samples has no verdict.
    """

    sides: Bools
    without: float

    @classmethod
    def of(cls, found: list[tuple[bool, bool] | None]) -> Power:
        """Put the samples together."""
        sides = [each for each in found if each is not None]
        return cls(np.array(sides, dtype=np.bool_).reshape(-1, 2), found.count(None) / len(found))


def detected(
    design: Design, images: int, repeats: int, level: float = LEVEL
) -> tuple[Power | None, float]:
    """Return the power of the detectable effect, and which share of samples tells none."""
    found = told(design, images, repeats, level)
    rng = np.random.default_rng([images, 2])
    effects = [each.effect for each in found if each is not None]
    outcomes = [shown(design, images, effect, rng, level) for effect in effects]
    return Power.of(outcomes) if outcomes else None, found.count(None) / repeats


def asked(design: Design, images: int, repeats: int) -> Power | None:
    """Return the power of half the median detectable effect, on as many images as are asked for."""
    known = [each for each in told(design, images, repeats, LEVEL) if each is not None]
    if not known:
        return None
    effect = ASKED * float(np.median([each.effect for each in known]))
    rng = np.random.default_rng([images, 3])
    return Power.of([shown(design, each.images_for(effect), effect, rng, LEVEL) for each in known])


def percent(share: float, repeats: int) -> str:
    """Return a share in percent, with its standard error, of at least one sample."""
    least = np.clip(share, 1.0 / repeats, 1.0 - 1.0 / repeats)
    return f"{100 * share:.1f} ({100 * np.sqrt(least * (1.0 - least) / repeats):.1f})"


def cells(power: Power | None) -> list[str]:
    """Return how often an effect is shown above and below a value, and how often none is."""
    if power is None or len(power.sides) < FEWEST:
        return ["-"] * 3
    size = len(power.sides)
    above, below = (percent(float(share), size) for share in power.sides.mean(axis=0))
    return [above, below, f"{100 * power.without:.0f}"]


HEADS = (
    *("numbers", "images", "no number", "above", "below", "no verdict"),
    *("asked: above", "below"),
)
TEXT = f"""# Power: what was foretold, and what came

Written by `python scripts/studies/power.py`. By brute force: one sample of images tells the
detectable effect, as [`vlm-confidence power`](../reading-the-numbers.md#how-many-images) prints it,
which {POWER:.0%} of samples are to show. Another sample is drawn from the same population, and its
95% interval held against a value that lies as far from the truth. In percent (Monte-Carlo standard
error) of {{repeats:,}} pairs of samples:

- **no number**: of one image that decides, no effect is told;
- **above**, **below**: the interval lies wholly above a value so far below the truth, or wholly
  below one above it, of the samples that get a verdict;
- **no verdict**: [one image decides](one-image.md) in the second sample;
- **asked**: the same of half the detectable effect (its median), on as many images as the sample
  says that it takes.

## Where normal theory can hold

{{normal}}

## Skewed numbers, rare events, one answer an image

{{others}}

Of skewed numbers the interval is longer on one side, and so is the way that its estimate goes. The
command takes the longer side of both; still fewer samples than foretold show a value on the far
side, and more one on the near side. A sample that lacks the rare images which make the mean tells a
detectable effect that is too small, and nothing in it says so. Where the table has under 77 the
command's line under the table does: "of skewed numbers and rare events the power is less on one
side". Rates of a few yes or no answers move in steps: one answer of 30 is 3 points, so that exact
intervals show more than is foretold. Beyond 0 and 1 lies no rate: a rate of 0.02 has one side.

## At the level of a page of claims

`vlm-confidence claims` tells the detectable effect at the level at which a part was decided. At
{STRICT:.2%}, of the first look at 12 claims:

{{strict}}
"""


def row(name: str, images: int, repeats: int, level: float = LEVEL) -> str:
    """Return a row of a table."""
    power, without = detected(DESIGNS[name], images, repeats, level)
    parts = [name, str(images), f"{100 * without:.0f}", *cells(power)]
    if level == LEVEL:
        # More images take too long.
        wanted = asked(DESIGNS[name], images, repeats) if images <= 100 else None
        parts += cells(wanted)[:2]
    return f"| {' | '.join(parts)} |"


def table(names: tuple[str, ...], repeats: int, level: float = LEVEL) -> str:
    """Return a table of some designs."""
    heads = HEADS if level == LEVEL else HEADS[:6]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name in names:
        for images in IMAGES:
            lines.append(row(name, images, repeats, level))
            print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1600)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    text = TEXT.format(
        repeats=given.repeats,
        normal=table(tuple(NORMAL), given.repeats),
        others=table(tuple(OTHERS), given.repeats),
        strict=table(tuple(NORMAL), given.repeats, STRICT),
    )
    given.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
