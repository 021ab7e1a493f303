"""Short ways to write down answers and samples."""

from msgspec.structs import replace

from vlm_confidence_tasks import metrics, perturbations
from vlm_confidence_tasks.metrics import Answers, Sample
from vlm_confidence_tasks.types import CLEAN, Inside, Readout, Variant

METRICS = metrics.metrics_for(perturbations.families())
NOISE = Variant("gaussian_noise", (("epsilon", 0.3),), family="noise")
NOISE_1 = replace(NOISE, seed=1)
SHIFT = Variant("translate", (("dx", 4),), family="translation")
TEXT = Variant("text_overlay", (("content", "semantic"),), family="textoverlay")
EMPTY = Variant("text_overlay", (("content", "empty"),), family="textoverlay_empty", control=True)


def values(samples, names=None):
    """The metrics of some documents."""
    return metrics.values(Answers.of(samples), names)


def measure(samples, names=None):
    """The metrics of some documents, with their intervals."""
    return metrics.measure(Answers.of(samples), names)


def both_sides(numbers):
    """The numbers by name, of which pairs are of perturbed and of clean images."""
    pairs = {name: v if isinstance(v, tuple) else (v,) for name, v in numbers.items()}
    return {
        f"{name}{end}": number
        for name, pair in pairs.items()
        for end, number in zip(("", "_clean"), pair, strict=False)
    }


def yes_no(variant, gold, answer, entropy=None, p_yes=None, mass=None):
    """An answer to a yes-no question; `confidence` follows from `p_yes`."""
    probs = None if p_yes is None else {"Yes": p_yes, "No": 1 - p_yes}
    return Readout.of(
        variant=variant,
        image_sha256="",
        text=answer or "?",
        answer=answer,
        correct=None if gold is None else answer == gold,
        entropy=entropy,
        probs=probs,
        answer_mass=mass,
        confidence=None if probs is None or answer is None else probs[answer],
    )


def yes_no_document(gold, clean, variants, upstream=None, positive="Yes"):
    """A document of answers given as (variant, answer, entropy, p_yes, mass)."""
    return Sample(
        image_id="image",
        gold=gold,
        labels=("Yes", "No"),
        positive=positive,
        clean=yes_no(CLEAN, gold, *clean),
        variants=tuple(yes_no(variant, gold, *rest) for variant, *rest in variants),
        upstream_clean=upstream,
    )


def open_document(gold, clean, variants):
    """A document without labels, of answers given as (text, correct, entropy)."""

    def readout(variant, text, correct, entropy):
        return Readout.of(variant, "", text, None, correct, entropy=entropy)

    return Sample(
        image_id="image",
        gold=gold,
        labels=(),
        positive=None,
        clean=readout(CLEAN, *clean),
        variants=tuple(readout(NOISE, *row) for row in variants),
    )


def stated(document, *certainties):
    """The document with a certainty stated of each answer, clean first; None: no number."""
    said = [
        replace(r, verbal_text=f"{value}", verbal_confidence=value)
        for r, value in zip((document.clean, *document.variants), certainties, strict=True)
    ]
    return replace(document, clean=said[0], variants=tuple(said[1:]))


def scored(document, *pairs):
    """The document with (sum, mean) of Yes and of No for each answer, clean first."""
    read = [
        replace(
            r,
            option_logprob={"Yes": yes[0], "No": no[0]},
            option_logprob_mean={"Yes": yes[1], "No": no[1]},
        )
        for r, (yes, no) in zip((document.clean, *document.variants), pairs, strict=True)
    ]
    return replace(document, clean=read[0], variants=tuple(read[1:]))


def inside(document, *given):
    """The document with what happened inside in each answer, clean first."""
    nothing = Inside({}, {}, {}, None, None, None, (), {})
    answers = [
        replace(r, inside=None if fields is None else replace(nothing, **fields))
        for r, fields in zip((document.clean, *document.variants), given, strict=True)
    ]
    return replace(document, clean=answers[0], variants=tuple(answers[1:]))
