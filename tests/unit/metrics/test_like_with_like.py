"""What stands beside each other counts the same answers with the same weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from vlm_confidence_tasks.metrics import Sample, task_metrics
from vlm_confidence_tasks.metrics.reducers import linearised, pooled_mean
from vlm_confidence_tasks.types import CLEAN, Inside, Readout, Variant

from .making import EMPTY, METRICS, NOISE, NOISE_1, TEXT, yes_no_document
from .test_protocols import stated

SHIFT = Variant("translate", (("dx", 4),), family="translation")
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
    found = task_metrics(held)
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
        pairs = [(d.clean, r) for d in held for r in d.perturbed]
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
    found = task_metrics(weighted())
    assert found["accuracy_clean"] == found["precision_clean"] == 3 / 4
    assert found["recall_clean"] == 1
    assert found["confidence_clean"] == pytest.approx((3 * 0.9 + 0.6) / 4)
    assert found["ece_clean"] == pytest.approx((3 * 0.1 + 0.6) / 4)
    assert found["verbal_brier_clean"] == pytest.approx((3 * 0.04 + 0.16) / 4)
    assert found["verbal_accuracy_clean"] == 1
    # Three of four clean entropies are .1: the threshold is near the fourth, .5.
    assert found["defense_reject_clean"] == 1 / 4 and found["defense_reject"] == 1 / 4


def test_upstreams_number_is_over_all_documents_once_each():
    assert task_metrics(weighted())["accuracy_upstream_clean"] == pytest.approx(1 / 3)
    (alone,) = (document for document in weighted() if not document.variants)
    assert {name for name in task_metrics([alone]) if "clean" in name} == {
        "accuracy_upstream_clean"
    }


def test_families_weigh_alike_in_macro_rates_and_by_variants_in_pooled_ones():
    clean = ("Yes",)
    one = yes_no_document(
        "Yes", clean, [(NOISE, "No"), (NOISE_1, "Yes"), (SHIFT, "Yes"), (EMPTY, "No")]
    )
    other = yes_no_document("Yes", clean, [(NOISE, "Yes"), (NOISE_1, "Yes")])
    found = task_metrics([one, other])
    assert found["ifr"] == 1 / 5 and found["ifr_macro"] == (1 / 4 + 0) / 2
    assert found["iv"] == 1 / 2 and found["iv_macro"] == (1 / 2 + 0) / 2
    # Of one family both are the pooled rates.
    alone = task_metrics([other, replace(one, variants=one.variants[:2])])
    assert alone["ifr_macro"] == alone["ifr"] and alone["iv_macro"] == alone["iv"]


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
    found = task_metrics([document])
    assert found["wrong_to_right"] == 3 / 4
    assert found["wrong_to_right_named_right"] == 1 / 2
    assert found["wrong_to_right_named_wrong"] == 1
    right = replace(document, clean=replace(document.clean, answer="Yes", correct=True))
    assert not {name for name in task_metrics([right]) if "wrong_to_right" in name}


def softmax(logits: np.ndarray) -> dict[str, float]:
    shares = np.exp(logits) / np.exp(logits).sum()
    return dict(zip("ABCD", shares.tolist(), strict=True))


def null_document(rng: np.random.Generator) -> Sample:
    """Four labels; clean and perturbed logits are two draws of one distribution."""
    blank, centre, *moves = rng.normal(size=(4, 4))
    inside = Inside({}, {}, {}, None, softmax(blank), None, (), {})
    clean, variant = (
        Readout.of(
            variant=variant,
            image_sha256="",
            text="?",
            answer=None,
            correct=False,
            probs=softmax(centre + move),
            option_logprob=dict(zip("ABCD", (centre + move).tolist(), strict=True)),
            option_logprob_mean=dict(zip("ABCD", (centre + move).tolist(), strict=True)),
            inside=inside,
        )
        for variant, move in zip((CLEAN, NOISE), moves, strict=True)
    )
    return Sample("image", "A", tuple("ABCD"), None, clean, (variant,))


def test_a_perturbation_without_effect_moves_no_margin():
    rng = np.random.default_rng(11)
    held = [null_document(rng) for _ in range(4000)]
    numbers = {
        "drift_to_prior": [METRICS["drift_to_prior"].extract(d)["score"] for d in held],
        "loglik_margin": [
            METRICS["loglik_margin"].extract(d)["score"]
            - METRICS["loglik_margin_clean"].extract(d)["score"]
            for d in held
        ],
    }
    for name, values in numbers.items():
        error = np.std(values, ddof=1) / math.sqrt(len(values))
        assert abs(np.mean(values)) < 3 * error, name
        # Small enough to see a clean margin that is selected upwards, which was 0.1.
        assert 3 * error < 0.08, name


weights = st.lists(
    st.tuples(st.floats(-10, 10), st.integers(1, 24), st.integers(0, 4)), min_size=2, max_size=20
)


@given(weights)
def test_linearised_scores_have_the_pooled_mean_and_its_clustered_error(rows):
    values = [{"score": s, "n": n, "image_id": str(c)} for s, n, c in rows]
    equal = linearised(values)
    pooled = pooled_mean(values)
    scores = np.array([value["score"] for value in equal])
    assert pooled_mean(equal) == pytest.approx(pooled, abs=1e-9)
    assert scores.mean() == pytest.approx(pooled, abs=1e-9)
    assert [value["image_id"] for value in equal] == [value["image_id"] for value in values]
    assert linearised(equal) == equal
    # The sandwich over clusters of sum n (s - R) / sum n, from the scores of equal weight.
    clusters = np.array([c for *_, c in rows])
    residual = np.array([n * (s - pooled) for s, n, _ in rows]) / sum(n for _, n, _ in rows)
    direct = sum(residual[clusters == c].sum() ** 2 for c in set(clusters))
    plain = (scores - scores.mean()) / len(rows)
    assert sum(plain[clusters == c].sum() ** 2 for c in set(clusters)) == pytest.approx(
        direct, abs=1e-9
    )


def test_equal_weights_leave_scores_as_they_are():
    values = [{"score": s, "n": 3, "image_id": "a"} for s in (0.1, 0.7, 0.2)]
    assert linearised(values) is values
    assert list(linearised([])) == []


def test_the_error_of_linearised_scores_is_that_of_many_draws():
    """The spread of the weighted mean over repeated samples of images, which it estimates."""
    rng = np.random.default_rng(8)

    def drawn():
        values = []
        for image in range(80):
            common = rng.normal()
            for _ in range(3):
                n = int(rng.choice([1, 8]))
                score = common + 0.5 * rng.normal() + 0.1 * n
                values.append({"score": float(score), "n": n, "image_id": str(image)})
        return values

    means, errors = [], []
    for _ in range(300):
        values = drawn()
        means.append(pooled_mean(values))
        scores = np.array([value["score"] for value in linearised(values)]).reshape(80, 3)
        errors.append(math.sqrt(((scores - scores.mean()).sum(axis=1) ** 2).sum()) / scores.size)
    assert np.mean(errors) == pytest.approx(np.std(means, ddof=1), rel=0.12)


def test_drift_ratio_is_the_ratio_of_what_is_printed():
    rng = np.random.default_rng(3)
    held = []
    for n in range(20):
        shown = VARIANTS[: 1 + n % 4]
        document = yes_no_document("Yes", ("Yes",), [(variant, "Yes") for variant in shown])
        readouts = [
            replace(
                r,
                inside=Inside(
                    {} if r.variant == CLEAN else {"context": rng.random()},
                    {},
                    {"context": rng.random()} if r.variant == CLEAN else {},
                    None,
                    None,
                    None,
                    (),
                    {},
                ),
            )
            for r in (document.clean, *document.variants)
        ]
        held.append(replace(document, clean=readouts[0], variants=tuple(readouts[1:])))
    found = task_metrics(held)
    assert found["drift_ratio_context"] == pytest.approx(
        found["drift_context"] / found["drift_control_context"], rel=1e-12
    )


def test_descriptions_say_that_unparsed_answers_are_left_out():
    for name in ("confidence", "overconfidence", "ece", "ece_clean", "verbal_ece", "brier"):
        assert "unparsed" in METRICS[name].description
    assert "unparsed" not in METRICS["loglik_ece"].description


def test_unparsed_answers_are_in_neither_calibration():
    held = yes_no_document(
        "Yes",
        ("Yes", 0.5, 0.9, 1.0),
        [(NOISE, "Yes", 0.5, 0.7, 1.0), (SHIFT, None, 0.5, 0.9, 1.0)],
    )
    found = task_metrics([stated(held, 0.9, 0.7, 1.0)])
    for name in ("overconfidence", "ece", "brier", "ece_floor"):
        assert found[f"verbal_{name}"] == pytest.approx(found[name])
    assert found["invalid_rate"] == 1 / 2
