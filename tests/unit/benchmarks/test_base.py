"""What all benchmarks share."""

import pytest
from PIL import Image

from benchmarks.making import rows, without_images
from vlm_confidence_tasks.benchmarks import DocumentError, get
from vlm_confidence_tasks.benchmarks.base import every_row, text_of, to_rgb
from vlm_confidence_tasks.sandbox import DATA_DIR
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


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "question is None, expected a text"),
        (float("nan"), "question is nan, expected a text"),
        (float("inf"), "question is inf, expected a text"),
        (True, "question is True, expected a text"),
        (["Is it?"], r"question is \['Is it\?'\], expected a text"),
        ("half \ud83d", r"question is 'half \\ud83d', expected a text"),
        ("x" * 999 + "\ud83d", "question is 'x{76}..., expected a text"),
        ("", "question is empty"),
        (" \n\u3000", "question is empty"),
    ],
)
def test_what_is_no_text_is_not_asked(value, said):
    with pytest.raises(DocumentError, match=f"^{said}$"):
        text_of({"question": value}, "question")


def test_numbers_are_texts_too():
    assert [text_of({"id": value}, "id") for value in (7, 10**400, 0.5)] == [
        "7",
        f"1{'0' * 400}",
        "0.5",
    ]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        *(("pope", column) for column in ("question_id", "question", "answer", "image_source")),
        ("pope", "category"),
        *(("amber", column) for column in ("id", "query", "type", "truth")),
        *(("seed", column) for column in ("question_id", "question", "choice_d", "answer")),
        *(("seed", column) for column in ("data_id", "question_type_id")),
        *(("mmmu", column) for column in ("id", "question", "options", "answer", "question_type")),
        ("caption", "image_source"),
    ],
)
@pytest.mark.parametrize("value", [None, "", float("nan")])
def test_every_column_that_is_read_must_be_there(name, column, value):
    benchmark = get(name)
    (path, *_) = sorted((DATA_DIR / benchmark.folder).glob("*.parquet"))
    row = without_images(rows(f"{benchmark.folder}/{path.stem}")[0], benchmark.image_columns)
    benchmark.question(row, "", "")
    with pytest.raises(DocumentError, match=f"^{column} is "):
        benchmark.question(row | {column: value}, "", "")
