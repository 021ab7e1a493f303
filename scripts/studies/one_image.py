"""Means of skewed numbers: how often intervals miss, and say that one image decides.

    python scripts/studies/one_image.py [--repeats 2000]    # docs/studies/one-image.md, minutes

Draws one number an image from populations with mean 0.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from page_parts import STUDIES
from simulated_answers.shapes import SHAPES, student_interval
from vlm_confidence_tasks.metrics import mean_interval, mean_p, sign_flip_p
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.inference.clusters import LARGEST_INFLUENCE, one_image_decides

PAGE = STUDIES / "one-image.md"
IMAGES = (30, 80, 300)
HEADS = (
    "images",
    "interval misses",
    "p under 0.05",
    "one image decides",
    "sign flips under 0.05",
)

TEXT = f"""# Where one image decides

Written by `python scripts/studies/one_image.py`. Of one number an image, with a true mean of 0, in
percent (Monte-Carlo standard error) of {{repeats:,}} samples:

- **interval misses**: the 95% interval of the studentized bootstrap does not hold 0;
- **p under 0.05**: of the same bootstrap inverted, where there is a p: it also does not say that
  one image decides. This is what a reader may take for a finding by mistake;
- **one image decides**: it carries over {LARGEST_INFLUENCE:.0%} of the variance, so that there is
  no p and no verdict;
- **sign flips under 0.05**: of the test of symmetry about 0 (`entropy_delta_signflip_p`), which is
  no test of the mean: only normal numbers and Student's are symmetric here.

{{table}}

An interval knows the images that it has. Of skewed numbers a sample may lack the rare images that
make the mean; then it looks harmless, and its interval lies beside the mean. Where such images are
many enough to be drawn, one of them carries much of the variance. So the share that the most
influential image carries, its *influence*, tells most samples that mislead from those that do not,
if it may be less the further out in the tail a test looks: up to 0.3 at 5%, and 0.3 (1.96 / z)^2.5
at z standard errors. A p cannot be smaller than the level at which its influence is the bound.
The exponent was chosen of 2, 2.5 and 3, by 12 tests together in 6,000 samples: with 2 any of them
was wrong in 6.2% (1.1) for the measured changes at 30 images, with 2.5 in 2.4% (0.6). With 3, a
third of the samples of normal numbers on 80 images allowed none of 12 tests, with 2.5 a seventh.
[How often verdicts on claims are wrong](../claims.md#one-rule).

"Measured changes" are the mean changes in entropy of the 30 images of `pope_adv_eps0.1` on the
embedded model, drawn with replacement: one image has 79% of their variance, and three lie apart
from all others. Of 30 draws 4% have none of the three. Nothing in such a sample says so: no method
finds that out, and to claim something of kinds of images that are rarer than one in a few dozen
takes more images.
"""


def measured(shape: str, images: int, repeats: int) -> Floats:
    """Return for each sample whether it is so, as `HEADS` has it, [repeats, 4]."""
    rng = np.random.default_rng(images)
    count, image = np.ones(images), np.arange(images)
    rows = []
    for _ in range(repeats):
        values = SHAPES[shape](rng, images)
        flipped = sign_flip_p(values, image)
        misses = small = lone = False
        if np.ptp(values):
            student = student_interval(values)
            lone = one_image_decides(student.influence)
            if not student.low <= 0 <= student.high:
                found = mean_interval(values, count, image)
                misses, p = not found.low <= 0 <= found.high, mean_p(values, count, image)
                small = p is not None and p < 0.05
        rows.append((misses, small, lone, flipped is not None and flipped < 0.05))
    return np.array(rows, dtype=np.float64)


def row(shape: str, images: int, repeats: int) -> str:
    """Return a row of the table."""
    shares = [_cell(share, repeats) for share in measured(shape, images, repeats).mean(axis=0)]
    return f"| {shape} | {' | '.join([str(images), *shares])} |"


def _cell(share: float, repeats: int) -> str:
    # The error of none at all is that of one.
    error = np.sqrt(max(share, 1.0 / repeats) * (1.0 - min(share, 1.0 - 1.0 / repeats)) / repeats)
    return f"{100 * share:.1f} ({100 * error:.1f})"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    table = [f"| numbers | {' | '.join(HEADS)} |", "|---" * (len(HEADS) + 1) + "|"]
    for shape in SHAPES:
        for images in IMAGES:
            table.append(row(shape, images, given.repeats))
            print(table[-1], flush=True)
    text = TEXT.format(repeats=given.repeats, table="\n".join(table))
    given.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
