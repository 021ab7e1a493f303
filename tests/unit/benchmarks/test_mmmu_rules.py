"""MMMU's rules for answers against upstream's functions, on random texts."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lmms_eval.tasks._task_utils import mmmu_mcq_utils
from lmms_eval.tasks.mmmu import utils as upstream

from vlm_confidence_tasks.benchmarks.mmmu_rules import named_letter, says

from .making import TEXTS

LABELS = ("A", "B", "C")
OPTIONS = ("red", "dark red", "Blue one")
PIECES = st.sampled_from(
    [*"ABCD", *".,!?;:'() \n=-e", "(A)", "(B)", "red", "blue one", "it ", "is ", "so ", "answer "]
    + ["could be ", "therefore ", "1", "23", "1,234", "5e-3", ".5", "x"]
)
CUED = st.lists(st.sampled_from(["is ", "so ", "red ", "tree ", "3 ", "= ", "\n"]), max_size=7)
ANSWERS = (
    (st.lists(PIECES, max_size=14) | CUED).map("".join)
    | st.sampled_from(TEXTS)
    | st.text(max_size=20)
)
GOLDS = st.sampled_from(["red", "A", "1234", "23.0", ".5", "x", "0.005", "is", "nan", "1,234"])


@pytest.fixture(scope="module", autouse=True)
def no_guessing():
    """Upstream guesses where it reads no letter; here it says None."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmmu_mcq_utils, "random", SimpleNamespace(choice=lambda letters: None))
        yield


@settings(max_examples=300)
@given(ANSWERS)
def test_named_letter(text):
    index, letters = upstream.get_multi_choice_info(list(OPTIONS))
    theirs = upstream.parse_multi_choice_response(text, letters, index)
    assert named_letter(text, LABELS, OPTIONS) == theirs


@settings(max_examples=300)
@given(GOLDS | ANSWERS, ANSWERS)
def test_says(gold, text):
    theirs = upstream.eval_open(gold, upstream.parse_open_response(text))
    assert says(text, [gold]) == theirs


@given(st.lists(GOLDS, min_size=1, max_size=3), ANSWERS)
def test_says_one_of_several(golds, text):
    theirs = upstream.eval_open(golds, upstream.parse_open_response(text))
    assert says(text, golds) == theirs


@pytest.mark.parametrize(
    ("text", "gold", "right"),
    [
        ("about 3.004 m", "3", True),
        ("about 3.006 m", "3", False),
        ("so 1,234 m", "1234", True),
        ("so 1,234 m", "1", False),
        ("so 2.5e3 m", "2500", True),
        ("so 2.5e3 m", "2.5", False),
    ],
)
def test_says_by_hand(text, gold, right):
    assert upstream.eval_open(gold, upstream.parse_open_response(text)) is right
    assert says(text, [gold]) is right
