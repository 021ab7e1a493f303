import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from vlm_confidence_tasks.metrics import confusion

pairs = st.lists(
    st.tuples(st.sampled_from(["Yes", "No"]), st.sampled_from(["Yes", "No", None])),
    min_size=1,
    max_size=40,
)


@given(pairs, st.sampled_from(["Yes", "No"]))
def test_equal_to_sklearn_with_unparsed_as_not_positive(rows, positive):
    gold, answers = zip(*rows, strict=True)
    truth, said = [g == positive for g in gold], [a == positive for a in answers]
    counts = confusion(gold, answers, positive)
    for found, theirs in (
        (counts.precision, sk.precision_score),
        (counts.recall, sk.recall_score),
        (counts.f1, sk.f1_score),
    ):
        expected = theirs(truth, said, zero_division=float("nan"))
        assert (found is None and expected != expected) or found == pytest.approx(expected)


def test_an_unparsed_answer_is_a_missed_positive_and_no_negative():
    counts = confusion(["Yes", "No", "Yes"], [None, None, "Yes"], "Yes")
    assert (counts.tp, counts.fp, counts.fn) == (1, 0, 1)
    assert counts.recall == 0.5 and counts.precision == 1


def test_f1_is_zero_where_positives_exist_and_none_was_found():
    missed = confusion(["Yes"], ["No"], "Yes")
    assert missed.f1 == 0 and missed.precision is None
    assert confusion(["No"], ["No"], "Yes").f1 is None
    assert confusion(["No"], ["Yes"], "Yes").recall is None


def test_bad_input_raises():
    with pytest.raises(ValueError, match="'gold': 1, 'answers': 2"):
        confusion(["Yes"], ["Yes", "No"], "Yes")
    with pytest.raises(ValueError, match="empty"):
        confusion([], [], "Yes")
