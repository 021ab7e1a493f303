"""Which perturbations move the tiny model most? Write docs/studies/sandbox-drift.md from samples.

    python scripts/studies/drift_table.py results    # the --output_path of a run of pope_invariance

Drift of each family in each channel against control drift, and paired differences between
families, with 95% intervals clustered by image.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from page_parts import STUDIES, samples_of
from vlm_confidence_tasks.metrics import Interval, Sample, mean_interval, rate_interval
from vlm_confidence_tasks.report.representation_statistics import inside_numbers
from vlm_confidence_tasks.types import Readout

PAGE = STUDIES / "sandbox-drift.md"
Method = Callable[[Sequence[float], Sequence[int], Sequence[str]], Interval | None]
CHANNELS = ("context", "answer", "vision")
COMMAND = (
    "VLM_CONFIDENCE_DATA=sandbox lmms_eval --model tiny_llava --tasks pope_invariance "
    "--batch_size 16 --output_path results --log_samples"
)
HEAD = """# What moves inside the tiny model

The embedded model on the sandbox's POPE questions ({questions} about {images} images). Drift is
1 - cos with the clean image's vector ([what that means](../drift.md)), by family of perturbations,
with 95% intervals clustered by image. Written by `scripts/studies/drift_table.py`; to run it
again:

```sh
{command}
python scripts/studies/drift_table.py results
```

| family | context | answer | vision | flips |
|---|---|---|---|---|
"""
# The source's two findings, as differences that it would have positive.
CLAIMS = (
    ("text overlays drift most", "textoverlay", None),
    ("rotations drift more than shifts", "rotation", "translation"),
)


def mean(readouts: Sequence[Readout], channel: str) -> float | None:
    """Return the mean drift of some answers to one document."""
    drifts = [r.inside.drift[channel] for r in readouts if r.inside and channel in r.inside.drift]
    return sum(drifts) / len(drifts) if drifts else None


def cell(values: Sequence[tuple[float, str]], of: Method = mean_interval) -> str:
    """Return a mean over (number, image) with its interval."""
    if not values:
        return "-"
    found = interval(values, of)
    return f"{found.estimate:.3g} [{found.low:.3g}, {found.high:.3g}]"


def interval(values: Sequence[tuple[float, str]], of: Method = mean_interval) -> Interval:
    """Return the interval of a mean over (number, image)."""
    numbers, images = zip(*values, strict=True)
    found = of(numbers, [1] * len(numbers), images)
    if found is None:
        raise ValueError("an interval needs at least 5 images that differ")
    return found


def moved(documents: Sequence[Sample], family: str, channel: str) -> dict[int, float]:
    """Return the mean drift of a family in each document that it applies to."""
    means = ((n, mean(d.families.get(family, ()), channel)) for n, d in enumerate(documents))
    return {n: value for n, value in means if value is not None}


def rows(documents: Sequence[Sample], families: Sequence[str]) -> Iterator[str]:
    """Yield the table's lines: families, the most moving first, and the control."""
    for family in families:
        cells = [
            cell([(v, documents[n].image_id) for n, v in moved(documents, family, c).items()])
            for c in CHANNELS
        ]
        flips = [
            (float(r.answer != d.clean.answer), d.image_id)
            for d in documents
            for r in d.families.get(family, ())
        ]
        yield f"| {family} | {' | '.join(cells)} | {cell(flips, rate_interval)} |"
    controls = [
        [
            (d.clean.inside.control[c], d.image_id)
            for d in documents
            if d.clean.inside and c in d.clean.inside.control
        ]
        for c in CHANNELS
    ]
    yield f"| other images (control) | {' | '.join(map(cell, controls))} | |"


def verdicts(documents: Sequence[Sample], families: Sequence[str]) -> Iterator[str]:
    """Yield what the paired differences say of the source's findings, for each channel."""
    for claim, family, given in CLAIMS:
        for channel in CHANNELS:
            one = moved(documents, family, channel)
            rivals = [given] if given else [f for f in families if not f.startswith(family)]
            rival = max(rivals, key=lambda f: _average(moved(documents, f, channel)))
            other = moved(documents, rival, channel)
            pairs = [(one[n] - other[n], documents[n].image_id) for n in one if n in other]
            found = interval(pairs)
            says = "yes" if found.low > 0 else "no" if found.high < 0 else "not told apart"
            yield (
                f"| {claim} | {channel} | {family} - {rival} | {found.estimate:.3g} "
                f"[{found.low:.3g}, {found.high:.3g}] | {says} |"
            )


def _average(drifts: dict[int, float]) -> float:
    return sum(drifts.values()) / len(drifts)


def correlations(documents: Sequence[Sample]) -> Iterator[str]:
    """Yield the correlations with their intervals."""
    numbers = inside_numbers(documents)
    for name, value in numbers.items():
        if f"{name}_n" in numbers:
            low, high, n = (numbers[f"{name}_{end}"] for end in ("low", "high", "n"))
            yield f"| `{name}` | {value:.3f} [{low:.3f}, {high:.3f}] | {n:.0f} |"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="folder of the run")
    documents = samples_of(parser.parse_args().results, "pope_invariance")
    images = {document.image_id for document in documents}
    names = {family for document in documents for family in document.families}
    families = sorted(names, key=lambda f: -_average(moved(documents, f, "context")))
    lines = [
        HEAD.format(command=COMMAND, questions=len(documents), images=len(images)).rstrip(),
        *rows(documents, families),
        "",
        "## Does it do what the source's models do?",
        "",
        '"Same Answer, Different Representations" (arXiv 2602.06652) finds that text overlays move',
        "the representation most, and rotations more than shifts. Paired by question; the other",
        "family of the first finding is the one that moves most besides.",
        "",
        "| finding | channel | difference | mean | holds here |",
        "|---|---|---|---|---|",
        *verdicts(documents, families),
        "",
        "## Correlations",
        "",
        "Pearson, over perturbed answers, as `vlm-confidence recompute` prints them.",
        "",
        "| | r | answers |",
        "|---|---|---|",
        *correlations(documents),
        "",
    ]
    PAGE.write_text("\n".join(lines))
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
