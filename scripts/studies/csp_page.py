"""The page of the study of calibration by semantic perturbation: samples -> Markdown."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from page_parts import cell, measured, metric_table, samples_of, table
from vlm_confidence_tasks.metrics import Answers, Number, Sample
from vlm_confidence_tasks.report.compare import Difference, compare_runs
from vlm_confidence_tasks.report.inputs.problems import Problems

# By condition, of each seed; differences by task and metric.
Samples = Mapping[str, Sequence[Sequence[Sample]]]
Differences = Mapping[tuple[str, str], Difference]
Compared = Mapping[str, Sequence[Differences]]

BEFORE = "before"
MAIN = "pope_objectnoise"
TITLES = {
    BEFORE: "before",
    "sft_only": "SFT",
    "csp": "SFT + SimPO",
    "simpo_only": "SimPO alone",
    "global_noise": "noise everywhere",
    "first_person": "first person",
    "shuffled_confidence": "shuffled confidences",
}
STATED, SEEN = "verbal_ece", "verbal_objectnoise_alignment"
METRICS = (STATED, SEEN, "accuracy", "accuracy_clean")
MORE = ("verbal_ece_debiased", "verbal_overconfidence", "verbal_brier_top", "verbal_auroc")
ANSWERS = ("ece", "objectnoise_alignment", "invalid_rate", "verbal_invalid_rate")
OTHERS = {
    "pope_verbal3": "Gaussian noise, third person",
    "pope_verbal1": "Gaussian noise, first person",
    "pope_blur_verbal3": "blur",
    "pope_lowlight_verbal3": "low light",
    "pope_occlusion_verbal3": "occlusion",
    "amber_relation_verbal3": "AMBER's relations, Gaussian noise",
}
TEMPLATE = Path(__file__).with_name("csp_template.md")


def page(root: Path, conditions: Sequence[str], seeds: Sequence[int], size: Any) -> str:
    """Return the page.

    Args:
        root: The study's folder.
        conditions: In the order of the tables, with `BEFORE` first.
        seeds: Of the trained conditions.
        size: The study's `Size`.
    """
    first = root / f"{BEFORE}-0" / "results"
    runs = {
        name: [first] if name == BEFORE else [root / f"{name}-{n}" / "results" for n in seeds]
        for name in conditions
    }
    samples = {name: [samples_of(run, MAIN) for run in held] for name, held in runs.items()}
    compared = {
        name: [differences(first, run) for run in held]
        for name, held in runs.items()
        if name != BEFORE
    }
    return TEMPLATE.read_text().format(
        documents=sum(bool(sample.variants) for sample in samples[BEFORE][0]),
        images=len({sample.image_id for sample in samples[BEFORE][0]}),
        seeds=", ".join(map(str, seeds)),
        scenes=3 * size.scenes,
        sft=size.sft,
        simpo=size.simpo,
        main=rows(samples, METRICS),
        levels=levels(samples),
        more=rows(samples, MORE),
        answers=rows(samples, ANSWERS),
        paired=paired(compared, METRICS),
        others=others(compared),
        findings=findings(compared),
        loss=losses(root, seeds),
    )


def differences(before: Path, after: Path) -> Differences:
    """Return a model's paired differences to the one before, by task and metric."""
    found = compare_runs([before, after], Problems()).differences
    return {(row.task, row.metric): row for row in found}


def rows(samples: Samples, names: Sequence[str]) -> str:
    """Return a row a condition: of all seeds' answers together, with each seed's own number."""
    found = {TITLES[name]: measured(of_seeds, names) for name, of_seeds in samples.items()}
    return "\n".join(metric_table("", names, found))


def levels(samples: Samples) -> str:
    """Return the mean stated confidence at each confidence that the noise leaves, in percent."""
    found = {name: stated([s for one in of for s in one]) for name, of in samples.items()}
    columns = sorted(found[BEFORE], reverse=True)
    cells = (
        [TITLES[name], *(f"{100 * means[c]:.0f}" if c in means else "-" for c in columns)]
        for name, means in found.items()
    )
    return "\n".join(table(["noise leaves", *(f"{100 * c:.0f}%" for c in columns)], cells))


def stated(samples: Sequence[Sample]) -> dict[float, float]:
    """Return the mean stated confidence by the noise's."""
    answers = Answers.of(samples)
    level, said = answers.noise_confidence, answers.stated
    known = ~np.isnan(said)
    return {
        float(one): float(said[known & (level == one)].mean())
        for one in np.unique(level[known & ~np.isnan(level)])
    }


def paired(compared: Compared, names: Sequence[str]) -> str:
    """Return a row a condition: what each seed's model changed, with its interval."""
    cells = (
        [TITLES[condition], *(changes(of_seeds, MAIN, name) for name in names)]
        for condition, of_seeds in compared.items()
    )
    return "\n".join(table(["after - before", *(f"`{name}`" for name in names)], cells))


def changes(of_seeds: Sequence[Differences], task: str, name: str) -> str:
    """Return the difference of each seed with its interval."""
    found = [of.get((task, name)) for of in of_seeds]
    numbers = [row and Number(row.difference, row.low, row.high) for row in found]
    return "<br>".join(cell(number, digits="+.3f") for number in numbers)


def others(compared: Compared) -> str:
    """Return what training changed in tasks other than that of its own noise."""
    names = (STATED, "verbal_alignment", "accuracy")
    cells = (
        [TITLES[condition], title, *(changes(of_seeds, task, name) for name in names)]
        for condition, of_seeds in compared.items()
        for task, title in OTHERS.items()
        if any((task, STATED) in found for found in of_seeds)
    )
    return "\n".join(table(["trained", "evaluated", *(f"`{name}`" for name in names)], cells))


def findings(compared: Compared) -> str:
    """Say in how many seeds each number is clearly lower, clearly higher, or neither."""
    lines = []
    for condition, of_seeds in compared.items():
        parts = []
        for name in METRICS:
            rows = [row for found in of_seeds if (row := found.get((MAIN, name)))]
            lower = sum(row.high is not None and row.high < 0 for row in rows)
            higher = sum(row.low is not None and row.low > 0 for row in rows)
            parts.append(f"`{name}` lower in {lower}, higher in {higher}")
        lines.append(f"- {TITLES[condition]}: {'; '.join(parts)}, of {len(of_seeds)}.")
    return "\n".join(lines)


def losses(root: Path, seeds: Sequence[int]) -> str:
    """Say how the loss fell in the first seed's stages."""
    parts = []
    for name in ("sft_only", "csp"):
        file = root / f"{name}-{seeds[0]}" / "trained" / "loss.csv"
        with file.open() as stream:
            values = [float(row["loss"]) for row in csv.DictReader(stream)]
        last = np.mean(values[-max(1, len(values) // 10) :])
        parts.append(f"{TITLES[name]}: {values[0]:.2f} at first, {last:.2f} at the end")
    return "; ".join(parts)
