"""From documents to the columns of the table of answers: `answers.Answers` says what each holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import attrgetter
from typing import Any

import numpy as np

from vlm_confidence_tasks.metrics.functional.calibration import log_probability
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints, any_number
from vlm_confidence_tasks.metrics.functional.cross_fitting import second_half
from vlm_confidence_tasks.metrics.functional.spectra import BANDS
from vlm_confidence_tasks.types import CHANNELS, Inside, Readout, Sample

# What attacks aim at, and what their images are: the attack itself, or a control of its size.
GOALS = ("flip", "sure", "unsure", "hidden", "loglik")
ATTACK_KINDS = ("own", "signs", "other", "noise")
ATTACKS = ("pgd", "pgd_hi")
OBJECT_NOISE = "object_noise"

# Whether an answer is "Yes".
_SAID: dict[str | None, float] = {"Yes": 1.0, "No": 0.0}
# Columns that are a number of the Readout.
_NUMBERS = (
    "entropy",
    "entropy_answer",
    "entropy_low",
    "entropy_high",
    "confidence_low",
    "confidence_high",
    "logprob",
    "answer_mass",
    "margin",
    "gold_margin",
)


def columns_of(
    samples: Sequence[Sample], images: Sequence[str] | None
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the families that were shown, sorted, and the columns by name.

    Args:
        samples: The documents, in the order of the table.
        images: All names of images, sorted; None: those of the samples.

    Raises:
        ValueError: A number is NaN or infinite, or an answer is none of the labels.
    """
    readouts = [readout for s in samples for readout in (s.clean, *s.variants)]
    sizes = np.array([1 + len(s.variants) for s in samples], dtype=np.intp)
    document = np.repeat(np.arange(len(samples)), sizes)
    starts = np.cumsum(sizes) - sizes
    row, clean_row = np.arange(len(readouts)), starts[document]
    number = _Numbers([samples[owner] for owner in document.tolist()])
    families, variants = _variants(readouts, row == clean_row)
    counted, in_family = _counted(samples)
    answers = _answers(samples, readouts, document, number)
    noisy = variants["noise_confidence"]
    shown = np.bincount(document, ~np.isnan(noisy) & counted, len(samples)) > 0
    return families, {
        "document": document,
        "image": _image_numbers(samples, images)[document],
        "second_half": second_half([s.image_id for s in samples])[document],
        "row": row,
        "clean_row": clean_row,
        **variants,
        "counted": counted,
        "in_family": in_family,
        **answers,
        **{name: number(name, map(attrgetter(name), readouts)) for name in _NUMBERS},
        "position_unknown": _flags(readout.position_unknown for readout in readouts),
        "refused": number("refused", [readout.refused for readout in readouts]),
        "truncated": _flags(bool(readout.truncated) for readout in readouts),
        "filtered": _flags(bool(readout.filtered) for readout in readouts),
        "other_model": _flags(readout.other_model is not None for readout in readouts),
        "stated": number("verbal_confidence", [r.verbal_confidence for r in readouts]),
        "asked_certainty": _flags(readout.verbal_text is not None for readout in readouts),
        **_inside(samples, readouts, document, clean_row, answers["probs"], number),
        "noise_confidence": np.where((row == clean_row) & shown[document], 1.0, noisy),
    }


@dataclass(frozen=True)
class _Numbers:
    """Makes columns of numbers, some of them absent, and says where one is not finite.

    Attributes:
        samples: The document of each row.
    """

    samples: Sequence[Sample]

    def __call__(self, name: str, values: Iterable[float | None]) -> Floats:
        held = list(values)
        found = np.array(held, dtype=np.float64).reshape(-1)
        absent = np.isnan(found)
        if np.isinf(found).any() or np.count_nonzero(absent) != held.count(None):
            bad = [
                n for n, value in enumerate(held) if value is not None and not np.isfinite(value)
            ]
            raise _refusal(self.samples[bad[0]], name, held[bad[0]])
        return found


