"""What of the clean answers' promises survives? Write docs/studies/trust-under-shift.md.

    python scripts/studies/trust_table.py results    # the --output_path of the page's runs

Temperature, calibration before and after, coverage and size of sets, answers given, at each
epsilon and family, and which signal finds errors, with 95% intervals clustered by image.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from page_parts import STUDIES, answers_of, cell, folders, metric_table, only, samples_of, table
from vlm_confidence_tasks.metrics import Answers, Number, measure, signal_prices

PAGE = STUDIES / "trust-under-shift.md"
BENCHMARKS = {"amber": "AMBER (yes or no)", "seed": "SEED-Bench (four options)"}
# Whose families are measured too.
FAMILIES_OF = ("seed",)
EPSILONS = (0.1, 0.2, 0.3, 0.5)
IMAGES = 100
COMMANDS = (
    f"python scripts/sandbox/generate_sandbox_data.py more_scenes --images {IMAGES}",
    "VLM_CONFIDENCE_DATA=more_scenes lmms_eval --model tiny_llava "
    "--tasks amber_eps,seed_eps,seed_invariance,amber_verbal3 --batch_size 16 "
    "--output_path results --log_samples",
    "python scripts/studies/trust_table.py results",
)
HEAD = """# Trust under shift

What a deployed system does with a model's confidence is set up on clean images: it scales the
confidence, promises sets that hold the right label, answers only where the model is sure. Does that
survive when the images are perturbed? The embedded model on {images} images each of the sandbox's
AMBER and SEED-Bench (24 of which are in the package), 95% intervals clustered by image; what the
columns mean: [reading the numbers](../reading-the-numbers.md#trust-under-shift).
Everything is fitted on clean answers of one half of the images and judged on the other half.
Written by `scripts/studies/trust_table.py`; to run it again:

```sh
{commands}
```
"""
REPAIRED = ("accuracy", "ece", "ece_ts", "nll", "nll_ts")
PROMISED = ("hit_90", "set_size_90", "aps_hit_90", "risk_80", "answered_80")
SIGNALS = ("confidence", "entropy", "layer_entropy", "verbal", "visual_entropy", "drift", "pair")

READING = """## What to take from it, and what not

{findings}

For a real model: look at the columns, not at these numbers. Each fit is made on clean answers
alone, as a deployed system would make it, so whatever happens below, the clean row looks covered.
There is little to repair here: no temperature's interval leaves 1 out. On SEED-Bench it is under 1
all the same, and sharpening costs likelihood (`nll_ts` above `nll`), most where the images have
changed most. An overconfident model's temperature, over 1, would err the other way and help a
little everywhere: only both columns tell. A coverage that falls is to be read with the size
of the sets: a model whose sets grow has noticed that it knows less, and here they do not. The
answers that are still given at the clean threshold are fewer and more of them are wrong, so a
threshold notices some of the shift and not all of it. And a signal that takes 25 answers a question
may find errors worse than the confidence that comes with the first one: under 0.5 it points the
other way, as where questions that are answered wrongly are those whose answer no image moves.

What not to take from it: sizes. The tiny model is right nearly always, was trained on scenes of
this very kind, and the perturbations of its small images are not those of photographs; with this
few wrong answers the intervals of the signals are wide. Nor does a coverage near 90% here promise
any elsewhere: the promise is about images like those it was set up on.
"""


def conditions(results: Path, benchmark: str) -> dict[str, dict[str, Number]]:
    """Measure the variants of each condition alone."""
    found = {f"noise {e}": samples_of(results, f"{benchmark}_eps{e}") for e in EPSILONS}
    if benchmark in FAMILIES_OF:
        mixed = samples_of(results, f"{benchmark}_invariance")
        for family in dict.fromkeys(r.family for sample in mixed for r in sample.variants):
            found[family] = only(mixed, family)
    return {name: measure(Answers.of(samples)) for name, samples in found.items()}


def signals(results: Path, task: str) -> Iterator[str]:
    """Yield how well each signal finds errors, what it gains, and what it costs."""
    answers = answers_of(results, task)
    numbers, prices = measure(answers), signal_prices(answers)
    right = answers.documents.correct
    yield f"### `{task}`: {np.count_nonzero(right != 1)} wrong of {right.size}"
    yield ""
    heads = ("signal", "AUROC for wrong clean answers", "less that of 1 - confidence", "answers")
    shown = [name for name in SIGNALS if f"error_auroc_{name}" in numbers]
    yield from table(
        heads,
        (
            [
                name.replace("_", " "),
                cell(numbers[f"error_auroc_{name}"]),
                cell(numbers.get(f"error_auroc_gain_{name}")),
                f"{prices[name]:.1f}",
            ]
            for name in shown
        ),
    )
    yield ""


def finding(measured: dict[str, dict[str, Number]], title: str) -> str:
    """Say in words where calibration after scaling and coverage are clearly not the clean ones."""
    clean = next(iter(measured.values()))
    temperature, before = clean.get("temperature"), clean["ece_clean"]
    parts = [
        f"{title}: temperature {cell(temperature)}; on clean images ECE {before.value:.3f} "
        f"before and {cell(clean.get('ece_ts_clean'))} after."
    ]
    scaled = {c: n for c, n in measured.items() if "ece_ts" in n}
    if scaled:
        worst = max(scaled, key=lambda condition: scaled[condition]["ece_ts"].value)
        ends = [cell(scaled[worst][name]) for name in ("ece", "ece_ts")]
        parts.append(f"It is largest under {worst}: {ends[0]} before, {ends[1]} after.")
    broken = [
        condition
        for condition, numbers in measured.items()
        if (found := numbers.get("hit_90")) and found.high is not None and found.high < 0.9
    ]
    text = ", ".join(broken) if broken else "no condition"
    parts.append(f"The interval of the coverage lies under 90% for {text}.")
    return " ".join(parts)


def main() -> None:
    """Write the page."""
    (results,) = folders(__doc__, results="folder of the runs")
    lines = [HEAD.format(images=IMAGES, commands="\n".join(COMMANDS))]
    found = {title: conditions(results, key) for key, title in BENCHMARKS.items()}
    for heading, names in (
        ("Does the repair survive?", REPAIRED),
        ("Are promises kept?", PROMISED),
    ):
        lines += [f"## {heading}", ""]
        for title, measured in found.items():
            clean = next(iter(measured.values()))
            sides = {"clean": {name: clean.get(f"{name}_clean") for name in names}, **measured}
            shown = {condition: (numbers, ()) for condition, numbers in sides.items()}
            lines += [*metric_table(title, names, shown), ""]
    lines += ["## Which signal finds the errors?", ""]
    for task in ("seed_invariance", "amber_verbal3"):
        lines += signals(results, task)
    findings = "\n\n".join(finding(measured, title) for title, measured in found.items())
    lines.append(READING.format(findings=findings))
    PAGE.write_text("\n".join(lines))
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
