import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from vlm_confidence_tasks.metrics import (
    document_flip_rate,
    fn_correction,
    fp_correction,
    instance_flip_rate,
    right_to_wrong,
    visual_entropy,
    wrong_to_right,
)

answer = st.sampled_from(["Yes", "No", None])
documents = st.lists(st.tuples(answer, st.lists(answer, max_size=4)), min_size=1, max_size=15)


@given(documents)
def test_flip_rates_equal_a_naive_loop(rows):
    flips = total = any_flip = with_variants = 0
    for clean, variants in rows:
        here = sum(1 for variant in variants if variant != clean)
        flips, total = flips + here, total + len(variants)
        any_flip, with_variants = any_flip + (here > 0), with_variants + (len(variants) > 0)
    clean, variants = zip(*rows, strict=True)
    expected = flips / total if total else None
    assert instance_flip_rate(clean, variants) == expected
    assert document_flip_rate(clean, variants) == (any_flip / with_variants if total else None)


def test_unparsed_is_an_answer_of_its_own():
    assert instance_flip_rate([None, None, "A"], [[None], ["A"], [None]]) == pytest.approx(2 / 3)


@given(st.lists(answer, min_size=1, max_size=30))
def test_visual_entropy_equals_scipy(answers):
    counts = [answers.count(label) for label in ("Yes", "No", None)]
    assert visual_entropy(answers) == pytest.approx(entropy(counts))
    assert visual_entropy(answers[::-1]) == visual_entropy(answers)
    assert visual_entropy(answers * 2) == pytest.approx(visual_entropy(answers))
    assert (visual_entropy(answers) == 0) == (len(set(answers)) == 1)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_transitions_equal_counts(pairs):
    count = {key: pairs.count(key) for key in [(a, b) for a in (0, 1) for b in (0, 1)]}
    right, wrong = count[1, 0] + count[1, 1], count[0, 0] + count[0, 1]
    before, after = zip(*pairs, strict=True)
    broken = count[1, 0] / right if right else None
    fixed = count[0, 1] / wrong if wrong else None
    assert right_to_wrong(before, after) == (broken if broken is None else pytest.approx(broken))
    assert wrong_to_right(before, after) == (fixed if fixed is None else pytest.approx(fixed))


def test_corrections_equal_a_naive_loop():
    rng = np.random.default_rng(0)
    gold = rng.choice(["Yes", "No"], 200).tolist()
    clean = rng.choice(["Yes", "No", "?"], 200).tolist()
    after = [None if a == "?" else a for a in rng.choice(["Yes", "No", "?"], 200).tolist()]
    for metric, right, wrong in ((fp_correction, "No", "Yes"), (fn_correction, "Yes", "No")):
        asked = [i for i in range(200) if gold[i] == right and clean[i] == wrong]
        fixed = [i for i in asked if after[i] == right]
        assert metric(gold, clean, after) == pytest.approx(len(fixed) / len(asked))


def test_corrections_are_absent_without_such_errors():
    assert fp_correction(["Yes"], ["Yes"], ["No"]) is None
    assert fn_correction(["Yes"], [None], ["Yes"]) is None


def test_bad_input_raises():
    with pytest.raises(ValueError, match="'clean': 1, 'variants': 2"):
        instance_flip_rate(["Yes"], [["Yes"], ["No"]])
    with pytest.raises(ValueError, match="'gold': 1, 'clean': 1, 'answers': 2"):
        fp_correction(["No"], ["Yes"], ["No", "No"])
    with pytest.raises(ValueError, match="empty"):
        visual_entropy([])
    for metric in (right_to_wrong, wrong_to_right):
        with pytest.raises(ValueError, match="got 0.5"):
            metric([0.5], [1])
        with pytest.raises(ValueError, match="different lengths"):
            metric([1], [1, 0])