def _refusal(sample: Sample, name: str, value: float | None) -> ValueError:
    return ValueError(f"image {sample.image_id}: {name} is {value}, expected a finite number")


def _flags(values: Iterable[bool]) -> Any:
    return np.array(list(values), dtype=np.bool_)


def _image_numbers(samples: Sequence[Sample], images: Sequence[str] | None) -> Ints:
    names = sorted({sample.image_id for sample in samples}) if images is None else images
    numbers = {name: n for n, name in enumerate(names)}
    for sample in samples:
        if sample.image_id not in numbers:
            raise ValueError(f"image {sample.image_id} is not among the images that are given")
    return np.array([numbers[sample.image_id] for sample in samples], dtype=np.intp)


def _variants(
    readouts: Sequence[Readout], is_clean: Bools
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the families, and what is known of each row's perturbation."""
    shown = [
        "" if clean else readout.family
        for readout, clean in zip(readouts, is_clean.tolist(), strict=True)
    ]
    # In one order, so that tables with the same families number them alike.
    families = sorted({family for family in shown if family})
    places = {"": -1, **{family: n for n, family in enumerate(families)}}
    settings: dict[tuple[Any, ...], int] = {}

    def setting_of(readout: Readout) -> int:
        # What an attack and its control share.
        shared = (item for item in readout.parameters.items() if item[0] not in ("delta", "mode"))
        key = (readout.perturbation, readout.seed, *sorted(shared))
        return settings.setdefault(key, len(settings))

    columns: dict[str, Any] = {
        "family": np.array([places[family] for family in shown], dtype=np.intp),
        "goal": np.full(len(readouts), -1),
        "attack_kind": np.full(len(readouts), -1),
        "attack_setting": np.full(len(readouts), -1),
        "noise_confidence": np.full(len(readouts), np.nan),
    }
    for row, readout in enumerate(readouts):
        if readout.perturbation == OBJECT_NOISE:
            columns["noise_confidence"][row] = float(readout.parameters["confidence"])
        elif readout.perturbation in ATTACKS:
            columns["goal"][row] = _number(readout.parameters.get("goal", "loglik"), GOALS)
            columns["attack_kind"][row] = _number(_attack_kind(readout), ATTACK_KINDS)
            columns["attack_setting"][row] = setting_of(readout)
    return tuple(families), columns


def _attack_kind(readout: Readout) -> object:
    """Return whether it is an attack ("own"), or which control."""
    if readout.perturbation == "pgd":
        return readout.parameters.get("delta")
    return "noise" if readout.parameters.get("mode") == "noise" else "own"


def _number(value: object, known: Sequence[str]) -> int:
    return known.index(value) if value in known else -1


def _counted(samples: Sequence[Sample]) -> tuple[Any, Any]:
    """Return which rows pooled metrics count, and which their family's do.

    Pooled metrics leave controls out, unless a document has only controls. Of variants with the
    same pixels the first one counts: one answer that is counted several times would look like
    several that agree.
    """
    pooled, of_family = [], []
    for sample in samples:
        pooled.append(False)
        of_family.append(False)
        controls = [readout.control for readout in sample.variants]
        only_controls = all(controls)
        seen: set[str] = set()
        seen_in_family: set[tuple[str, str]] = set()
        for readout, control in zip(sample.variants, controls, strict=True):
            digest = readout.image_sha256
            counts = only_controls or not control
            # An answer without a digest (one made by hand) is like no other.
            pooled.append(counts and (not digest or digest not in seen))
            of_family.append(not digest or (readout.family, digest) not in seen_in_family)
            if counts:
                seen.add(digest)
            seen_in_family.add((readout.family, digest))
    return np.array(pooled, dtype=np.bool_), np.array(of_family, dtype=np.bool_)


def _answers(
    samples: Sequence[Sample], readouts: Sequence[Readout], document: Ints, number: _Numbers
) -> dict[str, Any]:
    """Return the columns that depend on labels."""
    labels = [sample.labels for sample in samples]
    owners = document.tolist()
    width = max(map(len, labels), default=0) or 1
    labelled = _flags(map(bool, labels))[document]

    def one(value: str | None, label: str | None) -> float | None:
        return None if label is None or value is None else float(value == label)

    def of_each(name: str, value: Callable[[Sample], float | None]) -> Floats:
        return _Numbers(samples)(name, map(value, samples))[document]

    answers = [readout.answer for readout in readouts]
    probs = _by_label("probs", samples, owners, [readout.probs for readout in readouts], width)
    scores = [readout.option_logprob for readout in readouts]
    confidence = number("confidence", [readout.confidence for readout in readouts])
    return {
        "labelled": labelled,
        "answer": _label_numbers(labels, owners, answers),
        "gold": np.array(
            [s.labels.index(s.gold) if s.labels and s.gold is not None else -1 for s in samples],
            dtype=np.intp,
        )[document],
        "correct": number(
            "correct",
            [
                None if samples[owner].gold is None else float(bool(readout.correct))
                for owner, readout in zip(owners, readouts, strict=True)
            ],
        ),
        "upstream": of_each("upstream_clean", lambda s: s.upstream_clean),
        "gold_positive": of_each("gold", lambda s: one(s.gold, s.positive)),
        "said_positive": number(
            "answer",
            [
                None if samples[owner].positive is None else float(said == samples[owner].positive)
                for owner, said in zip(owners, answers, strict=True)
            ],
        ),
        "said": number("answer", map(_SAID.get, answers)),
        "asks_yes_no": _flags(s.positive is not None and "Yes" in s.labels for s in samples)[
            document
        ],
        "finds_yes": _flags(s.positive == "Yes" for s in samples)[document],
        "gold_said": of_each("gold", lambda s: _SAID.get(s.gold)),
        "overlay_right": number(
            "overlay_label",
            [
                None if r.overlay_label is None else float(r.overlay_label == samples[owner].gold)
                for owner, r in zip(owners, readouts, strict=True)
            ],
        ),
        "confidence": np.where(labelled, confidence, np.nan),
        "probs": probs,
        "uniform": of_each("uniform", _uniform),
        "option_scores": _by_label("option_logprob", samples, owners, scores, width),
        "option_mean_answer": _label_numbers(
            labels, owners, [readout.loglik_mean_answer for readout in readouts]
        ),
    }


def _label_numbers(
    labels: Sequence[tuple[str, ...]], owners: Sequence[int], answers: Sequence[str | None]
) -> Ints:
    by_labels = {
        own: {None: -1, **{label: n for n, label in enumerate(own)}} for own in set(labels)
    }
    numbers = [by_labels[own] for own in labels]
    try:
        found = [numbers[owner][answer] for owner, answer in zip(owners, answers, strict=True)]
    except KeyError as error:
        raise ValueError(f"answer {error} is none of the labels") from None
    return np.array(found, dtype=np.intp)


def _by_label(
    name: str,
    samples: Sequence[Sample],
    owners: Sequence[int],
    rows: Sequence[Mapping[str, float] | None],
    width: int,
) -> Floats:
    """Lay numbers by label out in the order of each document's labels, [N, labels]."""
    found = np.full((len(rows), width), np.nan)
    held: dict[tuple[str, ...], dict[int, Mapping[str, float]]] = defaultdict(dict)
    for n, (owner, numbers) in enumerate(zip(owners, rows, strict=True)):
        if numbers is not None:
            held[samples[owner].labels][n] = numbers
    for labels, by_row in held.items():
        where, size = list(by_row), len(labels)
        for place, label in enumerate(labels):
            found[where, place] = [numbers[label] for numbers in by_row.values()]
        bad = np.argwhere(~np.isfinite(found[where, :size]))
        if bad.size:
            row, label = where[bad[0, 0]], bad[0, 1]
            raise _refusal(samples[owners[row]], name, found[row, label])
    return found


def _uniform(sample: Sample) -> float | None:
    """Return a number in [0, 1) made of image, right label and clean probabilities.

    So it is the same for all variants of the document and in every subset of documents.
    """
    clean, gold = sample.clean, sample.gold
    if gold is None or not sample.labels:
        return None
    shown = []
    if sample.variants and clean.confidence is not None and clean.probs is not None:
        row = [clean.probs[label] for label in sample.labels]
        shown = [(row, sample.labels.index(str(clean.answer)))]
    own = repr((sample.image_id, gold, shown)).encode()
    return int.from_bytes(sha256(own).digest()[:6], "big") / 2**48


def _inside(
    samples: Sequence[Sample],
    readouts: Sequence[Readout],
    document: Ints,
    clean_row: Ints,
    probs: Floats,
    number: _Numbers,
) -> dict[str, Any]:
    """Return the columns of hidden states and spectra."""
    insides = [readout.inside for readout in readouts]
    measured = _flags(inside is not None for inside in insides)
    # One number that stands for a whole column takes no memory.
    blank = np.broadcast_to(np.nan, len(readouts))
    absent = np.broadcast_to(np.nan, (len(readouts), len(CHANNELS)))
    by_channel = dict.fromkeys(("drift", "distance", "control", "control_same"), absent)
    columns = {
        "inside": measured,
        **by_channel,
        "prior_drift": blank,
        "prior_margin": blank,
        "dirichlet_energy": blank,
        "layer_entropy": blank[:, None],
        "spectrum": np.broadcast_to(np.nan, (len(readouts), len(BANDS))),
    }
    if not measured.any():
        return columns

    def of(value: Callable[[Inside], float | None], name: str) -> Floats:
        return number(name, [None if inside is None else value(inside) for inside in insides])

    def by_name(field: str, names: Sequence[str]) -> Floats:
        held = [None if inside is None else getattr(inside, field) for inside in insides]
        columns = [[None if own is None else own.get(name) for own in held] for name in names]
        return np.column_stack([number(field, column) for column in columns])

    layers = [() if inside is None else inside.layer_entropy for inside in insides]
    depth = max(1, max(map(len, layers)))
    entropies = [[*own, *[None] * (depth - len(own))] for own in layers]
    return {
        **columns,
        **{name: by_name(name, CHANNELS) for name in by_channel},
        "prior_drift": of(lambda inside: inside.prior_drift, "prior_drift"),
        "prior_margin": _prior_margin(samples, document, probs),
        "dirichlet_energy": of(lambda inside: inside.dirichlet_energy, "dirichlet_energy"),
        "layer_entropy": np.column_stack(
            [number("layer_entropy", layer) for layer in zip(*entropies, strict=True)]
        ),
        "spectrum": by_name("spectrum", BANDS),
    }


def _prior_margin(samples: Sequence[Sample], document: Ints, probs: Floats) -> Floats:
    """Return |m(row) - m(blank)| in nats, with m = ln p(base) - ln p(best other).

    The base is the label that is likeliest on the *blank* image, the first of equals: the clean
    answer as base would select the clean margin upwards. Of two labels, either gives the same.
    """
    priors = [s.clean.inside.prior_probs if s.clean.inside else None for s in samples]
    blank = _by_label("prior_probs", samples, range(len(samples)), priors, probs.shape[1])
    known = any_number(blank)
    base = np.where(np.isnan(blank), -np.inf, blank).argmax(axis=1)
    found = np.abs(_margin(probs, base[document]) - _margin(blank, base)[document])
    return np.where(known[document], found, np.nan)


def _margin(probs: Floats, base: Ints) -> Floats:
    """Return ln p(base) - ln p(best other) of each row, NaN without probabilities."""
    logs = log_probability(probs)
    rows = np.arange(len(logs))
    others = np.where(np.isnan(logs), -np.inf, logs)
    others[rows, base] = -np.inf
    best = others.max(axis=1)
    margin: Floats = np.where(np.isfinite(best), logs[rows, base] - best, np.nan)
    return margin
