import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.perturbations import (
    applies,
    named_label,
    needs_of,
    overlay_labels,
    phrase,
    variants,
)
from vlm_confidence_tasks.types import CLEAN, Variant

OVERLAYS = variants(
    [{"name": "text_overlay", "content": ["semantic", "random", "empty"], "index": [0, 1, 2]}]
)
SHIFT = variants([{"name": "translate", "dx": 4}])[0]


@given(st.integers(0, 6), st.integers(-1, 5), st.integers(0, 4))
def test_overlay_labels(count, position, n):
    labels = tuple("ABCDEF"[:count])
    clean = labels[position] if 0 <= position < count else None
    shown = overlay_labels(labels, clean, n)
    assert len(shown) == max(0, min(n, count - 1))
    assert clean not in shown
    assert shown == tuple(label for label in labels if label in shown)


def test_a_clean_answer_must_be_a_label():
    with pytest.raises(ValueError, match=r"'Maybe' is not one of the labels \('Yes', 'No'\)"):
        overlay_labels(("Yes", "No"), "Maybe")


@pytest.mark.parametrize(
    ("labels", "indices"), [((), []), (("Yes", "No"), [0]), (tuple("ABC"), [0, 1])]
)
def test_overlays_exist_where_there_is_a_wrong_label(labels, indices):
    existing = [variant for variant in OVERLAYS if applies(variant, labels)]
    assert [dict(variant.parameters)["index"] for variant in existing] == indices * 3
    assert applies(CLEAN, labels)
    assert applies(SHIFT, labels)


def test_phrase_of_the_overlay_and_its_controls():
    phrases = [phrase(variant, tuple("ABCD"), "B") for variant in OVERLAYS]
    assert phrases == ["Answer is A", "Answer is C", "Answer is D"] * 3


def test_an_overlay_names_the_label_of_its_phrase_and_a_control_none():
    labels = tuple("ABCD")
    for clean in (*labels, None):
        named = [named_label(variant, labels, clean) for variant in OVERLAYS]
        assert [f"Answer is {label}" for label in named[:3]] == [
            phrase(variant, labels, clean) for variant in OVERLAYS[:3]
        ]
        assert named[3:] == [None] * 6
    assert named_label(CLEAN, labels, "B") is named_label(SHIFT, labels, "B") is None
    with pytest.raises(ValueError, match="does not exist"):
        named_label(OVERLAYS[1], ("Yes", "No"), "Yes")


def test_overlays_need_the_clean_answer():
    assert {needs_of(variant) for variant in OVERLAYS} == {frozenset({"clean_answer"})}
    assert needs_of(CLEAN) == needs_of(SHIFT) == frozenset()
    with pytest.raises(ValueError, match="unknown perturbation 'x'"):
        needs_of(Variant("x"))


def test_no_phrase_for_what_has_none():
    with pytest.raises(ValueError, match="shows no phrase"):
        phrase(SHIFT, ("Yes", "No"), "Yes")
    with pytest.raises(ValueError, match="does not exist"):
        phrase(OVERLAYS[1], ("Yes", "No"), "Yes")
