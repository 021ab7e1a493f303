import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from vlm_confidence_tasks.metrics import confusion, f1_score, precision, recall, yes_ratio

pairs = st.lists(
    st.tuples(st.sampled_from(["Yes", "No"]), st.sampled_from(["Yes", "No", None])),
    min_size=1,
    max_size=40,
)


@given(pairs, st.sampled_from(["Yes", "No"]))
def test_equal_to_sklearn_with_unparsed_as_not_positive(rows, positive):
    gold, answers = zip(*rows, strict=True)
    truth, said = [g == positive for g in gold], [a == positive for a in answers]
    for ours, theirs in (
        (precision, sk.precision_score),
        (recall, sk.recall_score),
        (f1_score, sk.f1_score),
    ):
        expected = theirs(truth, said, zero_division=float("nan"))
        found = ours(gold, answers, positive)
        assert (found is None and expected != expected) or found == pytest.approx(expected)


def test_an_unparsed_answer_is_a_missed_positive_and_no_negative():
    counts = confusion(["Yes", "No", "Yes"], [None, None, "Yes"], "Yes")
    assert (counts.tp, counts.fp, counts.fn) == (1, 0, 1)
    assert counts.recall == 0.5 and counts.precision == 1


def test_f1_is_zero_where_positives_exist_and_none_was_found():
    assert f1_score(["Yes"], ["No"], "Yes") == 0
    assert precision(["Yes"], ["No"], "Yes") is None
    assert f1_score(["No"], ["No"], "Yes") is None
    assert recall(["No"], ["Yes"], "Yes") is None


def test_yes_ratio_counts_unparsed_in_the_denominator():
    assert yes_ratio(["Yes", None, "No", "No"]) == 0.25


def test_bad_input_raises():
    with pytest.raises(ValueError, match="'gold': 1, 'answers': 2"):
        precision(["Yes"], ["Yes", "No"], "Yes")
    with pytest.raises(ValueError, match="empty"):
        recall([], [], "Yes")
    with pytest.raises(ValueError, match="empty"):
        yes_ratio([])
