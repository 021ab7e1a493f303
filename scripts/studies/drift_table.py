"""Which perturbations move the tiny model most? Write docs/studies/sandbox-drift.md from samples.

    python scripts/studies/drift_table.py results    # the --output_path of a run of pope_invariance

Drift of each family in each channel against control drift, and paired differences between
families, with 95% intervals clustered by image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from page_parts import STUDIES, answers_of, cell, folders, mean_of, table
from vlm_confidence_tasks.metrics import CHANNELS, Answers, Mean, Number, rate_interval
from vlm_confidence_tasks.metrics.catalogue.flips import flip
from vlm_confidence_tasks.metrics.catalogue.representations import drift
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.report.representation_statistics import inside_numbers

PAGE = STUDIES / "sandbox-drift.md"
COMMAND = (
    "VLM_CONFIDENCE_DATA=sandbox lmms_eval --model tiny_llava --tasks pope_invariance "
    "--batch_size 16 --output_path results --log_samples"
)
TEXT = """# What moves inside the tiny model

The embedded model on the sandbox's POPE questions ({questions} about {images} images). Drift is
1 - cos with the clean image's vector ([what that means](../drift.md)), by family of perturbations,
with 95% intervals clustered by image. Written by `scripts/studies/drift_table.py`; to run it
again:

```sh
{command}
python scripts/studies/drift_table.py results
```

{drifts}

## Does it do what the source's models do?

"Same Answer, Different Representations" (arXiv 2602.06652) finds that text overlays move
the representation most, and rotations more than shifts. Paired by question; the other
family of the first finding is the one that moves most besides.

{verdicts}

## Correlations

Pearson, over perturbed answers, as `vlm-confidence recompute` prints them.

{correlations}
"""
# The source's two findings, as differences that it would have positive.
CLAIMS = (
    ("text overlays drift most", "textoverlay", None),
    ("rotations drift more than shifts", "rotation", "translation"),
)


def moved(answers: Answers, family: str, channel: str) -> Floats:
    """Return the mean drift of a family in each document, NaN where it has none."""
    found = np.full(len(answers.documents), np.nan)
    sums = Mean(drift).sums(answers.of_channel(channel).of_family(family))
    if sums is not None:
        found[sums.document] = sums.totals[0] / sums.count
    return found


def drifts(answers: Answers, families: Sequence[str]) -> Iterator[list[str]]:
    """Yield the table's rows: families, the most moving first, and the control."""
    images = answers.documents.image

    def row(title: str, columns: Sequence[Floats], flips: str) -> list[str]:
        return [title, *(cell(mean_of(column, images), digits=".3g") for column in columns), flips]

    for family in families:
        view = answers.of_family(family)
        flips = cell(mean_of(flip(view), view.image, rate_interval), digits=".3g")
        yield row(family, [moved(answers, family, channel) for channel in CHANNELS], flips)
    yield row("other images (control)", list(answers.documents.control.T), "")


def verdicts(answers: Answers, families: Sequence[str]) -> Iterator[list[str]]:
    """Yield what the paired differences say of the source's findings, for each channel."""
    for claim, family, given in CLAIMS:
        for channel in CHANNELS:
            by_family = {other: moved(answers, other, channel) for other in families}
            rivals = [given] if given else [f for f in families if not f.startswith(family)]
            rival = max(rivals, key=lambda f: np.nanmean(by_family[f]))
            found = mean_of(by_family[family] - by_family[rival], answers.documents.image)
            says = "yes" if found.low > 0 else "no" if found.high < 0 else "not told apart"
            yield [claim, channel, f"{family} - {rival}", cell(found, digits=".3g"), says]


def correlations(answers: Answers) -> Iterator[list[str]]:
    """Yield the correlations with their intervals."""
    numbers = inside_numbers(answers)
    for name, value in numbers.items():
        if f"{name}_n" in numbers:
            low, high, n = (numbers[f"{name}_{end}"] for end in ("low", "high", "n"))
            yield [f"`{name}`", cell(Number(value, low, high)), f"{n:.0f}"]


def main() -> None:
    """Write the page."""
    (results,) = folders(__doc__, results="folder of the run")
    answers = answers_of(results, "pope_invariance")
    families = sorted(answers.families, key=lambda f: -np.nanmean(moved(answers, f, "context")))
    heads = ("finding", "channel", "difference", "mean", "holds here")
    parts = {
        "drifts": table(["family", *CHANNELS, "flips"], drifts(answers, families)),
        "verdicts": table(heads, verdicts(answers, families)),
        "correlations": table(["", "r", "answers"], correlations(answers)),
    }
    text = TEXT.format(
        command=COMMAND,
        questions=len(answers.documents),
        images=len(set(answers.image)),
        **{name: "\n".join(lines) for name, lines in parts.items()},
    )
    PAGE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
