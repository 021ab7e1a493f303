"""What stands beside each other counts the same answers with the same weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from vlm_confidence_tasks.metrics import Answers, Sample
from vlm_confidence_tasks.metrics.statistics.means import MeanDifference
from vlm_confidence_tasks.types import CLEAN, Inside, Readout

from .everything import counted
from .making import (
    EMPTY,
    METRICS,
    NOISE,
    NOISE_1,
    SHIFT,
    TEXT,
    stated,
    values,
    yes_no_document,
)

VARIANTS = (NOISE, NOISE_1, TEXT, SHIFT, EMPTY)

answers = st.tuples(
    st.sampled_from(["Yes", "No", None]), st.floats(0, 20), st.floats(0, 1), st.floats(0, 1)
)


@st.composite
def documents(draw):
    """Documents of which some have no variant, and some only the control."""
    shown = draw(st.lists(st.sampled_from(VARIANTS), unique=True))
    gold = draw(st.sampled_from(["Yes", "No"]))
    clean, *rest = draw(st.lists(answers, min_size=1 + len(shown), max_size=1 + len(shown)))
    variants = [(variant, *each) for variant, each in zip(shown, rest, strict=True)]
    return yes_no_document(gold, clean, variants, upstream=float(clean[0] == gold))


@given(st.lists(documents(), max_size=12))
def test_perturbed_minus_clean_is_the_paired_difference(held):
    found = values(held)
    if not any(document.variants for document in held):
        assert {name for name in found if "clean" in name} <= {"accuracy_upstream_clean"}
        return
    assert found["entropy"] - found["entropy_clean"] == pytest.approx(
        found["entropy_delta"], abs=1e-9
    )
    # Clean right answers that stay right, and wrong ones that become right.
    before = found["accuracy_clean"]
    kept = before * (1 - found.get("right_to_wrong", 0))
    repaired = (1 - before) * found.get("wrong_to_right", 0)
    assert found["accuracy"] == pytest.approx(kept + repaired, abs=1e-12)
    for name in ("invalid_rate", "yes_ratio", "answer_mass"):
        pairs = [(d.clean, r) for d, r in counted(held)]
        change = np.mean([number(name, r) - number(name, clean) for clean, r in pairs])
        assert found[name] - found[f"{name}_clean"] == pytest.approx(change, abs=1e-12)


def number(name: str, readout: Readout) -> float:
    if name == "answer_mass":
        return readout.answer_mass
    return float(readout.answer == {"invalid_rate": None, "yes_ratio": "Yes"}[name])


def weighted() -> list[Sample]:
    """A document with three variants, one with one, and one without any."""
    sure = yes_no_document(
        "Yes",
        ("Yes", 0.1, 0.9, 1.0),
        [(v, "Yes", 0.1, 0.9, 1.0) for v in (NOISE, NOISE_1, SHIFT)],
        1.0,
    )
    wrong = yes_no_document("No", ("Yes", 0.5, 0.6, 1.0), [(NOISE, "No", 0.7, 0.4, 1.0)], 0.0)
    alone = yes_no_document("No", ("Yes", 9.0, 0.5, 1.0), [], 0.0)
    return [stated(sure, *[0.8] * 4), stated(wrong, 0.4, 0.4), stated(alone, 0.1)]


def test_each_kind_of_clean_number_weighs_by_variants():
    found = values(weighted())
    assert found["accuracy_clean"] == found["precision_clean"] == 3 / 4
    assert found["recall_clean"] == 1
    assert found["confidence_clean"] == pytest.approx((3 * 0.9 + 0.6) / 4)
    assert found["ece_clean"] == pytest.approx((3 * 0.1 + 0.6) / 4)
    assert found["verbal_brier_clean"] == pytest.approx((3 * 0.04 + 0.16) / 4)
    assert found["verbal_accuracy_clean"] == 1
    # Three of four clean entropies are .1: the threshold is near the fourth, .5.
    assert found["defense_reject_clean"] == 1 / 4 and found["defense_reject"] == 1 / 4


def test_upstreams_number_is_over_all_documents_once_each():
    assert values(weighted())["accuracy_upstream_clean"] == pytest.approx(1 / 3)
    (alone,) = (document for document in weighted() if not document.variants)
    assert {name for name in values([alone]) if "clean" in name} == {"accuracy_upstream_clean"}


def test_repairs_by_overlays_are_told_apart_by_what_these_named():
    def named(label, answer):
        return (replace(TEXT, parameters=(("index", ord(label)),)), answer)

    document = yes_no_document(
        "Yes",
        ("No",),
        [(NOISE, "Yes"), (EMPTY, "Yes"), named("Y", "Yes"), named("Z", "No"), named("N", "Yes")],
    )
    labels = (None, None, "Yes", "Yes", "No")
    document = replace(
        document,
        variants=tuple(
            replace(r, overlay_label=label)
            for r, label in zip(document.variants, labels, strict=True)
        ),
    )
    found = values([document])
    assert found["wrong_to_right"] == 3 / 4
    assert found["wrong_to_right_named_right"] == 1 / 2
    assert found["wrong_to_right_named_wrong"] == 1
    right = replace(document, clean=replace(document.clean, answer="Yes", correct=True))
    assert not {name for name in values([right]) if "wrong_to_right" in name}


def softmax(logits: np.ndarray) -> dict[str, float]:
    shares = np.exp(logits) / np.exp(logits).sum()
    return dict(zip("ABCD", shares.tolist(), strict=True))


def null_document(rng: np.random.Generator) -> Sample:
    """Four labels; clean and perturbed logits are two draws of one distribution."""
    blank, centre, *moves = rng.normal(size=(4, 4))
    inside = Inside({}, {}, {}, None, softmax(blank), None, (), {})
    readouts = []
    for variant, move in zip((CLEAN, NOISE), moves, strict=True):
        scores = dict(zip("ABCD", (centre + move).tolist(), strict=True))
        more = {"probs": softmax(centre + move), "inside": inside, "option_logprob": scores}
        readouts.append(Readout.of(variant, "", "?", None, False, **more))
    return Sample("image", "A", tuple("ABCD"), None, readouts[0], (readouts[1],))


def test_a_perturbation_without_effect_moves_no_margin():
    rng = np.random.default_rng(11)
    held = Answers.of([null_document(rng) for _ in range(4000)])
    margin = METRICS["loglik_margin"].statistic
    for change in (
        METRICS["drift_to_prior"].statistic,
        MeanDifference(margin.take, other=lambda answers: margin.take(answers.counterpart)),
    ):
        found = change.sums(METRICS["loglik_margin"].view(held))
        error = np.std(found.totals[0], ddof=1) / math.sqrt(4000)
        assert len(found.totals[0]) == 4000 and abs(np.mean(found.totals[0])) < 3 * error
        # Small enough to see a clean margin that is selected upwards, which was 0.1.
        assert 3 * error < 0.08
