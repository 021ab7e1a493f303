"""How often any claim is decided wrongly where every effect is exactly its bound.

    python scripts/studies/claims_error_rate.py [--studies 500]    # a table, minutes

In a study claims are decided together as in `vlm-confidence claims`: 12 of one part each, or the
nine of docs/claims.md of as many parts as they have. All decisions are wrong, on a part or a claim.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import cache, partial

import numpy as np

from simulated_answers.shapes import SHAPES, student_interval
from vlm_confidence_tasks.metrics import Interval, mean_interval, rate_interval
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats
from vlm_confidence_tasks.report.claims.claims import CLAIMS, SHARE, Part
from vlm_confidence_tasks.report.claims.effects import Effect
from vlm_confidence_tasks.report.claims.verdicts import decide

QUESTIONS = 3
IMAGES = (30, 80, 300)
PART = Part("a fall", (), lambda held: None, -SHARE, below=True)
# From how many images, and where the true effect lies between 0 and the bound, to an effect.
Draw = Callable[[np.random.Generator, int, float], Effect]
# How many parts each claim has.
DESIGNS: dict[str, tuple[int, ...]] = {
    "12 claims of one part": (1,) * 12,
    "the nine claims": tuple(len(claim.parts) for claim in CLAIMS),
}


def of_mean(
    shape: Callable[[np.random.Generator, int], Floats],
    rng: np.random.Generator,
    images: int,
    share: float,
) -> Effect:
    """Draw an effect that is a mean over images, of numbers that spread by ten times the bound."""
    values = 10 * SHARE * shape(rng, images) - share * SHARE

    @cache
    def at(level: float) -> Interval | None:
        if not np.ptp(values):
            return None
        student = student_interval(values, level)
        if student.low <= -SHARE <= student.high:
            # Nothing is decided, nor with the package's interval, which takes longer.
            return student
        return mean_interval(values, np.ones(images), np.arange(images), level=level)

    return Effect(float(values.mean()), images, images, at)


def flips(rng: np.random.Generator, images: int, share: float) -> Effect:
    """Draw a difference of two flip rates; questions on an image go together."""
    rate = np.repeat(rng.beta(1.0, 2.0, images), QUESTIONS) * (1.0 - SHARE)
    sides = [rng.random(rate.size) < rate + shift for shift in (share * SHARE, 0.0)]
    clusters = np.tile(np.repeat(np.arange(images), QUESTIONS), 2)
    second = np.repeat([False, True], rate.size)
    at = partial(rate_interval, np.concatenate(sides), np.ones(2 * rate.size), clusters)
    estimate = float(sides[1].mean() - sides[0].mean())
    return Effect(estimate, rate.size, images, cache(lambda level: at(paired=second, level=level)))


DRAWS: dict[str, Draw] = {name: partial(of_mean, shape) for name, shape in SHAPES.items()}
DRAWS["difference of two rates"] = flips


def wrong_studies(shape: str, design: str, images: int, studies: int, share: float = 1.0) -> Bools:
    """Return in which studies anything is decided wrongly, [studies].

    Args:
        shape: Of the numbers.
        design: Of the claims.
        images: How many.
        studies: How many.
        share: The true effect, in units of the bound; of one short of it only "holds" is wrong.
    """
    rng = np.random.default_rng(0)
    wrong = []
    for _ in range(studies):
        claims = [
            [(PART, DRAWS[shape](rng, images, share)) for _ in range(parts)]
            for parts in DESIGNS[design]
        ]
        found = [each.finding for parts in decide(claims) for each in parts if each is not None]
        wrong.append(any(f == "holds" or (share == 1.0 and f != "undecided") for f in found))
    return np.array(wrong)


def percent(wrong: Bools) -> str:
    """Return a share in percent, with its standard error, of at least one wrong study."""
    share = max(wrong.mean(), 1.0 / wrong.size)
    error = np.sqrt(share * (1.0 - share) / wrong.size)
    return f"{100 * wrong.mean():.1f} ({100 * error:.1f})"


def main() -> None:
    """Print the table of docs/claims.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=500)
    studies = parser.parse_args().studies
    single = next(iter(DESIGNS))
    cases = [(design, 1.0, n) for design in DESIGNS for n in IMAGES]
    cases += [(single, 0.5, n) for n in IMAGES]
    heads = [
        f"{n} images, {design}{', half of the bound' * (share < 1.0)}" for design, share, n in cases
    ]
    print(f"| effect | {' | '.join(heads)} |\n{'|---' * (len(heads) + 1)}|")
    for shape in DRAWS:
        cells = [
            percent(wrong_studies(shape, design, n, studies, share)) for design, share, n in cases
        ]
        print(f"| {shape} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
