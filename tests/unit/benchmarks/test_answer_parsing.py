"""Reading a label from an answer."""

import json
import re
import string
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.benchmarks import find_answer, parse_answer, refuses
from vlm_confidence_tasks.benchmarks.answer_words import CHINESE
from vlm_confidence_tasks.label_words import OTHER_WORDS

YES_NO = ("Yes", "No")
LETTERS = ("A", "B", "C", "D")
TEN = tuple("ABCDEFGHIJ")

BY_HAND = [
    (YES_NO, "Yes. No other dog is there.", "Yes"),
    (YES_NO, "Yes and no", None),
    (YES_NO, "yes/no", None),
    (YES_NO, "yes_no", None),
    (LETTERS, "A.", "A"),
    (LETTERS, "a cat", None),
    (LETTERS, "A or B", None),
    # Yes and no count at the beginning of a sentence, alone, and as alternatives.
    (YES_NO, "Yes, there is no dog", "Yes"),
    (YES_NO, "No. Yes", "No"),
    (YES_NO, "yes no", None),
    (YES_NO, "Well, no.", "No"),
    (YES_NO, "It is, no doubt, red", None),
    (YES_NO, "Yes! No other animal", None),
    (YES_NO, "Answer: No dog is there", "No"),
    (YES_NO, "No-one is there", None),
    # Letters in all sorts of marks.
    (LETTERS, "B.", "B"),
    (LETTERS, "D|ining room. B", "D"),
    (LETTERS, "\u201cB\u201d", "B"),
    (LETTERS, "$\\boxed{\\text{D}}$", "D"),
    # After "answer is" or "option".
    (LETTERS, "Option a shows a dog", "A"),
    (LETTERS, "C is a cat. Option B.", "B"),
    (LETTERS, "B. Option A is wrong", "B"),
    # What is denied, and several.
    (LETTERS, "The answer is not A but B", "B"),
    (LETTERS, "a and b", None),
    # Words that look like letters.
    (LETTERS, "A cat", None),
    (LETTERS, "A red dog. B", "B"),
    (LETTERS, "A is correct", "A"),
    (LETTERS, "It is A because it is red", "A"),
    (LETTERS, "I\u2019d say it", None),
    (LETTERS, "At 5 a.m. it is C", "C"),
    (TEN, "I think B", "B"),
    (TEN, "I see a dog", None),
    (TEN, "I'm sure: it is J", "J"),
    (("Yes", "quokka"), "It is a quokka here", "quokka"),
]
# Denials, alternatives and words that are no answers, as a hostile reader would write them.
HOSTILE = [
    (LETTERS, "B is not correct", None),
    (LETTERS, "never B", None),
    (LETTERS, "B is the wrong answer", None),
    (LETTERS, "B isn't right", None),
    (LETTERS, "B can\u2019t be right", None),
    (LETTERS, "B cannot be correct", None),
    (LETTERS, "(B) is clearly incorrect", None),
    (LETTERS, "**B** is not it", None),
    (LETTERS, "Option B is incorrect", None),
    (LETTERS, "It cannot be B", None),
    (LETTERS, "I don't think it is B", None),
    (LETTERS, "I don't think the answer is B", None),
    (LETTERS, "The answer cannot be B", None),
    (LETTERS, "The answer is not option B", None),
    (LETTERS, "The wrong answer is B", None),
    (LETTERS, "The answer is A or B", None),
    (LETTERS, "The answer is A and C", None),
    (LETTERS, "The answer is A/B", None),
    (LETTERS, "Answer: B or C", None),
    (LETTERS, "The answer is option A or option B", None),
    (LETTERS, "The answer is B, and A is wrong", "B"),
    (LETTERS, "B because A is wrong", "B"),
    (LETTERS, "D (not B)", "D"),
    (LETTERS, "A, B and C are wrong; D is right", "D"),
    (LETTERS, "It is not A, or B", None),
    (LETTERS, "It isn't B, it is D", "D"),
    (LETTERS, "Rather than A, I choose B", "B"),
    (LETTERS, "Anything but B", None),
    (LETTERS, "All except B", None),
    (LETTERS, "I would rule out B", None),
    (LETTERS, "B can be ruled out", None),
    (LETTERS, "It is neither A", None),
    (LETTERS, "B would be wrong", None),
    (LETTERS, "B does not fit", None),
    (LETTERS, "Not necessarily B", None),
    (LETTERS, "It can't be option B; it is option D", "D"),
    (LETTERS, "The answer is 30 \u00b0C", None),
    (LETTERS, "It is unlikely to be B", None),
    (LETTERS, "I doubt it is B", None),
    (LETTERS, "I am not sure but I think it is C", "C"),
    (LETTERS, "It's D, isn't it?", "D"),
    (LETTERS, "The answer is B, isn't it", "B"),
    (LETTERS, "It is B rather than A", "B"),
    (LETTERS, "A is the best answer", "A"),
    (LETTERS, "Both A and D", None),
    (LETTERS, "The answer is B, not because of A", "B"),
    (LETTERS, "I'd go with (C) red", "C"),
    (YES_NO, "The answer is no dog", None),
    (YES_NO, "The answer is no because it is dark", "No"),
    (YES_NO, "The answer is no there is not", "No"),
    (YES_NO, "The answer is yes or no", None),
    (YES_NO, "No idea", None),
    (YES_NO, "No way to tell.", None),
    (YES_NO, "No doubt", None),
    (YES_NO, "No clue, sorry", None),
    (YES_NO, "No dog is visible", "No"),
    (YES_NO, "Yes is not correct", None),
    (YES_NO, "I don't think the answer is yes", None),
    (YES_NO, "The answer would be no", "No"),
    (YES_NO, "The answer should be yes.", "Yes"),
    (YES_NO, "Is the answer yes? No.", "No"),
    (YES_NO, "Yes, no doubt about it", "Yes"),
    (YES_NO, "Yes - no question", "Yes"),
    (YES_NO, "Not really, no.", "No"),
    (YES_NO, "I can't see one, so no.", "No"),
    (YES_NO, "It's a no.", "No"),
    (YES_NO, "The answer is no such thing", None),
    (YES_NO, "No problem: yes", "Yes"),
    (YES_NO, "Sure, yes!", "Yes"),
    (YES_NO, "The answer to this is no", "No"),
    (YES_NO, "Answer is unclear: yes/no", None),
    (LETTERS, "It's not that it is A; it is C", "C"),
    (LETTERS, "A and B are wrong, C is right", "C"),
    (LETTERS, "C (A and B are incorrect)", "C"),
    (LETTERS, "The answer is B, not C or D", "B"),
    (LETTERS, "B, however A is possible too", None),
    (LETTERS, "A doesn't match; B doesn't match; C does", "C"),
    (LETTERS, "The answer is A, B or C", None),
    (LETTERS, "Answer: A, B", None),
    (LETTERS, "D isn't wrong", None),
    (LETTERS, "Option C, not option B", "C"),
    (LETTERS, "The answer is C and B is wrong", "C"),
    (LETTERS, "B is a false claim", None),
    (YES_NO, "The answer is no in this image", "No"),
    (YES_NO, "The answer is no dogs are present", None),
    (YES_NO, "The answer is: no dog", "No"),
    (YES_NO, "No one is there", "No"),
    (YES_NO, "The answer: no idea", None),
    (YES_NO, "yes yes yes", "Yes"),
    (YES_NO, "The answer is no sir", None),
]
# Answers in words of our own with the right label, which stands in ⟦⟧; of the few that are read
# otherwise, what is read.
TABLE = [
    json.loads(line)
    for line in Path(__file__).with_name("answers.jsonl").read_text("utf-8").splitlines()
]
KINDS = tuple(dict.fromkeys(row["kind"] for row in TABLE))
FILLERS = st.lists(st.sampled_from(["it", "is", "there", "maybe", "surely", "12"]), max_size=4)
MARKS = st.text(string.punctuation + " \n", max_size=4)


