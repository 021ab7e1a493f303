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
# Denials, alternatives and words that are no answers, as a hostile reader would write them.
HOSTILE = [
    (LETTERS, "B is incorrect, the answer is C", "C"),
    (LETTERS, "B is not correct", None),
    (LETTERS, "It can't be B; it is D", "D"),
    (LETTERS, "never B", None),
    (LETTERS, "B is wrong", None),
    (LETTERS, "B is the wrong answer", None),
    (LETTERS, "B isn't right", None),
    (LETTERS, "B can\u2019t be right", None),
    (LETTERS, "B cannot be correct", None),
    (LETTERS, "(B) is clearly incorrect", None),
    (LETTERS, "**B** is not it", None),
    (LETTERS, "Option B is incorrect", None),
    (LETTERS, "It cannot be B", None),
    (LETTERS, "It is definitely not B", None),
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
    (LETTERS, "The answer is B because A is wrong", "B"),
    (LETTERS, "B, not A", "B"),
    (LETTERS, "B, since A is wrong", "B"),
    (LETTERS, "B because A is wrong", "B"),
    (LETTERS, "D (not B)", "D"),
    (LETTERS, "A is wrong, B is wrong, C is wrong, so D", "D"),
    (LETTERS, "A, B and C are wrong; D is right", "D"),
    (LETTERS, "It is not A, B or C", None),
    (LETTERS, "It is not A, or B", None),
    (LETTERS, "It isn't B, it is D", "D"),
    (LETTERS, "Not B, but D", "D"),
    (LETTERS, "Rather than A, I choose B", "B"),
    (LETTERS, "Anything but B", None),
    (LETTERS, "All except B", None),
    (LETTERS, "I would rule out B", None),
    (LETTERS, "B can be ruled out", None),
    (LETTERS, "It is not (B)", None),
    (LETTERS, "It is neither A", None),
    (LETTERS, "B would be wrong", None),
    (LETTERS, "B does not fit", None),
    (LETTERS, "Not necessarily B", None),
    (LETTERS, "The answer isn't B; it is C", "C"),
    (LETTERS, "It can't be option B; it is option D", "D"),
    (LETTERS, "The answer is 30 \u00b0C", None),
    (LETTERS, "It is unlikely to be B", None),
    (LETTERS, "I doubt it is B", None),
    (LETTERS, "B) The man is not wearing a hat", "B"),
    (LETTERS, "A. Not visible", "A"),
    (LETTERS, "B: False", "B"),
    (LETTERS, "B - incorrect", "B"),
    (LETTERS, "C. None of these", "C"),
    (LETTERS, "There is no doubt it is B", "B"),
    (LETTERS, "It does not have a tail, so B", "B"),
    (LETTERS, "I'm not sure, but B", "B"),
    (LETTERS, "I can't be sure; I would say C", "C"),
    (LETTERS, "I am not sure but I think it is C", "C"),
    (LETTERS, "The incorrect statement is B", "B"),
    (LETTERS, "It's D, isn't it?", "D"),
    (LETTERS, "The answer is B, isn't it", "B"),
    (LETTERS, "The answer must be B", "B"),
    (LETTERS, "It is B rather than A", None),
    (LETTERS, "I have no doubt: C", "C"),
    (LETTERS, "D is correct, not B", "D"),
    (LETTERS, "The object is not red. B", "B"),
    (LETTERS, "A is the best answer", "A"),
    (LETTERS, "B is correct, the others are not", "B"),
    (LETTERS, "Both A and D", None),
    (LETTERS, "Either B or C", None),
    (LETTERS, "None of A, B, C or D", None),
    (LETTERS, "B? No, C", None),
    (LETTERS, "The answer is B, not because of A", "B"),
    (LETTERS, "I'd go with (C) red", "C"),
    (LETTERS, "<answer>B</answer>", "B"),
    (LETTERS, "$\\boxed{\\text{D}}$", "D"),
    (YES_NO, "The answer is no dog", None),
    (YES_NO, "The answer is no, there is no dog", "No"),
    (YES_NO, "The answer is no because it is dark", "No"),
    (YES_NO, "The answer is no there is not", "No"),
    (YES_NO, "My answer is: no.", "No"),
    (YES_NO, "The answer is yes or no", None),
    (YES_NO, "The answer is not yes", None),
    (YES_NO, "No idea", None),
    (YES_NO, "No way to tell.", None),
    (YES_NO, "No doubt", None),
    (YES_NO, "No clue, sorry", None),
    (YES_NO, "No dog is visible", "No"),
    (YES_NO, "No, not at all", "No"),
    (YES_NO, "No there is not", "No"),
    (YES_NO, "Yes is wrong", None),
    (YES_NO, "Yes is not correct", None),
    (YES_NO, "Yes, it is not a cat", "Yes"),
    (YES_NO, "Never yes", None),
    (YES_NO, "I don't think the answer is yes", None),
    (YES_NO, "The answer would be no", "No"),
    (YES_NO, "The answer should be yes.", "Yes"),
    (YES_NO, "The answer is not no", None),
    (YES_NO, "Is the answer yes? No.", "No"),
    (YES_NO, "Yes, no doubt about it", "Yes"),
    (YES_NO, "Yes - no question", "Yes"),
    (YES_NO, "Not really, no.", "No"),
    (YES_NO, "It isn't. No.", "No"),
    (YES_NO, "I can't see one, so no.", None),
    (YES_NO, "I don't see a dog. No", "No"),
    (YES_NO, "It's a no.", None),
    (YES_NO, "The answer is no such thing", None),
    (YES_NO, "Yes, that is wrong", "Yes"),
    (YES_NO, "No, that is not right", "No"),
    (YES_NO, "There's no dog here: no", "No"),
    (YES_NO, "The image has no yes or no sign", None),
    (YES_NO, "Yes (not No)", "Yes"),
    (YES_NO, "No problem: yes", None),
    (YES_NO, "Sure, yes!", "Yes"),
    (YES_NO, "The answer to this is no", None),
    (YES_NO, "The answer is No, not Yes", "No"),
    (YES_NO, "Answer is unclear: yes/no", None),
    (YES_NO, "Absolutely not. No", "No"),
    (YES_NO, "Answer: not yes", None),
    (YES_NO, 'The correct answer is: "No".', "No"),
    (LETTERS, "Not A. B.", None),
    (LETTERS, "The answer is not A. It is B.", None),
    (LETTERS, "I would choose B, as A isn't shown", "B"),
    (LETTERS, "It's not that it is A; it is C", "C"),
    (LETTERS, "A and B are wrong, C is right", "C"),
    (LETTERS, "The correct option isn't B", None),
    (LETTERS, "C, because the man does not wear a hat", "C"),
    (LETTERS, "B is not shown, so the answer should be C", "C"),
    (LETTERS, "C (A and B are incorrect)", "C"),
    (LETTERS, "There isn't a B", None),
    (LETTERS, "The answer is B, not C or D", "B"),
    (LETTERS, "Answer: C. Not A.", "C"),
    (LETTERS, "(D) None of the above is correct", "D"),
    (LETTERS, "D. No, not really", "D"),
    (LETTERS, "B, however A is possible too", None),
    (LETTERS, "You can eliminate A, so it's B", None),
    (LETTERS, "A doesn't match; B doesn't match; C does", "C"),
    (LETTERS, "While A is wrong, B is right", "B"),
    (LETTERS, "The best option is C since B is incorrect", "C"),
    (LETTERS, "The answer is A, B or C", None),
    (LETTERS, "Answer: A, B", None),
    (LETTERS, "The answer is (A), or (B)", None),
    (LETTERS, "The answer is B (not A)", "B"),
    (LETTERS, "D isn't wrong", None),
    (LETTERS, "it is not clear, but B", "B"),
    (LETTERS, "I can't tell. B?", "B"),
    (LETTERS, "Cannot determine. C", "C"),
    (LETTERS, "Option C, not option B", "C"),
    (LETTERS, "The answer is C and not B", "C"),
    (LETTERS, "The answer is C and B is wrong", "C"),
    (LETTERS, "Answer: **C**\nNot B", "C"),
    (LETTERS, "A false claim is C", "C"),
    (LETTERS, "B is a false claim", None),
    (YES_NO, "No, the answer is no", "No"),
    (YES_NO, "The answer is no in this image", "No"),
    (YES_NO, "The answer is no dogs are present", None),
    (YES_NO, "The answer is: no dog", "No"),
    (YES_NO, "Yes, it does not look like a cat but a dog", "Yes"),
    (YES_NO, "No - there's no such thing", "No"),
    (YES_NO, "No. There is not.", "No"),
    (YES_NO, "The answer is yes, there is no doubt", "Yes"),
    (YES_NO, "It does not appear so. No.", "No"),
    (YES_NO, "The answer is yes and not no", "Yes"),
    (YES_NO, "I cannot say yes, so: no", "No"),
    (YES_NO, "No one is there", "No"),
    (YES_NO, "It's not a dog, no.", "No"),
    (YES_NO, "The answer: no idea", None),
    (YES_NO, "No?", "No"),
    (YES_NO, "There is no person. No.", "No"),
    (YES_NO, "The answer is no, no dog", "No"),
    (YES_NO, "The answer is no person is visible.", None),
    (YES_NO, "yes yes yes", "Yes"),
    (YES_NO, "The answer is no sir", None),
]
FILLERS = st.lists(st.sampled_from(["it", "is", "there", "maybe", "surely", "12"]), max_size=4)
MARKS = st.text(string.punctuation + " \n", max_size=4)


@pytest.mark.parametrize(("labels", "text", "answer"), [*BY_HAND, *HOSTILE])
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
    text = f"{before.replace('answer', '')}. The answer is ({label})."
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


@given(st.sampled_from(["not", "never", "n't", "cannot be", "neither"]), st.sampled_from(LETTERS))
def test_a_denied_label_is_never_read(denial, label):
    assert parse_answer(f"It is {denial} {label}", LETTERS) is None
    (other,) = {"B", "C"} - {label} if label in "BC" else {"C"}
    assert parse_answer(f"It is {denial} {label}; it is {other}", LETTERS) == other
    assert parse_answer(f"{other}, {denial} {label}", LETTERS) in (other, None)
