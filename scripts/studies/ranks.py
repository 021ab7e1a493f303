"""Ranks on made-up leaderboards: how often equal models share one, and a better one is first.

    python scripts/studies/ranks.py [--boards 1000]    # docs/studies/ranks.md, half an hour

Draws the answers of models to the same questions.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from page_parts import STUDIES
from simulated_answers.shapes import SHAPES
from vlm_confidence_tasks.metrics import calibration_error_interval, mean_interval, rate_interval
from vlm_confidence_tasks.metrics.functional.calibration import expected_calibration_error
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.inference.ranks import (
    Standing,
    level_among,
    rank_intervals,
    ratio_influence,
)
from vlm_confidence_tasks.report.formats.markdown import line

PAGE = STUDIES / "ranks.md"
IMAGES = (30, 100, 300)
MODELS = (2, 5, 10)
QUESTIONS = 3
# Share of what decides an answer that all models have in common, and that an image's questions do.
IN_COMMON, WITHIN_IMAGE = 0.5, 0.3
UNLIKE = ("normal", "exponential", "lognormal, sigma 1", "0 or 1, mean 0.2")
DRAWN = {**SHAPES, "narrow": lambda rng, images: 0.01 * rng.standard_normal(images)}
# Beside one model's shape, the others': whatever the one lacks in the sample, they do not make up.
ALONE = ("narrow",) * 9

Generator = np.random.Generator
Standings = list[Standing | None]
# A board, of a generator, models, images, and by how much the first model is better.
Board = Callable[[Generator, int, int, float], Standings]

TEXT = f"""# Ranks of equal models, and of a better one

Written by `python scripts/studies/ranks.py`: {{boards:,}} made-up leaderboards a cell. In percent
(Monte-Carlo standard error of at most {{error:.1f}}):

- **share**: of 2, 5 or 10 equal models, each has the ranks 1 to 2, 5 or 10. On the other boards a
  model is said to be better than one that it is no better than: at most 5% of them may be;
- **first**: one of the models is better by as much as the column says, and alone at rank 1.

The least of all shares is {{least:.1f}} ({{least_error:.1f}}), of {{cell}}.

{{table}}

Each of {QUESTIONS} questions an image is answered rightly or wrongly; {WITHIN_IMAGE:.0%} of what
decides that goes with the image, {IN_COMMON:.0%} is common to all models. Means are of one number
an image. Models of one shape have 70% of each number in common. The unlike are normal, exponential,
lognormal (sigma 1), and 0 or 1: of equal mean, and equal in nothing else. "One" has that shape, the
others hardly any spread: then a sample without the images that make its mean misleads most
("measured" are the changes of [one image](one-image.md), of 30 images on which one has 79% of the
variance). Of a calibration error nothing is known of pairs: its intervals must lie apart, so that
a better model is seldom first.

