"""What attacks and other frequencies do to the tiny model: sandbox-attacks.md and its figure.

    python scripts/studies/attack_tables.py attacks natural

`attacks` is the --output_path of a run of pope_pgd and pope_drift on the same questions, and of
pope_redrawn on the data that `attacked_data.py` makes of these; `natural` that of pope_eps, the
natural degradations and the frequency tasks. All intervals are 95%, clustered by image.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from vlm_confidence_tasks.metrics.extractors.attacks import GOALS, attacks, over_control, reached

from page_parts import STUDIES, entropy, samples_of
from vlm_confidence_tasks.metrics import (
    Interval,
    Sample,
    auroc,
    mean_interval,
    rate_interval,
    visual_entropy,
)
from vlm_confidence_tasks.metrics.functional.ranking import auroc_of_ranks
from vlm_confidence_tasks.metrics.inference.jackknife import ranking_interval
from vlm_confidence_tasks.report.figures.drawing import draw, to_bytes
from vlm_confidence_tasks.report.figures.figure_data import Figure, Panel, Series
from vlm_confidence_tasks.types import Readout

PAGE, PICTURE = STUDIES / "sandbox-attacks.md", STUDIES / "sandbox-frequency.png"
KINDS = ("own", "signs", "other")
NATURAL = ("blur", "motionblur", "lowlight", "occlusion", "jpeg")
EPSILONS = (0.1, 0.2, 0.3, 0.5)
NOISE = tuple(f"eps{epsilon}" for epsilon in EPSILONS)
PERCENTILE = 95.0
POSITIVE = (0.0, float("inf"))
DRIFT = "drift of the context"
# The rows whose wrong answers are told from clean ones, and the images that drift is told from.
ATTACKED = ("`sure`", "`flip`")
WEAK = ("Gaussian noise", f"{EPSILONS[0]}")

# The answers that a table's row is about; and a number, or None, of an answer.
Answers = Sequence[tuple[Sample, Readout]]
Signal = Callable[[Sample, Readout], float | None]


def question(sample: Sample) -> tuple[str, str]:
    """Return category and id in the data set, since ids begin anew in each category."""
    return sample.category, sample.question_id


def parameter(readout: Readout, name: str) -> object:
    """Return a parameter of an answer's variant."""
    return readout.parameters.get(name)


def size(epsilon: float) -> str:
    """Write an epsilon as grey levels of 255, where it is a whole number of them."""
    levels = 255 * epsilon
    return f"{levels:.0f}/255" if abs(levels - round(levels)) < 1e-9 else f"{epsilon:g}"


def rate(pairs: Sequence[tuple[float | None, str]]) -> str:
    """Return a share of (hit, image) with its interval, a dash without any."""
    found = [(hit, image) for hit, image in pairs if hit is not None]
    if not found:
        return "-"
    hits, images = zip(*found, strict=True)
    return written(rate_interval(hits, np.ones(len(hits)), images), float(np.mean(hits)))


def average(
    pairs: Sequence[tuple[float | None, str]],
    digits: str = ".3g",
    within: tuple[float, float] = (-np.inf, np.inf),
) -> str:
    """Return a mean of (number, image) with its interval, a dash without any."""
    found = [(number, image) for number, image in pairs if number is not None]
    if not found:
        return "-"
    numbers, images = zip(*found, strict=True)
    found = mean_interval(numbers, np.ones(len(numbers)), images, within=within)
    return written(found, float(np.mean(numbers)), digits)


def written(found: Interval | None, value: float, digits: str = ".2f") -> str:
    """Write a number, and its interval if it has one."""
    text = f"{value:{digits}}"
    return text if found is None else f"{text} [{found.low:{digits}}, {found.high:{digits}}]"


def attacked(samples: Sequence[Sample], goal: str, epsilon: float, kind: str) -> Answers:
    """Return the answers to attacks of one goal and size, or to their controls."""
    return [
        (sample, readout)
        for sample in samples
        for readout in attacks(sample, (goal,), kind)
        if parameter(readout, "epsilon") == epsilon
    ]


def drift(readout: Readout) -> float | None:
    """Return how far the context moved."""
    return None if readout.inside is None else readout.inside.drift.get("context")


def difference(samples: Sequence[Sample], goal: str, epsilon: float, control: str) -> str:
    """Return success less that of a control, paired."""
    values, images = [], []
    for sample in samples:
        kept = [
            r
            for r in sample.variants
            if parameter(r, "goal") == goal and parameter(r, "epsilon") == epsilon
        ]
        part = Sample(
            sample.image_id, sample.gold, sample.labels, sample.positive, sample.clean, tuple(kept)
        )
        value = over_control((control,), part)
        if value is not None:
            values.append(value)
            images.append(sample.image_id)
    if not values:
        return "-"
    hits = [value["control"] for value in values] + [value["hits"] for value in values]
    second = np.repeat([False, True], len(values))
    found = rate_interval(hits, np.ones(len(hits)), [*images, *images], paired=second)
    return written(found, float(np.mean([value["score"] for value in values])))


