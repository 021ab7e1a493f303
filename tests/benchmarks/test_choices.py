"""Options under letters."""

import pytest

from vlm_confidence_tasks.benchmarks.choices import lettered, letters


def test_as_many_letters_as_options():
    assert letters([]) == ()
    assert letters(["x"] * 26)[-1] == "Z"
    with pytest.raises(ValueError, match="27 options, but only 26 letters"):
        letters(["x"] * 27)


def test_a_line_each():
    assert lettered(["red", "", "A. blue"]) == "A. red\nB. \nC. A. blue"