@pytest.mark.parametrize(("labels", "text", "answer"), [*BY_HAND, *HOSTILE])
def test_by_hand(labels, text, answer):
    assert parse_answer(text, labels) == answer


def _read(row):
    """Return the label that is read from a row of the table, and its text with the place marked."""
    text = re.sub("[⟦⟧]", "", row["text"])
    labels = YES_NO if row["labels"] == "yes/no" else tuple(row["labels"])
    found = find_answer(text, labels)
    if found is None:
        return None, text
    start, end = found.start, found.end
    return found.label, f"{text[:start]}⟦{text[start:end]}⟧{text[end:]}"


@pytest.mark.parametrize("kind", KINDS)
def test_answers_of_the_table(kind):
    rows = [row for row in TABLE if row["kind"] == kind]
    expected = [
        (row["reads"], None) if "reads" in row else (row["answer"], row["text"]) for row in rows
    ]
    found = [
        (label, None if "reads" in row else text)
        for row, (label, text) in zip(rows, map(_read, rows), strict=True)
    ]
    assert found == expected


def test_the_table_is_large_and_nearly_all_of_it_is_read_right():
    right = [row for row in TABLE if "reads" not in row]
    assert len(TABLE) >= 870 and len(right) / len(TABLE) > 0.99
    texts = [(row["labels"], re.sub("[⟦⟧]", "", row["text"])) for row in TABLE]
    assert len(set(texts)) == len(texts)