def success(samples: Sequence[Sample]) -> Iterator[str]:
    """Yield a row for each goal and epsilon."""
    epsilons = sorted({float(str(parameter(r, "epsilon"))) for s in samples for r in s.variants})
    for goal in GOALS[:4]:
        for epsilon in epsilons:
            groups = {kind: attacked(samples, goal, epsilon, kind) for kind in KINDS}
            own = groups["own"]
            cells = [
                goal,
                size(epsilon),
                *(rate([(reached(s, r), s.image_id) for s, r in groups[kind]]) for kind in KINDS),
                difference(samples, goal, epsilon, "signs"),
                difference(samples, goal, epsilon, "other"),
                average([(r.entropy, s.image_id) for s, r in own], ".3g", POSITIVE),
                average([(drift(r), s.image_id) for s, r in own], ".2f", POSITIVE),
            ]
            yield f"| {' | '.join(cells)} |"


def middle(readout: Readout) -> float | None:
    """Return the logit lens's entropy at the middle layer."""
    layers = () if readout.inside is None else readout.inside.layer_entropy
    return layers[len(layers) // 2] if layers else None


def spread(redrawn: Sequence[Sample]) -> Signal:
    """Return the signal of an image's visual entropy: of the answers to it and to noisy copies.

    Args:
        redrawn: The answers to the shown images, each as a clean image, and to its noisy copies.
    """
    found = {
        (question(sample), sample.image_sha256): visual_entropy(
            [readout.answer for readout in (sample.clean, *sample.variants)]
        )
        for sample in redrawn
    }
    return lambda sample, readout: found[question(sample), readout.image_sha256]


def detectors(redrawn: Sequence[Sample]) -> dict[str, Signal]:
    """Return what tells attacked images from others, the larger the more suspicious."""
    return {
        "entropy": lambda _, readout: readout.entropy,
        "1 - confidence": lambda _, r: None if r.confidence is None else 1 - r.confidence,
        "entropy of the middle layer": lambda _, readout: middle(readout),
        "visual entropy": spread(redrawn),
        DRIFT: lambda _, readout: drift(readout),
    }


def shown(attacking: Sequence[Sample], noisy: Sequence[Sample]) -> dict[tuple[str, str], Answers]:
    """Return the answers of each row about the defence, by kind of image and size."""
    epsilons = sorted({float(str(parameter(r, "epsilon"))) for s in attacking for r in s.variants})
    rows = {
        (f"`{goal}`", size(epsilon)): attacked(attacking, goal, epsilon, "own")
        for goal in ("sure", "flip")
        for epsilon in epsilons
    }
    for kind in ("signs", "other"):
        for epsilon in epsilons:
            answers = attacked(attacking, "sure", epsilon, kind)
            rows[f"control: {kind}", size(epsilon)] = answers
    for epsilon in EPSILONS:
        rows["Gaussian noise", f"{epsilon}"] = [
            (s, r) for s in noisy for r in s.variants if parameter(r, "epsilon") == epsilon
        ]
    return rows


def thresholds(signals: dict[str, Signal], clean: Answers, benign: Answers) -> dict[str, float]:
    """Return the 95th percentile of each signal on clean answers; of drift, under weak noise."""
    return {
        name: float(np.percentile(numbers(signal, benign if name == DRIFT else clean), PERCENTILE))
        for name, signal in signals.items()
    }


def numbers(signal: Signal, answers: Answers) -> list[float]:
    """Return a signal's numbers, where it has any."""
    return [value for sample, r in answers if (value := signal(sample, r)) is not None]


def passing(
    answers: Answers, signals: dict[str, Signal], limits: dict[str, float]
) -> Iterator[str]:
    """Yield how many answers are wrong, and the share of these that passes each detector."""
    wrong = [(s, r) for s, r in answers if not r.correct]
    yield f"{len(wrong)} of {len(answers)}"
    for name, signal in signals.items():
        values = [(signal(s, r), s.image_id) for s, r in wrong]
        yield rate([(None if v is None else float(v <= limits[name]), at) for v, at in values])


def told_apart(signal: Signal, suspicious: Answers, usual: Answers) -> str:
    """Return the AUROC of a signal, suspicious answers against usual ones."""
    labelled = [
        (value, found, sample.image_id)
        for found, answers in ((False, usual), (True, suspicious))
        for sample, readout in answers
        if (value := signal(sample, readout)) is not None
    ]
    values, found, images = (list(column) for column in zip(*labelled, strict=True))
    area = auroc(values, found)
    if area is None:
        return "-"
    return written(ranking_interval(auroc_of_ranks, values, found, images), area)


def defence(
    rows: dict[tuple[str, str], Answers], signals: dict[str, Signal], clean: Answers
) -> Iterator[str]:
    """Yield a row for each kind of image and size: which wrong answers pass which detector."""
    limits = thresholds(signals, clean, rows[WEAK])
    for (kind, epsilon), answers in rows.items():
        yield f"| {kind} | {epsilon} | {' | '.join(passing(answers, signals, limits))} |"


def told(
    rows: dict[tuple[str, str], Answers], signals: dict[str, Signal], clean: Answers
) -> Iterator[str]:
    """Yield a row likewise: how well each detector tells its images from clean ones."""
    for (kind, epsilon), answers in rows.items():
        kept = [(s, r) for s, r in answers if not r.correct] if kind in ATTACKED else answers
        cells = [
            told_apart(signal, kept, rows[WEAK] if name == DRIFT else clean)
            for name, signal in signals.items()
        ]
        yield f"| {kind} | {epsilon} | {len(kept)} | {' | '.join(cells)} |"


def first_half(sample: Sample) -> bool:
    """Whether an image is in the half on which the threshold is set."""
    return sha256(sample.image_id.encode()).digest()[0] % 2 == 0


def best_threshold(answers: Answers) -> float:
    """Return the entropy that tells wrong answers from right ones best (Youden's J)."""
    entropy = np.array([r.entropy for _, r in answers], float)
    wrong = np.array([not r.correct for _, r in answers])
    cuts = np.unique(entropy)
    gains = [(entropy[wrong] > cut).mean() - (entropy[~wrong] > cut).mean() for cut in cuts]
    return float(cuts[int(np.argmax(gains))])


def transfers(folder: Path) -> Iterator[str]:
    """Yield a row a family: what the threshold that was set on noise does to it."""
    families = {"noise": NOISE, **{name: (name,) for name in NATURAL}}
    found = {
        family: [
            (s, r) for task in tasks for s in samples_of(folder, f"pope_{task}") for r in s.variants
        ]
        for family, tasks in families.items()
    }
    limit = best_threshold([(s, r) for s, r in found["noise"] if first_half(s)])
    yield f"Threshold: {limit:.4f} nats.\n"
    yield "| family | answers | wrong | wrong ones rejected | right ones rejected |"
    yield "|---|---|---|---|---|"
    for family, answers in found.items():
        held = [(s, r) for s, r in answers if not first_half(s)]
        sides = [
            [(float(entropy(r) > limit), s.image_id) for s, r in held if bool(r.correct) == hit]
            for hit in (False, True)
        ]
        share = rate([(float(not r.correct), s.image_id) for s, r in held])
        yield f"| {family} | {len(held)} | {share} | {rate(sides[0])} | {rate(sides[1])} |"


def frequency(folder: Path) -> tuple[list[str], Figure]:
    """Return the rows of the frequency tasks, and their figure."""
    rows, lines = [], {}
    for task in ("lowpass", "highpass"):
        samples = samples_of(folder, f"pope_{task}")
        for shape in ("ideal", "gaussian"):
            points = []
            for cutoff in (0.05, 0.1, 0.2, 0.4):
                wanted = {"shape": shape, "cutoff": cutoff}
                cells, numbers = measured(samples, wanted)
                rows.append(f"| {task}, {shape} | {cutoff} | {' | '.join(cells)} |")
                points.append((cutoff, *numbers))
            lines[f"{task}, {shape}"] = points
    samples = samples_of(folder, "pope_bandnoise")
    for epsilon in (0.02, 0.05, 0.1):
        for band in ("low", "mid", "high"):
            cells, _ = measured(samples, {"epsilon": epsilon, "band": band})
            rows.append(f"| noise of one band, rms {epsilon} | {band} | {' | '.join(cells)} |")
    for band in ("low", "mid", "high"):
        cells, _ = measured(samples_of(folder, "pope_bandphase"), {"band": band})
        rows.append(f"| phases of one band scrambled | {band} | {' | '.join(cells)} |")
    return rows, picture(lines)


def measured(samples: Sequence[Sample], wanted: dict[str, object]) -> tuple[list[str], list]:
    """Return flips, entropy and confidence of the variants with some parameters."""
    answers = [
        (s, r)
        for s in samples
        for r in s.variants
        if all(parameter(r, name) == value for name, value in wanted.items())
    ]
    flips = [(float(r.answer != s.clean.answer), s.image_id) for s, r in answers]
    changes = [
        (
            None if r.entropy is None or s.clean.entropy is None else r.entropy - s.clean.entropy,
            s.image_id,
        )
        for s, r in answers
    ]
    hits, images = zip(*flips, strict=True)
    numbers, _ = zip(*changes, strict=True)
    ones = np.ones(len(hits))
    intervals = [rate_interval(hits, ones, images), mean_interval(numbers, ones, images)]
    confidence = average([(r.confidence, s.image_id) for s, r in answers], ".3f", (0.0, 1.0))
    return [rate(flips), average(changes), confidence], intervals


def picture(lines: dict[str, list]) -> Figure:
    """Return flips and change of entropy by cut-off."""

    def panel(which: int, label: str, unit: bool) -> Panel:
        series = []
        for style, (name, points) in enumerate(lines.items()):
            found = [point[which] for point in points]
            ends = [[each.low for each in found], [each.high for each in found]]
            x, y = [point[0] for point in points], [each.estimate for each in found]
            series.append(Series(name, x, y, *ends, style=style))
        return Panel(
            "line",
            "",
            "cut-off, share of the largest radius x 0.5",
            label,
            tuple(series),
            unit_y=unit,
        )

    title = "tiny model, POPE: flips and change of entropy by cut-off"
    panels = (panel(1, "flips", True), panel(2, "H(perturbed) - H(clean), nats", False))
    return Figure("frequency", title, panels)


TEXT = """# Attacks on the tiny model, and what other frequencies do to it

Written by `scripts/studies/attack_tables.py`. The embedded model is sure of nearly every answer on
clean images, and its images are small: the numbers say that the machinery works, and nothing of
larger models. {questions} POPE questions about {images} images are attacked, every ninth of the
sandbox's: few, so that intervals are wide. `docs/studies/sandbox-attacks.sh` makes it again.

## Success by goal, size and control

Share of attacks that reach their goal ([what counts](../attacks.md#goals)), of random signs and of
another image's difference of the same size, and the paired differences. Entropy (nats) and drift
of the context are of the attacks, whether they succeed or not.

| goal | epsilon | attack | signs | other | attack - signs | attack - other | entropy | drift |
|---|---|---|---|---|---|---|---|---|
{success}

## The defence against one who knows it

Wrong answers that pass a detector whose threshold passes 95% of clean answers: of `sure` (another
label with the least entropy), of `flip` (which does not look at entropy), of the controls and of
noise. Visual entropy is that of the answers to the image that is shown and to four copies of it
with Gaussian noise of epsilon 0.05. Drift is measured against the clean image, which a defender
does not have; its threshold is the 95th percentile under noise of epsilon 0.1.

| images | epsilon | wrong | {passes} |
|---|---|---|{rules}|
{defence}

AUROC of each detector, against clean images (of drift: against noise of epsilon 0.1). Of the
attacks those count whose answer is wrong; of controls and noise all, since a detector should not
tell them from clean images as long as answers stay right.

| images | epsilon | answers | {detectors} |
|---|---|---|{rules}|
{told}

## A threshold set on noise, on natural degradation

The entropy that best tells wrong answers under noise (all four epsilons) from right ones, set on
half of the images and applied to the other half. All 540 questions.

{transfers}

## Frequencies

All 540 questions about 30 images: flips, change of entropy (nats) and confidence by cut-off or
band. A cut-off of 0.5 would keep (low pass) or remove (high pass) everything.

| what | cut-off or band | flips | entropy - clean | confidence |
|---|---|---|---|---|
{frequency}

![Flips and change of entropy by cut-off](sandbox-frequency.png)
"""


def main() -> None:
    """Write the page and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("attacks", type=Path, help="folder of the runs of attacks")
    parser.add_argument("natural", type=Path, help="folder of the run of all other tasks")
    given = parser.parse_args()
    attacking, noisy, redrawn = (
        samples_of(given.attacks, f"pope_{task}") for task in ("pgd", "drift", "redrawn")
    )
    signals, defended = detectors(redrawn), shown(attacking, noisy)
    clean = [(sample, sample.clean) for sample in attacking]
    rows, figure = frequency(given.natural)
    PAGE.write_text(
        TEXT.format(
            questions=len(attacking),
            images=len({sample.image_id for sample in attacking}),
            success="\n".join(success(attacking)),
            passes=" | ".join(f"pass {name}" for name in signals),
            detectors=" | ".join(signals),
            rules="|".join("---" for _ in signals),
            defence="\n".join(defence(defended, signals, clean)),
            told="\n".join(told(defended, signals, clean)),
            transfers="\n".join(transfers(given.natural)),
            frequency="\n".join(rows),
        )
    )
    PICTURE.write_bytes(to_bytes(draw(figure), "png"))
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
