"""How often `vlm-confidence compare` concludes something wrong.

    python scripts/studies/comparison_error_rate.py [RUN RUN] [--studies 400]    # minutes

Of two runs: labels A and B are swapped at random, image by image, so that nothing differs. Always:
how often a difference of exactly the smallest effect is called equal, by the 90% interval of two
one-sided tests at 5% (Schuirmann 1987) and by the 95% one, which `compare` takes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import trange

from claims_error_rate import IMAGES, percent
from simulated_answers.shapes import SHAPES, student_interval
from vlm_confidence_tasks.metrics import Interval, Sample, mean_interval
from vlm_confidence_tasks.metrics.functional.checks import Bools
from vlm_confidence_tasks.metrics.inference.clusters import LEVEL
from vlm_confidence_tasks.report.claims.verdicts import one_image_decides_at
from vlm_confidence_tasks.report.compare import Comparison, adjusted, differences_of
from vlm_confidence_tasks.report.inputs.held_samples import read_held
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import find_runs
from vlm_confidence_tasks.report.inputs.samples import documents

# The level of the interval that two one-sided tests at 5% ask for, and that of `compare`.
LEVELS = (2.0 * LEVEL - 1.0, LEVEL)


def nulls(runs: Sequence[Sequence[Sample]], studies: int, seed: int = 0) -> Iterator[Comparison]:
    """Yield comparisons of two runs whose labels are swapped at random, all of an image together.

    Args:
        runs: The same documents of each, in the same order.
        studies: How many.
        seed: Seed of the generator.
    """
    rng = np.random.default_rng(seed)
    images = sorted({sample.image_id for sample in runs[0]})
    for _ in trange(studies, desc="Comparisons"):
        first = dict(zip(images, rng.random(len(images)) < 0.5, strict=True))
        pairs = [(a, b) if first[a.image_id] else (b, a) for a, b in zip(*runs, strict=True)]
        sides = ([pair[n] for pair in pairs] for n in (0, 1))
        yield Comparison(tuple(adjusted([*differences_of("null", *sides)])), ())


def of_nulls(comparisons: Sequence[Comparison]) -> str:
    """Say how often what was found where nothing differs."""
    found = [comparison.chance for comparison in comparisons]
    count, excluding = (np.array([f[k] for f in found]) for k in ("intervals", "excluding_zero"))
    differs = np.array([any(row.differs for row in one.differences) for one in comparisons])
    error = excluding.std() / np.sqrt(excluding.size)
    return (
        f"{count.mean():.0f} intervals, of which {excluding.mean():.1f} ({error:.1f}) exclude 0; "
        f"any does in {percent(excluding > 0)}% of {excluding.size} comparisons, "
        f'and anything "differs" in {percent(differs)}%'
    )


def called_equal(shape: str, sign: int, images: int, level: float, studies: int) -> Bools:
    """Return in which studies a difference of exactly the smallest effect is called equal.

    Where the effect is far larger than the interval is wide, only one end decides: 0 in place of
    the effect.
    """
    rng = np.random.default_rng(0)
    wrong = []
    for _ in range(studies):
        values = sign * SHAPES[shape](rng, images)
        found: Interval | None = None
        # The package's interval takes longer, and is never narrower.
        if np.ptp(values) and student_interval(values, level).high < 0:
            found = mean_interval(values, np.ones(images), np.arange(images), level=level)
        wrong.append(bool(found and found.high < 0 and not one_image_decides_at(found, level)))
    return np.array(wrong)


def of_bounds(studies: int) -> Iterator[str]:
    """Yield the rows of a table: the worse of both directions of skewness."""
    heads = [f"{100 * level:.0f}%: {n} images" for level in LEVELS for n in IMAGES]
    yield f"| numbers | {' | '.join(heads)} |\n{'|---' * (len(heads) + 1)}|"
    for shape in SHAPES:
        cells = []
        for level in LEVELS:
            for n in IMAGES:
                both = [called_equal(shape, sign, n, level, studies) for sign in (1, -1)]
                cells.append(percent(max(both, key=np.mean)))
        yield f"| {shape} | {' | '.join(cells)} |"


def samples_of(folders: Sequence[Path]) -> list[list[Sample]]:
    """Return the documents that the only task of both folders has, in the same order."""
    held = []
    for folder in folders:
        (run,) = find_runs([folder], Problems())
        held.append(documents(read_held(run).file.samples))
    common = sorted(held[0].keys() & held[1].keys())
    return [[samples[key] for key in common] for samples in held]


def main() -> None:
    """Print the figures of docs/reading-the-numbers.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="*", metavar="RUN")
    parser.add_argument("--studies", type=int, default=400)
    options = parser.parse_args()
    if options.runs:
        print(of_nulls([*nulls(samples_of(options.runs), options.studies)]), flush=True)
    for row in of_bounds(options.studies):
        print(row, flush=True)


if __name__ == "__main__":
    main()
