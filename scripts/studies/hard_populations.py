"""Intervals and tests on populations that break most of them: saturated confidence, uneven images.

    python scripts/studies/hard_populations.py [--repeats 1000]  # hard-populations.md, minutes

Images have 1 to 18 questions, of one variant, whose answers correlate by 0.1, unless a row says
otherwise.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from page_parts import STUDIES, table
from simulated_answers import KINDS, Cell, Kind, simulated, uneven
from simulated_answers.confidence import saturated
from simulated_answers.design import Data, of_metric

PAGE = STUDIES / "hard-populations.md"
IMAGES = (30, 100, 300)
EVEN, CORRELATION = 18, 0.1
SURE, WRONG = (0.5, 0.9, 0.98), (0.02, 0.05, 0.2)
# What was measured before, by kind, or by its beginning.
THEN = {
    "auroc, 90% at 1, 2% wrong": "48 (4.8) / 70 / 89",
    "accuracy, ": "76.5 (2.3) / 84.5 / 90.2",
    "entropy, ": "75.3 / 86.5 / 91.2",
    "ece, ": "81",
    "temperature, 1": "56.5",
    "ece_p, ": "rejects in 9.2 to 9.4 (1.3)",
    "temperature, saturated": "2,033 wide",
    "ece_ts, saturated": "83 to 89",
}
GRID: dict[str, Kind] = {
    f"auroc, {sure:.0%} at 1, {wrong:.0%} wrong": of_metric(
        "auroc",
        partial(saturated, sure, wrong),
        0.5,
        f"`auroc`, {sure:.0%} at exactly 1, {wrong:.0%} wrong",
    )
    for sure in SURE
    for wrong in WRONG
}
SATURATED = {name: kind for name, kind in KINDS.items() if name.endswith("_ts, saturated")}
SATURATED["temperature, saturated"] = KINDS["temperature, saturated"]

MANY = "[many numbers](../reading-the-numbers.md#many-numbers-at-once)"
# What broke otherwise: what it did before, what it does now with the page that shows it, script.
OTHERS = (
    (
        "a number of which one image has over half of the answers",
        "`auroc`, `aurc`, `temperature` and `defense_auroc` had an interval; that of `aurc` held "
        "in 88.2 (1.4)%",
        "{dominated}",
        "`hard_populations.py`",
    ),
    (
        "p of a mean (`entropy_delta_p`), one number an image",
        "with 30 images under 0.05 in 12.0 (1.5) to 34.8 (2.1)% of lognormal numbers, in 21.0 "
        "(2.0)% of the measured changes",
        "in 2.9 (0.4) to 4.2 (0.4)%, in 4.5 (0.5)%, and in at most 5.9 (0.5)% of any numbers and "
        "images: [where one image decides](one-image.md)",
        "`one_image.py`",
    ),
    (
        "claims with every effect at its bound",
        "some part wrongly decided in up to 56.8 (3.1)% of studies; a fall of half the smallest "
        'effect "supported" in 8.0 (1.7)%',
        "in up to 4.0 (0.9)%; in up to 2.4 (0.7)%: [claims](../claims.md#one-rule)",
        "`claims_error_rate.py`",
    ),
    (
        "claim 6 of one run under three names",
        "supported",
        "copies are named, and count once: [copies](../reading-the-numbers.md#copies)",
        "",
    ),
    (
        "claims about a model with six runs of a task",
        "of the newest; the others named nowhere",
        "by a rule fixed in advance, all named: [which run counts](../claims.md#one-rule)",
        "",
    ),
    (
        "p of a leaderboard that Holm's method adjusts",
        "other ones by task than by metric",
        f"all, whatever the layout: {MANY}",
        "",
    ),
    ("`ece_p` among many", "at least 1 / 201", f"at least 1 / 10,001: {MANY}", ""),
    (
        "`compare` of exchangeable runs",
        "an interval excludes 0 in 36% of comparisons, not said; `--limit` of both runs not said",
        "its head says how many would by chance, and which part of the data it is of; each p is "
        f"adjusted: {MANY}",
        "`comparison_error_rate.py`",
    ),
)

TEXT = """# Hard populations

Written by `python scripts/studies/hard_populations.py`, {repeats:,} samples a cell. Populations
that broke intervals and tests of this package: what these did **then** (with 30 / 100 / 300 images,
where there are three numbers), and what they do now. A cell says in percent how often the 95%
interval holds the truth, or how often the test rejects a true null hypothesis at 5%, with its
Monte-Carlo standard error; *of 17%*: so many of the samples have an interval, and the number is of
these. **Shown and wrong**: in how many percent of all samples a reader is shown an interval without
the truth, or a p under 0.05, in the worst of the three cells.

Images have 1 to 18 questions whose answers correlate by 0.1, or where the row says so 1 to 200: of
sizes that are log-uniform, or fall as 1 / n^2 (*many on few*); larger images are harder there, from
90% right to 55%. Then, only one kind of sizes was measured.

{table}

