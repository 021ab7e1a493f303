"""Reading a label from an answer."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.benchmarks import parse_answer

YES_NO = ("Yes", "No")
LETTERS = ("A", "B", "C", "D")

BY_HAND = [
    (YES_NO, "Yes", "Yes"),
    (YES_NO, "yes.", "Yes"),
    (YES_NO, " YES ", "Yes"),
    (YES_NO, "No", "No"),
    (YES_NO, "no, there is not", "No"),
    (YES_NO, "Yes, it is", "Yes"),
    (YES_NO, "**Yes**", "Yes"),
    (YES_NO, "The answer is no", "No"),
    (YES_NO, "Answer: yes", "Yes"),
    (YES_NO, "The image shows a dog. Yes.", "Yes"),
    (YES_NO, "Yes. No other dog is there.", "Yes"),
    (YES_NO, "Yes and no", None),
    (YES_NO, "yes/no", None),
    (YES_NO, "yes_no", None),
    (YES_NO, "", None),
    (YES_NO, " \n.", None),
    (YES_NO, "Nothing is known, yesterday or now", None),
    (LETTERS, "A", "A"),
    (LETTERS, "a", "A"),
    (LETTERS, "(A)", "A"),
    (LETTERS, "A.", "A"),
    (LETTERS, "A. red", "A"),
    (LETTERS, "C: red", "C"),
    (LETTERS, "The answer is B", "B"),
    (LETTERS, "the correct option is (c).", "C"),
    (LETTERS, "Option D", "D"),
    (LETTERS, "I think it is D, a cat", "D"),
    (LETTERS, "a cat", None),
    (LETTERS, "A or B", None),
    (LETTERS, "ABBA", None),
    (LETTERS, "E", None),
    ((), "Yes", None),
]
FILLERS = st.lists(st.sampled_from(["it", "is", "there", "maybe", "surely", "12"]), max_size=4)
MARKS = st.text(string.punctuation + " \n", max_size=4)


@pytest.mark.parametrize(("labels", "text", "answer"), BY_HAND)
def test_by_hand(labels, text, answer):
    assert parse_answer(text, labels) == answer


@given(st.text(), st.sampled_from([YES_NO, LETTERS, ()]))
def test_any_text_gives_a_label_or_none(text, labels):
    assert parse_answer(text, labels) in (*labels, None)


@given(st.text(string.ascii_letters + " .,:", max_size=30))
def test_case_does_not_matter_for_words(text):
    assert parse_answer(text.swapcase(), YES_NO) == parse_answer(text, YES_NO)


@given(MARKS, st.sampled_from(YES_NO + LETTERS), MARKS)
def test_punctuation_does_not_matter(before, label, after):
    labels = YES_NO if label in YES_NO else LETTERS
    assert parse_answer(f"{before}{label}{after}", labels) == label


@given(st.lists(FILLERS, max_size=3), FILLERS, FILLERS, FILLERS, st.permutations(["yes", "No"]))
def test_two_labels_in_the_first_naming_sentence_are_none(sentences, one, two, three, labels):
    naming = " ".join([*one, labels[0], *two, labels[1], *three])
    opening = "".join(f"{' '.join(words)}. " for words in sentences)
    assert parse_answer(f"{opening}{naming}", YES_NO) is None
    assert parse_answer(f"{opening}{labels[0]}. {naming}", YES_NO) == labels[0].capitalize()
