"""MMMU against upstream's own functions."""

import pytest
from lmms_eval.tasks.mmmu import utils as upstream

from vlm_confidence_tasks.benchmarks import DocumentError, get
from vlm_confidence_tasks.benchmarks.mmmu import IMAGES, interleaved

from .making import TEXTS, decoded, rows, upstream_yaml

MMMU = get("mmmu")
ROWS = rows("mmmu/validation")
AROUND = upstream_yaml("mmmu/mmmu_val.yaml")["lmms_eval_specific_kwargs"]["default"]
CHOSEN, OPEN = (
    next(row for row in ROWS if row["question_type"] == kind)
    for kind in ("multiple-choice", "open")
)

# Questions as MMMU has them and the sandbox has not.
ODD = [
    {"question": "Which? <image 1>", "options": "['<image 2>', '<image 3>', 'neither']"},
    {"question": "<image 2> after <image 1>, which?", "options": "['a', 'b']"},
    {"question": "<image 1> and <image 2>, <image 1> again?", "options": "['a', 'b']"},
    {"question": "<image 1>  \n<image 2>\n", "options": "['a', \"b's\", 3, 'd', 'e']"},
    {"question": "<image> is <image 1>?", "options": "['a', 'b']"},
]
ALL = [
    *ROWS,
    *({**ROWS[2], "question_type": "multiple-choice", "answer": "B"} | odd for odd in ODD),
]


def ask(row):
    return MMMU.question(row, "", "")


def score(row, text):
    """Upstream's score of a text, which the harness strips first."""
    result = upstream.mmmu_process_results(row, [text.strip()])["mmmu_acc"]
    return upstream.evaluate_mmmu([result])[1]["acc"]


@pytest.fixture
def markers_stay(monkeypatch):
    """Upstream's functions for chat change a setting of those for simple models."""
    monkeypatch.setitem(upstream.config["metadata"], "interleaved_format", False)


@pytest.fixture
def guess(monkeypatch):
    """Decide what upstream guesses where it can read no letter."""

    def decide(letter):
        monkeypatch.setattr(upstream_rules.random, "choice", lambda letters: letter)

    from lmms_eval.tasks._task_utils import mmmu_mcq_utils as upstream_rules

    return decide


@pytest.mark.usefixtures("markers_stay")
def test_prompts_are_upstreams():
    for row in ALL:
        assert ask(row).prompt == upstream.mmmu_doc_to_text(row, AROUND)


@pytest.mark.usefixtures("markers_stay")
def test_chat_messages_are_upstreams():
    for row in ALL:
        pictures = decoded({name: row[name] for name in IMAGES})
        (theirs,) = upstream.mmmu_doc_to_messages(decoded(row), AROUND)
        ours = [
            ("text", part)
            if isinstance(part, str)
            else ("image", pictures[IMAGES[part]].convert("RGB").tobytes())
            for part in ask(row).content
        ]
        expected = [
            (part["type"], part["text"] if part["type"] == "text" else part["url"].tobytes())
            for part in theirs["content"]
        ]
        assert ours == expected


def test_images_are_shown_in_upstreams_order():
    for row in ALL:
        shown = [IMAGES[part] for part in ask(row).content if isinstance(part, int)]
        theirs = upstream.mmmu_doc_to_visual(decoded(row))
        ours = decoded({name: row[name] for name in shown})
        assert [ours[name].convert("RGB") for name in shown] == theirs


def test_a_text_that_names_no_image_has_them_all_first():
    assert interleaved("What is it?") == ()


@pytest.mark.parametrize("row", ROWS[:10], ids=lambda row: row["id"])
def test_upstreams_score(row, guess):
    asked = ask(row)
    for text in (
        *TEXTS,
        f"I say ({asked.gold})",
        f"It is {asked.gold}",
        asked.gold,
        f" {asked.gold}.",
    ):
        expected = []
        for letter in asked.labels or ("",):
            guess(letter)
            expected.append(score(row, text))
        assert MMMU.upstream_score(asked, text) == sum(expected) / len(expected), text


@pytest.mark.parametrize(
    ("gold", "text", "right"),
    [
        ("orange", "Orange.", True),
        ("orange", "It is orange", True),
        ("orange", "red", False),
        ("3", "so x = 3.0", True),
        ("3", "13", False),
        ("['3', 'three']", "Three", True),
        ("['3', 'three']", "3", True),
        ("['3', 'three']", "four", False),
        ("[0, 3]", "0", False),
        ("[", "[", True),
        ("[]", "x", False),
        ("24/7", "24/7", True),
    ],
)
def test_open_answers(gold, text, right):
    asked = ask({**OPEN, "answer": gold})
    assert (asked.labels, asked.options, asked.gold) == ((), (), gold)
    assert MMMU.is_right(asked, None, text) is right


def test_upstream_takes_a_list_of_answers_for_one_text():
    row = {**OPEN, "answer": "['3', 'three']"}
    assert MMMU.correct(ask(row), "three") and not MMMU.upstream_score(ask(row), "three")
    assert score(row, "three") == 0


def test_question():
    asked = ask(ALL[-2])
    assert (asked.labels, asked.gold) == (("A", "B", "C", "D", "E"), "B")
    assert asked.options == ("a", "b's", "3", "d", "e")
    assert asked.question_id == asked.image_id == ROWS[2]["id"]
    assert (asked.category, asked.positive) == ("Shapes", None)
    named = ask({**CHOSEN, "id": "validation_Architecture_and_Engineering_12"})
    assert named.category == "Architecture_and_Engineering"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": "Z"}, "answer is 'Z', expected one of A, B"),
        ({"options": "red, green"}, "options is 'red, green', expected the text of a list"),
        ({"options": "['red']"}, "expected the text of a list of 2 to 26 texts"),
        ({"options": str(["x"] * 27)}, "expected the text of a list of 2 to 26 texts"),
        ({"options": "{'a': 'b'}"}, "expected the text of a list of 2 to 26 texts"),
        ({"options": "{[1]: 2}"}, r"options is '{\[1\]: 2}', expected the text of a list"),
        ({"options": "-" * 200_000}, "options is '-{76}..., expected the text of a list"),
        ({"options": "1+" * 200_000 + "1"}, "expected the text of a list"),
        ({"options": "[" * 150 + "]" * 150}, "expected the text of a list"),
        ({"options": "['red', None]"}, "option B is None, expected a text"),
        ({"options": "['red', ' ']"}, "option B is empty"),
        ({"options": "['red', 1e999]"}, "option B is inf, expected a text"),
        ({"options": "['red', True]"}, "option B is True, expected a text"),
        ({"options": r"['red', '\ud83d']"}, r"option B is '\\ud83d', expected a text"),
        ({"question_type": "essay"}, "question_type is 'essay', expected 'multiple-choice' or"),
        ({"question_type": "open", "answer": " "}, "answer is empty"),
        (
            {"question_type": "open", "answer": "['2', '']"},
            "answer is .*, of which one text is empty",
        ),
        ({"id": "17"}, "id is '17', expected <split>_<subject>_<number>"),
        ({"question": "<image 8>?"}, "<image 8> in the text, expected 1 to 7"),
    ],
)
def test_a_bad_row_is_named(change, message):
    with pytest.raises(DocumentError, match=message):
        ask({**CHOSEN, **change})
