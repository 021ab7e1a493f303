"""What all benchmarks share."""

import pytest
from PIL import Image

from vlm_confidence_tasks.benchmarks import get
from vlm_confidence_tasks.benchmarks.base import every_row, to_rgb
from vlm_confidence_tasks.types import Question

CAPTION, MMMU, POPE = map(get, ("caption", "mmmu", "pope"))
CLOSED = Question("1", "x", "Is it?", ("Yes", "No"), "Yes")
OPEN = Question("1", "x", "What is it?", gold="oak")


def test_every_row():
    assert every_row({"a": ["x", "y"], "b": [1, 2]}) == [0, 1]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "RGB"])
def test_to_rgb_is_pillows_conversion(mode):
    image = Image.new("RGB", (3, 2), (10, 200, 30)).convert(mode)
    assert to_rgb(image).mode == "RGB"
    assert to_rgb(image).tobytes() == image.convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("benchmark", "asked", "answer", "text", "right"),
    [
        (POPE, CLOSED, "Yes", "Yes.", True),
        (POPE, CLOSED, "No", "No", False),
        (POPE, CLOSED, None, "Yes and no", False),
        (MMMU, CLOSED, "No", "oak", False),
        (MMMU, OPEN, None, "an oak tree", True),
        (MMMU, OPEN, None, "a pine", False),
        (CAPTION, Question("1", "x", "Describe"), None, "An oak", None),
    ],
)
def test_is_right(benchmark, asked, answer, text, right):
    assert benchmark.is_right(asked, answer, text) is right


def test_an_open_question_needs_a_rule():
    with pytest.raises(ValueError, match="benchmark pope asks open questions but has no `correct`"):
        POPE.is_right(OPEN, None, "oak")
