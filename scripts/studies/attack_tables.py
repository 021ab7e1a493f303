"""What attacks and other frequencies do to the tiny model: sandbox-attacks.md and its figure.

    python scripts/studies/attack_tables.py attacks natural

`attacks` is the --output_path of a run of pope_pgd and pope_drift on the same questions, and of
pope_redrawn on the data that `attacked_data.py` makes of these; `natural` that of pope_eps, the
natural degradations and the frequency tasks. All intervals are 95%, clustered by image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from page_parts import STUDIES, bounded, cell, folders, mean_of, only, samples_of, table
from vlm_confidence_tasks.metrics import (
    BANDS,
    Answers,
    Number,
    Sample,
    auroc,
    rate_interval,
)
from vlm_confidence_tasks.metrics.catalogue.attacks import ControlSuccess, Success, reached
from vlm_confidence_tasks.metrics.catalogue.changes import entropy_change
from vlm_confidence_tasks.metrics.catalogue.flips import flip
from vlm_confidence_tasks.metrics.columns import ATTACK_KINDS, GOALS
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints
from vlm_confidence_tasks.metrics.inference.ties import auroc_interval
from vlm_confidence_tasks.metrics.statistics.error_signals import middle_entropy, visual_entropies
from vlm_confidence_tasks.metrics.statistics.means import POSITIVE, SHARE, RateDifference
from vlm_confidence_tasks.report.figures.drawing import draw, to_bytes
from vlm_confidence_tasks.report.figures.figure_data import Figure, Panel, Series

PAGE, PICTURE = STUDIES / "sandbox-attacks.md", STUDIES / "sandbox-frequency.png"
KINDS = ("own", "signs", "other")
NATURAL = ("blur", "motionblur", "lowlight", "occlusion", "jpeg")
EPSILONS = (0.1, 0.2, 0.3, 0.5)
NOISE = tuple(f"eps{epsilon}" for epsilon in EPSILONS)
PERCENTILE = 95.0
DRIFT = "drift of the context"
# The rows whose wrong answers are told from clean ones, and the images that drift is told from.
ATTACKED = ("`sure`", "`flip`")
WEAK = ("Gaussian noise", f"{EPSILONS[0]}")
SUCCESS = (
    *("goal", "epsilon", "attack", *KINDS[1:], "attack - signs", "attack - other"),
    *("entropy", "drift"),
)
# What is compared on one kind of images: its name and size.
Kind = tuple[str, str]
# A question and an image that was shown with it.
Asked = tuple[str, str, str]


def asked(sample: Sample, image: str) -> Asked:
    """Return category and id in the data set, since ids begin anew in each category, and image."""
    return sample.category, sample.question_id, image


def size(epsilon: float) -> str:
    """Write an epsilon as grey levels of 255, where it is a whole number of them."""
    levels = 255 * epsilon
    return f"{levels:.0f}/255" if abs(levels - round(levels)) < 1e-9 else f"{epsilon:g}"


def rate(hits: Floats, images: Ints) -> str:
    """Return a share with its interval, a dash without any."""
    return cell(mean_of(hits, images, rate_interval), digits=".2f")


def epsilons_of(samples: Sequence[Sample]) -> list[float]:
    """Return the sizes of the attacks."""
    return sorted({float(str(r.parameters["epsilon"])) for s in samples for r in s.variants})


def success(samples: Sequence[Sample]) -> Iterator[list[str]]:
    """Yield a row for each goal and epsilon."""
    for goal in GOALS[:4]:
        for epsilon in epsilons_of(samples):
            view = Answers.of(only(samples, goal=goal, epsilon=epsilon)).variants
            kinds = [view.where(view.attack_kind == ATTACK_KINDS.index(kind)) for kind in KINDS]
            own = kinds[0]
            entropy = mean_of(own.entropy, own.image, within=POSITIVE)
            drift = mean_of(own.drift[:, 0], own.image, within=POSITIVE)
            yield [
                *(goal, size(epsilon)),
                *(rate(reached(each), each.image) for each in kinds),
                *(over_control(view, control) for control in KINDS[1:]),
                *(cell(entropy, digits=".3g"), cell(drift, digits=".2f")),
            ]


def over_control(view: Answers, control: str) -> str:
    """Return success less that of a control, paired."""
    statistic = RateDifference(Success(), other=ControlSuccess((control,)))
    value = statistic.value(view)
    found = None if value is None else bounded(value, statistic.interval(view))
    return cell(found, digits=".2f")


def spread(redrawn: Sequence[Sample]) -> dict[Asked, float]:
    """Return the visual entropy of each image: of the answers to it and to noisy copies.

    Args:
        redrawn: The answers to the shown images, each as a clean image, and to its noisy copies.
    """
    view = Answers.of(redrawn).perturbed
    entropies = zip(view.position.tolist(), visual_entropies(view).tolist(), strict=True)
    found = ((redrawn[n], entropy) for n, entropy in entropies if not math.isnan(entropy))
    return {asked(sample, sample.image_sha256): entropy for sample, entropy in found}


@dataclass(frozen=True)
class Detected:
    """Answers to one kind of images, and what tells attacked images from others.

    Attributes:
        wrong: Whether the answer is wrong, [N].
        image: The image, [N].
        signals: Numbers by detector, the larger the more suspicious, [N] each.
    """

    wrong: Bools
    image: Ints
    signals: Mapping[str, Floats]

    @classmethod
    def of(
        cls, answers: Answers, samples: Sequence[Sample], spreads: Mapping[Asked, float]
    ) -> Detected:
        """Make it of a view of a table of samples."""
        places = zip(answers.position, answers.row - answers.clean_row, strict=True)
        shown = [(s := samples[n], (s.clean, *s.variants)[place]) for n, place in places]
        signals = {
            "entropy": answers.entropy,
            "1 - confidence": 1 - answers.confidence,
            "entropy of the middle layer": middle_entropy(answers),
            "visual entropy": np.array([spreads[asked(s, r.image_sha256)] for s, r in shown]),
            DRIFT: answers.drift[:, 0],
        }
        return cls(answers.correct != 1, answers.image, signals)

    def where(self, rows: Bools) -> Detected:
        """Return some of the answers."""
        signals = {name: signal[rows] for name, signal in self.signals.items()}
        return Detected(self.wrong[rows], self.image[rows], signals)


def shown(attacking: Sequence[Sample], noisy: Sequence[Sample]) -> dict[Kind, list[Sample]]:
    """Return the samples of each row about the defence, with its variants alone."""
    epsilons = epsilons_of(attacking)

    def attacked(goal: str, epsilon: float, kind: str) -> list[Sample]:
        return only(attacking, goal=goal, epsilon=epsilon, delta=kind)

    rows = {(f"`{g}`", size(e)): attacked(g, e, "own") for g in ("sure", "flip") for e in epsilons}
    for kind in KINDS[1:]:
        rows |= {(f"control: {kind}", size(e)): attacked("sure", e, kind) for e in epsilons}
    return rows | {("Gaussian noise", f"{e}"): only(noisy, epsilon=e) for e in EPSILONS}


def told_apart(suspicious: Detected, usual: Detected, name: str) -> str:
    """Return the AUROC of a signal, suspicious answers against usual ones."""
    sides = (usual, suspicious)
    values = np.concatenate([side.signals[name] for side in sides])
    images = np.concatenate([side.image for side in sides])
    found = np.repeat([False, True], [side.image.size for side in sides])
    known = ~np.isnan(values)
    columns = (values[known], found[known], images[known])
    area = auroc(*columns[:2])
    if area is None:
        return "-"
    return cell(bounded(area, auroc_interval(*columns)), digits=".2f")


def defence(rows: Mapping[Kind, Detected], clean: Detected) -> Iterator[list[str]]:
    """Yield a row for each kind of image and size: which wrong answers pass which detector.

    The threshold passes 95% of clean answers; that of drift, of the answers under weak noise.
    """
    limits = {
        name: np.nanpercentile((rows[WEAK] if name == DRIFT else clean).signals[name], PERCENTILE)
        for name in clean.signals
    }
    for kind, answers in rows.items():
        wrong = answers.where(answers.wrong)
        passing = [
            rate(np.where(np.isnan(signal), np.nan, signal <= limits[name]), wrong.image)
            for name, signal in wrong.signals.items()
        ]
        yield [*kind, f"{wrong.image.size} of {answers.image.size}", *passing]


def told(rows: Mapping[Kind, Detected], clean: Detected) -> Iterator[list[str]]:
    """Yield such a row: how well each detector tells its images from clean ones."""
    for kind, answers in rows.items():
        kept = answers.where(answers.wrong) if kind[0] in ATTACKED else answers
        areas = [
            told_apart(kept, rows[WEAK] if name == DRIFT else clean, name) for name in clean.signals
        ]
        yield [*kind, str(kept.image.size), *areas]


def in_first_half(image: str) -> bool:
    """Whether an image is in the half on which the threshold is set."""
    return sha256(image.encode()).digest()[0] % 2 == 0


def best_threshold(answers: Answers) -> float:
    """Return the entropy that tells wrong answers from right ones best (Youden's J)."""
    entropy, wrong = answers.entropy, answers.correct != 1
    cuts = np.unique(entropy)
    gains = [(entropy[wrong] > cut).mean() - (entropy[~wrong] > cut).mean() for cut in cuts]
    return float(cuts[int(np.argmax(gains))])


def halves(folder: Path, tasks: Sequence[str]) -> tuple[Answers, Answers]:
    """Return the perturbed answers of some tasks about each half of the images."""
    samples = [sample for task in tasks for sample in samples_of(folder, f"pope_{task}")]
    view = Answers.of(samples).variants
    first = np.array([in_first_half(sample.image_id) for sample in samples])[view.position]
    return view.where(first), view.where(~first)


def transfers(families: Mapping[str, Answers], limit: float) -> Iterator[list[str]]:
    """Yield a row a family: what the threshold that was set on noise does to it."""
    for family, held in families.items():
        wrong, rejected = held.correct != 1, (held.entropy > limit) * 1.0
        shares = [rate(rejected[side], held.image[side]) for side in (wrong, ~wrong)]
        yield [family, str(len(held)), rate(1.0 - held.correct, held.image), *shares]


# Rows about frequencies: what is done, the cut-off or band, task and parameters.
CUT = [
    (f"{task}, {shape}", cutoff, task, {"shape": shape, "cutoff": cutoff})
    for task in ("lowpass", "highpass")
    for shape in ("ideal", "gaussian")
    for cutoff in (0.05, 0.1, 0.2, 0.4)
]
BANDS_CHANGED = [
    *(
        (f"noise of one band, rms {epsilon}", band, "bandnoise", {"epsilon": epsilon, "band": band})
        for epsilon in (0.02, 0.05, 0.1)
        for band in BANDS
    ),
    *(("phases of one band scrambled", band, "bandphase", {"band": band}) for band in BANDS),
]


def frequency(folder: Path) -> tuple[list[list[str]], Figure]:
    """Return the rows of the frequency tasks, and their figure."""
    rows, lines = [], {}
    for what, where, task, parameters in (*CUT, *BANDS_CHANGED):
        view = Answers.of(only(samples_of(folder, f"pope_{task}"), **parameters)).variants
        flips = mean_of(flip(view), view.image, rate_interval)
        change = mean_of(entropy_change(view), view.image)
        confidence = mean_of(view.confidence, view.image, within=SHARE)
        numbers = ((flips, ".2f"), (change, ".3g"), (confidence, ".3f"))
        rows.append([what, str(where), *(cell(number, digits=d) for number, d in numbers)])
        if task in ("lowpass", "highpass"):
            lines.setdefault(what, []).append((where, flips, change))
    return rows, picture(lines)


def picture(lines: Mapping[str, Sequence[tuple[float, Number, Number]]]) -> Figure:
    """Return flips and change of entropy by cut-off."""

    def panel(which: int, label: str, unit: bool) -> Panel:
        series = []
        for style, (name, points) in enumerate(lines.items()):
            found = [point[which] for point in points]
            ends = [[each.low for each in found], [each.high for each in found]]
            x, y = [point[0] for point in points], [each.value for each in found]
            series.append(Series(name, x, y, *ends, style=style))
        x_label = "cut-off, share of the largest radius x 0.5"
        return Panel("line", "", x_label, label, tuple(series), unit_y=unit)

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

{success}

## The defence against one who knows it

Wrong answers that pass a detector whose threshold passes 95% of clean answers: of `sure` (another
label with the least entropy), of `flip` (which does not look at entropy), of the controls and of
noise. Visual entropy is that of the answers to the image that is shown and to four copies of it
with Gaussian noise of epsilon 0.05. Drift is measured against the clean image, which a defender
does not have; its threshold is the 95th percentile under noise of epsilon 0.1.

{defence}

AUROC of each detector, against clean images (of drift: against noise of epsilon 0.1). Of the
attacks those count whose answer is wrong; of controls and noise all, since a detector should not
tell them from clean images as long as answers stay right.

{told}

## A threshold set on noise, on natural degradation

The entropy that best tells wrong answers under noise (all four epsilons) from right ones, set on
half of the images and applied to the other half. All 540 questions.

Threshold: {threshold:.4f} nats.

{transfers}

## Frequencies

All 540 questions about 30 images: flips, change of entropy (nats) and confidence by cut-off or
band. A cut-off of 0.5 would keep (low pass) or remove (high pass) everything.

{frequency}

![Flips and change of entropy by cut-off](sandbox-frequency.png)
"""


def main() -> None:
    """Write the page and the figure."""
    attacks, natural = folders(
        __doc__,
        attacks="folder of the runs of attacks",
        natural="folder of the run of all other tasks",
    )
    attacking, noisy, redrawn = (
        samples_of(attacks, f"pope_{task}") for task in ("pgd", "drift", "redrawn")
    )
    images, spreads = sorted({sample.image_id for sample in attacking}), spread(redrawn)
    clean = Detected.of(Answers.of(attacking, images).documents, attacking, spreads)
    kinds = {
        kind: Detected.of(Answers.of(samples, images).variants, samples, spreads)
        for kind, samples in shown(attacking, noisy).items()
    }
    split = {
        family: halves(natural, tasks)
        for family, tasks in {"noise": NOISE, **{name: (name,) for name in NATURAL}}.items()
    }
    threshold = best_threshold(split["noise"][0])
    held = {family: second for family, (_, second) in split.items()}
    rows, figure = frequency(natural)
    tables = {
        "success": table(SUCCESS, success(attacking)),
        "defence": table(
            ["images", "epsilon", "wrong", *(f"pass {name}" for name in clean.signals)],
            defence(kinds, clean),
        ),
        "told": table(["images", "epsilon", "answers", *clean.signals], told(kinds, clean)),
        "transfers": table(
            ["family", "answers", "wrong", "wrong ones rejected", "right ones rejected"],
            transfers(held, threshold),
        ),
        "frequency": table(
            ["what", "cut-off or band", "flips", "entropy - clean", "confidence"], rows
        ),
    }
    text = TEXT.format(
        questions=len(attacking),
        images=len(images),
        threshold=threshold,
        **{name: "\n".join(lines) for name, lines in tables.items()},
    )
    PAGE.write_text(text)
    PICTURE.write_bytes(to_bytes(draw(figure), "png"))
    print(text)


if __name__ == "__main__":
    main()
