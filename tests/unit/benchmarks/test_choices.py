"""Options under letters."""

import pytest

from vlm_confidence_tasks.benchmarks.choices import lettered, letters, option_texts
from vlm_confidence_tasks.types import Question


def test_as_many_letters_as_options():
    assert letters([]) == ()
    assert letters(["x"] * 26)[-1] == "Z"
    with pytest.raises(ValueError, match="27 options, but only 26 letters"):
        letters(["x"] * 27)


def test_a_line_each():
    assert lettered(["red", "", "A. blue"]) == "A. red\nB. \nC. A. blue"


@pytest.mark.parametrize(
    ("labels", "options", "texts"),
    [
        (("Yes", "No"), (), ("Yes", "No")),
        (("A", "B"), (" red\n", "blue"), ("red", "blue")),
        (("A", "B"), ("", "blue"), ()),
        (("A", "B"), ("<image 1>", "<image 2>"), ()),
        (("A", "B"), ("as in <image> here", "blue"), ()),
        (("A", "B"), ("an image 2", "<b>"), ("an image 2", "<b>")),
        ((), (), ()),
    ],
)
def test_texts_that_can_be_scored_one_for_each_label(labels, options, texts):
    assert option_texts(Question("1", "x", "Which?", labels, options=options)) == texts