[What a rank says](../reading-the-numbers.md#what-a-rank-says).
"""


def rates(rate: float, rng: Generator, models: int, images: int, better: float) -> Standings:
    """Return the standings of models that answer so many questions rightly."""

    def normal(many: int) -> Floats:
        image, own = (rng.standard_normal((many, images, n)) for n in (1, QUESTIONS))
        return np.sqrt(WITHIN_IMAGE) * image + np.sqrt(1 - WITHIN_IMAGE) * own

    drawn = np.sqrt(IN_COMMON) * normal(1) + np.sqrt(1 - IN_COMMON) * normal(models)
    right = drawn < ndtri(np.where(np.arange(models), rate, rate + better))[:, None, None]
    ones, image = np.ones(images * QUESTIONS), np.repeat(np.arange(images), QUESTIONS)
    level, found = level_among(models, paired=True), []
    for own in right.reshape(models, -1).astype(np.float64):
        interval = rate_interval(own, ones, image, level=level)
        influence = ratio_influence(own, ones, image, images)
        found.append(interval and Standing(interval, level, influence))
    return found


def means(
    shapes: Sequence[str], common: float, rng: Generator, models: int, images: int, better: float
) -> Standings:
    """Return the standings of models by a mean: of the shapes in turn, and partly in common."""
    ones, image = np.ones(images), np.arange(images)
    shared = common * DRAWN[shapes[0]](rng, images)
    level, found = level_among(models, paired=True), []
    for model in range(models):
        own = DRAWN[shapes[model % len(shapes)]](rng, images)
        numbers = shared + (1 - common) * own + (0.0 if model else better)
        interval = mean_interval(numbers, ones, image, level=level)
        influence = ratio_influence(numbers, ones, image, images)
        found.append(interval and Standing(interval, level, influence))
    return found


def errors(gap: float, rng: Generator, models: int, images: int, better: float) -> Standings:
    """Return the standings by the negative ECE of models that are surer than right by a gap."""
    image = np.repeat(np.arange(images), QUESTIONS)
    level, found = level_among(models, paired=False), []
    for model in range(models):
        sure = 0.6 + 0.4 * rng.beta(2, 1, image.size)
        right = rng.random(image.size) < sure - gap + (0.0 if model else better)
        error = expected_calibration_error(sure, right)
        interval = calibration_error_interval(sure, right, image, error, level=level)
        found.append(interval and Standing(interval, level))
    return found


# What is drawn, by how much one model is better, and whether more is.
BOARDS: dict[str, tuple[Board, float, bool]] = {
    "rates of 0.5": (partial(rates, 0.5), 0.15, True),
    "rates of 0.9": (partial(rates, 0.9), 0.07, True),
    "rates of 0.98": (partial(rates, 0.98), 0.015, True),
    "means, exponential": (partial(means, ["exponential"], 0.7), 0.3, True),
    "means, lognormal": (partial(means, ["lognormal, sigma 1"], 0.7), 0.3, True),
    "means, unlike": (partial(means, UNLIKE, 0.0), 0.6, True),
    "means, one lognormal": (partial(means, ["lognormal, sigma 1", *ALONE], 0.0), 0.6, True),
    "means, one measured": (partial(means, ["measured changes", *ALONE], 0.0), 0.6, True),
    "calibration errors of 0.15": (partial(errors, 0.15), 0.15, False),
}


def shares(board: str, images: int, models: int, boards: int) -> tuple[float, float]:
    """Return on how many boards equal models share all ranks, and a better one is first."""
    draw, better, more = BOARDS[board]
    rng = np.random.default_rng([images, models])
    every = [(1, models)] * models
    equal = [rank_intervals(draw(rng, models, images, 0.0), more) == every for _ in range(boards)]
    first = [
        rank_intervals(draw(rng, models, images, better), more)[0] == (1, 1) for _ in range(boards)
    ]
    return float(np.mean(equal)), float(np.mean(first))


def row(board: str, images: int, boards: int) -> str:
    """Return a row of the table."""
    shared, first = zip(*(shares(board, images, models, boards) for models in MODELS), strict=True)
    cells = [f"{100 * share:.1f}" for share in shared] + [f"{100 * share:.0f}" for share in first]
    return line([board, str(images), *cells[:3], f"{BOARDS[board][1]:g}", *cells[3:]])


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boards", type=int, default=1000)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    heads = [*(f"share, {n}" for n in MODELS), "better by", *(f"first, {n}" for n in MODELS)]
    table = [line(["numbers", "images", *heads]), line(["---"] * (2 + len(heads)))]
    for board in BOARDS:
        for images in IMAGES:
            table.append(row(board, images, given.boards))
            print(table[-1], flush=True)
    error = 100 * np.sqrt(0.25 / given.boards)
    found = {}
    for text in table[2:]:
        board, images, *cells = text.strip("| ").split(" | ")
        for models, share in zip(MODELS, cells, strict=False):
            found[f"{models} models, {board}, on {images} images"] = float(share) / 100
    share = min(found.values())
    text = TEXT.format(
        boards=given.boards,
        error=error,
        least=100 * share,
        least_error=100 * np.sqrt(share * (1 - share) / given.boards),
        cell=min(found, key=found.__getitem__),
        table="\n".join(table),
    )
    given.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
