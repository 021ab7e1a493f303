"""Reading a label from an answer."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.benchmarks import find_answer, parse_answer

YES_NO = ("Yes", "No")
LETTERS = ("A", "B", "C", "D")
TEN = tuple("ABCDEFGHIJ")

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
    # Yes and no count at the beginning of a sentence, alone, and as alternatives.
    (YES_NO, "There is no way to tell.", None),
    (YES_NO, "There is no dog in the image", None),
    (YES_NO, "Yes, there is no dog", "Yes"),
    (YES_NO, "Yes, and there is no cat either.", "Yes"),
    (YES_NO, "There is no collar. Yes", "Yes"),
    (YES_NO, "No. Yes", "No"),
    (YES_NO, "Yes, no", None),
    (YES_NO, "yes no", None),
    (YES_NO, "Yes\nNo", None),
    (YES_NO, "I can't say yes or no.", None),
    (YES_NO, "Well, no.", "No"),
    (YES_NO, "It is, no doubt, red", None),
    (YES_NO, "Is there a dog? No", "No"),
    (YES_NO, "Yes! No other animal", None),
    (YES_NO, "Answer: No dog is there", "No"),
    (YES_NO, "1. Yes", "Yes"),
    (YES_NO, "- no", "No"),
    (YES_NO, "\u201cNo\u201d, she said", "No"),
    (YES_NO, "\u2018yes\u2019", "Yes"),
    (YES_NO, "No-one is there", None),
    (YES_NO, "Not yes", None),
    # Letters in all sorts of marks.
    (LETTERS, "(B)", "B"),
    (LETTERS, "B.", "B"),
    (LETTERS, "B\n", "B"),
    (LETTERS, "b", "B"),
    (LETTERS, "b) red", "B"),
    (LETTERS, "b. red", "B"),
    (LETTERS, "**B**", "B"),
    (LETTERS, "\\boxed{C}", "C"),
    (LETTERS, "\u201cB\u201d", "B"),
    (LETTERS, "\u2018c\u2019", "C"),
    (LETTERS, "A - red", "A"),
    (LETTERS, "A\nBecause it is red", "A"),
    (LETTERS, "D|ining room. B", "D"),
    (LETTERS, "Dining room. B", "B"),
    # After "answer is" or "option".
    (LETTERS, "option c", "C"),
    (LETTERS, "Option a shows a dog", "A"),
    (LETTERS, "Answer: b", "B"),
    (LETTERS, "Answer:\n\n**B**", "B"),
    (LETTERS, "answer is (b)", "B"),
    (LETTERS, "The answer is option D.", "D"),
    (LETTERS, "A dog is on the left. The answer is B.", "B"),
    (LETTERS, "C is a cat. Option B.", "B"),
    (LETTERS, "B. Option A is wrong", "B"),
    (LETTERS, "B. The answer is C", "C"),
    (LETTERS, "Option A is wrong. Option B is right.", None),
    (LETTERS, "Option A is red, option C blue. The answer is C.", "C"),
    (LETTERS, "The answer is B, not A", "B"),
    (LETTERS, "The answer is a dog", None),
    (LETTERS, "The answer to it is B", "B"),
    # What is denied, and several.
    (LETTERS, "The answer is not A but B", None),
    (LETTERS, "The answer is not B but A", None),
    (LETTERS, "The answer is not B", None),
    (LETTERS, "It isn't c", None),
    (LETTERS, "Neither A nor B", None),
    (LETTERS, "a and b", None),
    (LETTERS, "A B", None),
    (LETTERS, "A\nB", None),
    # Words that look like letters.
    (LETTERS, "A cat", None),
    (LETTERS, "A red dog. B", "B"),
    (LETTERS, "A is correct", "A"),
    (LETTERS, "It is A because it is red", "A"),
    (LETTERS, "I think B", "B"),
    (LETTERS, "I'd say D", "D"),
    (LETTERS, "I\u2019d say it", None),
    (LETTERS, "a D-shaped thing", None),
    (LETTERS, "At 5 a.m. it is C", "C"),
    (TEN, "I think B", "B"),
    (TEN, "I", "I"),
    (TEN, "(I)", "I"),
    (TEN, "It is I.", "I"),
    (TEN, "I see a dog", None),
    (TEN, "I'm sure: it is J", "J"),
    (("Yes", "quokka"), "It is a quokka here", "quokka"),
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


@given(st.lists(FILLERS, max_size=3), FILLERS, FILLERS, FILLERS, st.permutations(["b", "C"]))
def test_two_labels_in_the_first_naming_sentence_are_none(sentences, one, two, three, labels):
    naming = " ".join([*one, labels[0], *two, labels[1], *three])
    opening = "".join(f"{' '.join(words)}. " for words in sentences)
    assert parse_answer(f"{opening}{naming}", LETTERS) is None
    assert parse_answer(f"{opening}{labels[0]}. {naming}", LETTERS) == labels[0].upper()


@given(FILLERS, st.sampled_from(["yes", "No"]), FILLERS)
def test_yes_and_no_within_a_sentence_are_words(before, label, after):
    text = " ".join(["it", *before, label, *after])
    assert parse_answer(text, YES_NO) is None
    assert parse_answer(f"{text}. {label}", YES_NO) == label.capitalize()


@given(st.text(string.ascii_letters + " .,'\n", max_size=20), st.sampled_from("ABCDabcd"))
def test_a_label_after_the_answer_is_wins(before, label):
    text = f"{before.replace('answer', '')} The answer is ({label})."
    assert find_answer(text, LETTERS) == (label.upper(), len(text) - 3, len(text) - 2)


@given(st.text() | st.text("ABabIi .,()'no\n-", max_size=25), st.sampled_from([YES_NO, TEN]))
def test_the_span_holds_the_label_as_a_whole_word(text, labels):
    found = find_answer(text, labels)
    if found is None:
        return
    assert text[found.start : found.end].casefold() == found.label.casefold()
    around = text[max(found.start - 1, 0) : found.start] + text[found.end : found.end + 1]
    assert not any(character.isalnum() for character in around)


@given(st.text("ABab .,()yesno\n", max_size=20), st.text(" \n", max_size=3))
def test_white_space_around_moves_the_span_alone(text, space):
    bare, padded = find_answer(text, TEN), find_answer(f"{space}{text}{space}", TEN)
    if bare is None:
        assert padded is None
    else:
        moved = (bare.label, bare.start + len(space), bare.end + len(space))
        assert padded == moved
