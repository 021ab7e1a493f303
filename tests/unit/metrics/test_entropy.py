import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from vlm_confidence_tasks.metrics import visual_entropy

answer = st.sampled_from(["Yes", "No", None])


@given(st.lists(answer, min_size=1, max_size=30))
def test_visual_entropy_equals_scipy(answers):
    counts = [answers.count(label) for label in ("Yes", "No", None)]
    assert visual_entropy(answers) == pytest.approx(entropy(counts))
    assert visual_entropy(answers[::-1]) == visual_entropy(answers)
    assert visual_entropy(answers * 2) == pytest.approx(visual_entropy(answers))
    assert (visual_entropy(answers) == 0) == (len(set(answers)) == 1)


def test_the_entropy_of_no_answers_raises():
    with pytest.raises(ValueError, match="empty"):
        visual_entropy([])
