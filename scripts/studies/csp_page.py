"""The page of the study of calibration by semantic perturbation: samples -> Markdown."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from page_parts import cell, samples_of
from vlm_confidence_tasks.metrics import Sample, measure
from vlm_confidence_tasks.report.compare import Difference, compare_runs
from vlm_confidence_tasks.report.inputs.problems import Problems

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
MORE = ("verbal_ece_debiased", "verbal_overconfidence", "verbal_brier", "verbal_auroc")
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
    runs = {name: [0] if name == BEFORE else list(seeds) for name in conditions}
    samples = {
        name: [read(root, name, seed, MAIN) for seed in numbers] for name, numbers in runs.items()
    }
    compared = {
        name: [differences(root, name, seed) for seed in numbers]
        for name, numbers in runs.items()
        if name != BEFORE
    }
    text = TEMPLATE.read_text().format(
        documents=sum(bool(sample.variants) for sample in samples[BEFORE][0]),
        images=len({sample.image_id for sample in samples[BEFORE][0]}),
        seeds=", ".join(map(str, seeds)),
        scenes=3 * size.scenes,
        sft=size.sft,
        simpo=size.simpo,
        main="\n".join(table(samples, METRICS)),
        levels="\n".join(levels(samples)),
        more="\n".join(table(samples, MORE)),
        answers="\n".join(table(samples, ANSWERS)),
        paired="\n".join(paired(compared, MAIN, METRICS)),
        others="\n".join(others(compared)),
        findings="\n".join(findings(compared)),
        loss=losses(root, seeds),
    )
    return text


def read(root: Path, name: str, seed: int, task: str) -> list[Sample]:
    """Read the samples of a condition's run."""
    return samples_of(root / f"{name}-{seed}" / "results", task)


def differences(root: Path, name: str, seed: int) -> list[Difference]:
    """Return a condition's paired differences to the model before."""
    folders = [root / f"{each}-{n}" / "results" for each, n in ((BEFORE, 0), (name, seed))]
    return list(compare_runs(folders, Problems()).differences)


def table(samples: Mapping[str, Sequence[Sequence[Sample]]], names: Sequence[str]) -> Iterator[str]:
    """Yield a row a condition: of all seeds' answers together, with each seed's own number."""
    yield f"| | {' | '.join(f'`{name}`' for name in names)} |"
    yield "|---" * (1 + len(names)) + "|"
    for condition, of_seeds in samples.items():
        joined = measure([sample for found in of_seeds for sample in found], names)
        each = [measure(found, names) for found in of_seeds]
        cells = [cell(joined.get(name), [numbers.get(name) for numbers in each]) for name in names]
        yield f"| {TITLES[condition]} | {' | '.join(cells)} |"


def levels(samples: Mapping[str, Sequence[Sequence[Sample]]]) -> Iterator[str]:
    """Yield the mean stated confidence at each confidence that the noise leaves, in percent."""
    found = {name: stated([s for one in of for s in one]) for name, of in samples.items()}
    columns = sorted(found[BEFORE], reverse=True)
    yield f"| noise leaves | {' | '.join(f'{100 * level:.0f}%' for level in columns)} |"
    yield "|---" * (1 + len(columns)) + "|"
    for name, means in found.items():
        cells = [f"{100 * means[level]:.0f}" if level in means else "-" for level in columns]
        yield f"| {TITLES[name]} | {' | '.join(cells)} |"


def stated(samples: Sequence[Sample]) -> dict[float, float]:
    """Return the mean stated confidence by the noise's."""
    said: dict[float, list[float]] = {}
    for sample in samples:
        for readout in (sample.clean, *sample.variants) if sample.variants else ():
            level = float(dict(readout.variant.parameters).get("confidence", 1.0))
            if readout.verbal_confidence is not None:
                said.setdefault(level, []).append(readout.verbal_confidence)
    return {level: float(np.mean(values)) for level, values in said.items()}


def paired(
    compared: Mapping[str, Sequence[Sequence[Difference]]], task: str, names: Sequence[str]
) -> Iterator[str]:
    """Yield a row a condition: what each seed's model changed, with its interval."""
    yield f"| after - before | {' | '.join(f'`{name}`' for name in names)} |"
    yield "|---" * (1 + len(names)) + "|"
    for condition, of_seeds in compared.items():
        cells = ["<br>".join(change(found, task, name) for found in of_seeds) for name in names]
        yield f"| {TITLES[condition]} | {' | '.join(cells)} |"


def change(found: Sequence[Difference], task: str, name: str) -> str:
    """Return one difference with its interval."""
    row = one(found, task, name)
    if row is None:
        return "-"
    ends = "" if row.low is None else f" [{row.low:+.3f}, {row.high:+.3f}]"
    return f"{row.difference:+.3f}{ends}"


def one(found: Sequence[Difference], task: str, name: str) -> Difference | None:
    """Return the difference of a task's metric."""
    return next((row for row in found if (row.task, row.metric) == (task, name)), None)


def others(compared: Mapping[str, Sequence[Sequence[Difference]]]) -> Iterator[str]:
    """Yield what training changed in tasks other than that of its own noise."""
    names = (STATED, "verbal_alignment", "accuracy")
    yield f"| trained | evaluated | {' | '.join(f'`{name}`' for name in names)} |"
    yield "|---" * (2 + len(names)) + "|"
    for condition, of_seeds in compared.items():
        for task, title in OTHERS.items():
            if any(one(found, task, STATED) for found in of_seeds):
                cells = [
                    "<br>".join(change(found, task, name) for found in of_seeds) for name in names
                ]
                yield f"| {TITLES[condition]} | {title} | {' | '.join(cells)} |"


def findings(compared: Mapping[str, Sequence[Sequence[Difference]]]) -> Iterator[str]:
    """Yield in how many seeds each number is clearly lower, clearly higher, or neither."""
    for condition, of_seeds in compared.items():
        parts = []
        for name in METRICS:
            rows = [row for found in of_seeds if (row := one(found, MAIN, name))]
            lower = sum(row.high is not None and row.high < 0 for row in rows)
            higher = sum(row.low is not None and row.low > 0 for row in rows)
            parts.append(f"`{name}` lower in {lower}, higher in {higher}")
        yield f"- {TITLES[condition]}: {'; '.join(parts)}, of {len(of_seeds)}."


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