def test_refusals_of_the_table_are_told_from_other_answers_without_a_label():
    unread = [row for row in TABLE if _read(row)[0] is None]
    found = {row["text"]: refuses(row["text"]) for row in unread}
    refusals = {row["text"]: row["kind"] == "refusal" for row in unread}
    assert found == refusals


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
    text = f"{before.replace('answer', '')}. The answer is ({label})."
    assert find_answer(text, LETTERS) == (label.upper(), len(text) - 3, len(text) - 2)


@given(st.text() | st.text("ABabIi .,()'no\n-", max_size=25), st.sampled_from([YES_NO, TEN]))
def test_the_span_holds_the_label_as_a_whole_word(text, labels):
    found = find_answer(text, labels)
    if found is None:
        return
    word = unicodedata.normalize("NFKC", text[found.start : found.end]).casefold()
    assert OTHER_WORDS.get(word, word) == found.label.casefold()
    around = text[max(found.start - 1, 0) : found.start] + text[found.end : found.end + 1]
    assert not any(character.isalnum() for character in re.sub(f"[{CHINESE}]", "", around))


@given(st.text("ABab .,()yesno\n", max_size=20), st.text(" \n", max_size=3))
def test_white_space_around_moves_the_span_alone(text, space):
    bare, padded = find_answer(text, TEN), find_answer(f"{space}{text}{space}", TEN)
    if bare is None:
        assert padded is None
    else:
        moved = (bare.label, bare.start + len(space), bare.end + len(space))
        assert padded == moved


@given(st.sampled_from(["not", "never", "n't", "cannot be", "neither"]), st.sampled_from(LETTERS))
def test_a_denied_label_is_never_read(denial, label):
    assert parse_answer(f"It is {denial} {label}", LETTERS) is None
    (other,) = {"B", "C"} - {label} if label in "BC" else {"C"}
    assert parse_answer(f"It is {denial} {label}; it is {other}", LETTERS) == other
    assert parse_answer(f"{other}, {denial} {label}", LETTERS) in (other, None)


# What a pattern could begin again at each place, or match in many ways.
REPEATED = (
    *(
        "A ",
        "A, ",
        "A)",
        "A\n",
        "A is ",
        "yes no ",
        "\u7b54\u6848\u662f",
        "\u662fA",
        "not that it is ",
    ),
    *(
        "the answer is ",
        "the answer, ",
        "answer to ",
        "so, ",
        "it is, ",
        "I think ",
        "or A ",
        "wait, ",
    ),
    *(
        ".",
        ",",
        " ",
        "(",
        "-",
        "*",
        "<b>",
        "\\boxed{",
        "the the ",
        "I cannot ",
        "please ",
        "no image ",
    ),
)


@pytest.mark.parametrize("part", [*REPEATED, "".join(REPEATED)])
def test_long_texts_are_read_in_linear_time(part):
    """Nothing is asserted of the time: a quadratic pattern would take minutes."""
    long = part * ((20_000 if part in REPEATED else 100_000) // len(part))
    for labels in (YES_NO, LETTERS):
        assert parse_answer(f"{long}. The answer is {labels[1]}", labels) == labels[1]
    refuses(long)