Where large images are rare, a sample without any of them says nothing of them. Its images are
nearly even, so that it has an interval, of the small images: there those of `accuracy`, `entropy`,
`aurc` and `augrc` hold in far under 91% where they are shown. They and `ece_ts` say so, and
[where one image decides](../reading-the-numbers.md#where-one-image-decides) explains it.
`..._per_image` holds.

`temperature` was about 20 where confidences are exactly 1, its interval 2,033 wide; in the row
above it is 5.5.

What else broke, with the figures of the pages where it now stands:

{others}

All other shapes and designs: [coverage](coverage.md).
"""


@dataclass(frozen=True)
class Shown:
    """What readers are shown of the samples of one cell.

    Attributes:
        samples: How many.
        shown: How many have an interval, or a p.
        held: How many of these hold the truth, or have a p of at least 0.05.
        width: Mean width of the intervals; NaN without one.
    """

    samples: int
    shown: int
    held: int
    width: float = np.nan


def measured(name: str, kind: Kind, images: int, repeats: int) -> Shown:
    """Draw the samples of a cell; the seed is a function of its kind and images."""
    cell = Cell(images, EVEN, 1, CORRELATION)
    shown = held = 0
    widths = []
    for repeat in range(repeats):
        rng = np.random.default_rng([zlib.crc32(name.encode()), images, repeat])
        outcome = kind.run(simulated(cell, rng), rng)
        if isinstance(outcome, tuple):
            found, truth = outcome
            if found is not None:
                shown += 1
                held += found.low - 1e-9 <= truth <= found.high + 1e-9
                widths.append(found.high - found.low)
        elif outcome is not None:
            shown, held = shown + 1, held + (outcome >= 0.05)
    return Shown(repeats, shown, held, float(np.mean(widths)) if widths else np.nan)


def percent(events: int, of: int) -> str:
    """Return a share in percent with its standard error, of none at all that of half an event."""
    share = float(np.clip(events / of, 0.5 / of, 1.0 - 0.5 / of))
    return f"{100 * events / of:.1f} ({100 * np.sqrt(share * (1.0 - share) / of):.1f})"


def row(name: str, kind: Kind, repeats: int) -> str:
    """Return a row of the table."""
    found = [measured(name, kind, images, repeats) for images in IMAGES]
    then = next((text for begin, text in THEN.items() if name.startswith(begin)), "")
    wrong = max(cell.shown - cell.held for cell in found)
    cells = (_cell(cell, kind.truth is None, "wide" in then) for cell in found)
    return f"| {kind.title} | {then} | {' | '.join(cells)} | {percent(wrong, repeats)} |"


def _cell(found: Shown, is_test: bool, with_width: bool) -> str:
    if not found.shown:
        return "no interval"
    events = found.shown - found.held if is_test else found.held
    part = "" if found.shown == found.samples else f" of {_part(found.shown / found.samples)}"
    wide = f", {found.width:.1f} wide" if with_width else ""
    return f"{'rejects in ' * is_test}{percent(events, found.shown)}{part}{wide}"


def _part(share: float) -> str:
    return {"0%": "under 1%", "100%": "over 99%"}.get(text := f"{share:.0%}", text)


def dominated(images: int = 30, repeats: int = 20) -> str:
    """Say how many kinds of intervals there are of answers that are mostly of one image."""
    size = np.ones(images, dtype=np.intp)
    size[0] = images
    image = np.repeat(np.arange(images), size)
    # "pearson" is that of a study, of no metric; uneven images draw their own sizes.
    left_out = {"pearson", *uneven.KINDS}
    kinds = {n: k for n, k in KINDS.items() if k.truth is not None and n not in left_out}
    data = Data(image, np.arange(image.size), Cell(images, 1, 1, 0.0))
    shown = [
        name
        for name, kind in kinds.items()
        if any(
            kind.number(*kind.draw(data, np.random.default_rng(repeat))) is not None
            for repeat in range(repeats)
        )
    ]
    names = f": {', '.join(shown)}" if shown else ""
    return (
        f"{len(shown)} of {len(kinds)} kinds have an interval, in any of {repeats} samples{names}"
    )


def rows(repeats: int) -> Iterator[str]:
    """Yield the rows of the table."""
    for name, kind in (GRID | SATURATED | uneven.KINDS).items():
        yield row(name, kind, repeats)


def page(lines: Sequence[str], repeats: int) -> str:
    """Return the page with the rows of its first table."""
    heads = ["number", "then", *(f"{images} images" for images in IMAGES), "shown and wrong"]
    others = table(["what", "then", "now", "measured by"], OTHERS)
    return TEXT.format(
        repeats=repeats,
        table="\n".join([*table(heads, []), *lines]),
        others="\n".join(others).format(dominated=dominated()),
    )


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    lines = []
    for line in rows(given.repeats):
        lines.append(line)
        print(line, flush=True)
    given.page.write_text(page(lines, given.repeats), encoding="utf-8")


if __name__ == "__main__":
    main()
