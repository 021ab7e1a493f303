"""How often any claim is decided wrongly where every effect is exactly its bound.

    python scripts/studies/claims_error_rate.py [--studies 1000]

A study has 12 parts, decided together as in `vlm-confidence claims`; all decisions are wrong.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np

from vlm_confidence_tasks.metrics import mean_interval, rate_interval
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.report.claims.claims import SHARE, Part
from vlm_confidence_tasks.report.claims.effects import Effect
from vlm_confidence_tasks.report.claims.verdicts import decide

PARTS, QUESTIONS = 12, 3
PART = Part("an effect", (), lambda held: None, SHARE, below=False)
Draw = Callable[[np.random.Generator, int], Effect]


def of_means(draw: Callable[[np.random.Generator, int], Floats]) -> Draw:
    """Return what draws an effect that is a mean over images of a number with mean 0."""

    def drawn(rng: np.random.Generator, images: int) -> Effect:
        values = SHARE + draw(rng, images)
        at = partial(mean_interval, values, np.ones(images), np.arange(images))
        return Effect(float(values.mean()), images, images, lambda level: at(level=level))

    return drawn


def flips(rng: np.random.Generator, images: int) -> Effect:
    """Draw a difference of two flip rates; questions on an image go together."""
    rate = np.repeat(rng.beta(1.0, 2.0, images), QUESTIONS) * (1.0 - SHARE)
    sides = [rng.random(rate.size) < rate + shift for shift in (0.0, SHARE)]
    clusters = np.tile(np.repeat(np.arange(images), QUESTIONS), 2)
    second = np.repeat([False, True], rate.size)
    at = partial(rate_interval, np.concatenate(sides), np.ones(2 * rate.size), clusters)
    estimate = float(sides[1].mean() - sides[0].mean())
    return Effect(estimate, rate.size, images, lambda level: at(paired=second, level=level))


KINDS: dict[str, Draw] = {
    "mean, normal": of_means(lambda rng, n: rng.normal(0.0, 0.1, n)),
    "mean, exponential": of_means(lambda rng, n: 0.1 * (rng.exponential(1.0, n) - 1.0)),
    "mean, 0 or 1": of_means(lambda rng, n: (rng.random(n) < 0.2) - 0.2),
    "difference of rates": flips,
}


def wrong_share(kind: str, images: int, studies: int) -> float:
    """Return the share of studies in which anything is decided."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(studies):
        tests = [(PART, KINDS[kind](rng, images)) for _ in range(PARTS)]
        wrong += any(decision.finding != "undecided" for decision in decide(tests))
    return wrong / studies


def main() -> None:
    """Print the share of wrong studies of each kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    studies = parser.parse_args().studies
    for kind in KINDS:
        shares = [
            f"{images} images {wrong_share(kind, images, studies):.3f}" for images in (30, 80)
        ]
        print(f"{kind}: {', '.join(shares)}", flush=True)


if __name__ == "__main__":
    main()
