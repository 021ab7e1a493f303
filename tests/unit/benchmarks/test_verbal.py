"""Asking for certainty in words, and reading the number."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_world import wording
from vlm_confidence_tasks.benchmarks import parse_certainty, second_turn
from vlm_confidence_tasks.types import Question

ASKED = Question("1", "x", "Is it red?\nAnswer with a word.", ("Yes", "No"), asked="Is it red?")
DENIAL = re.compile(r"not|n['\u2019]t|never|[不并没沒]", re.I)
WORDS = st.text(
    st.characters(exclude_categories=["Nd"], exclude_characters="%.,-_"), max_size=20
).filter(lambda text: not DENIAL.search(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.85", 0.85),
        (".85", 0.85),
        ("0", 0),
        ("0%", 0),
        ("1", 1),
        ("1%", 0.01),
        ("1.0", 1),
        ("1.5", 0.015),
        ("0.5 percent", 0.005),
        ("0.5 Per cent", 0.005),
        ("80-90%", 0.8),
        ("120%, no, 95%", 0.95),
        ("-5%", None),
        ("1,000", None),
        # A comma is a decimal sign where it cannot be one of thousands; a full stop always is.
        ("0,900", 0.9),
        ("85,5%", 0.855),
        ("about 0,75, I think", 0.75),
        ("-0,5", None),
        ("12,500 or 20%", 0.2),
        ("1,2,3", 1),
        ("1,000 or 20%", 0.2),
        ("Qwen2.5 says 40%", 0.4),
        ("v1.2.3", None),
        # A number with a percent sign or next to a word for certainty wins.
        ("There are 3 people in the image. I am 95% certain.", 0.95),
        ("Step 1: look. Step 2: decide. Certainty: 70%", 0.7),
        ("I counted 12 chairs and 2 tables, 80 percent", 0.8),
        ("About 30% of the image is dark. My certainty is 90%.", 0.9),
        ("I am certain that there are 3 people: 95%", 0.95),
        ("Two of 7 match.\nConfidence level: 0.9", 0.9),
        ("**Certainty**: 85", 0.85),
        ('{"answer": 2, "confidence": 0.75}', 0.75),
        ("My confidence in the model's answer is 90", 0.9),
        ("Certainty: 60%. I looked again. Certainty: 85%", 0.85),
        ("At first I was 60% sure, now I am 90% sure", 0.9),
        ("I'm not 100% certain, but about 85%", 0.85),
        ("I can't say with 100% certainty; 70%", 0.7),
        ("I am not 100% sure.", None),
        ("On a scale of 0 to 100: 85", 0.85),
        ("Certainty (0-100): 85", 0.85),
        ("On a scale of 0% to 100%, I'd say 85%.", 0.85),
        ("Between 0 and 100, I would say 65.", 0.65),
        ("From 0 to 1, 0.7", 0.7),
        ("0到1之间：0.8", 0.8),
        ("I saw 1 and 100% of it", 1),
        ("Confidence: 80-90%", 0.8),
        ("The 1st answer: 3D glasses, 75%", 0.75),
        # Exponents, full-width forms, fractions, Chinese.
        ("1e-2", 0.01),
        ("9.5e-1", 0.95),
        ("1e999", None),
        ("0.5\uff05", 0.005),
        ("\uff18\uff15\uff05", 0.85),
        ("8/10", 0.8),
        ("85 out of 100", 0.85),
        ("Confidence: 4/5", 0.8),
        ("3.5/5", 0.7),
        ("5 out of 5 stars", 1),
        ("2/3 of the image is dark, 90%", 0.9),
        ("24/7 or 90%", 0.9),
        ("3/4/2024, 90", 0.03),
        ("确定性为95%", 0.95),
        ("我有90%的把握", 0.9),
        ("图中有3个人。我的信心是80%。", 0.8),
        ("百分之85", 0.85),
        ("確定性：0.9", 0.9),
        ("", None),
    ],
)
def test_numbers_in_all_sorts_of_answers(text, value):
    assert parse_certainty(text) == (None if value is None else pytest.approx(value))


@given(st.text())
def test_any_text_gives_nothing_or_a_probability(text):
    value = parse_certainty(text)
    assert value is None or 0 <= value <= 1


@given(st.integers(0, 100), WORDS, WORDS)
def test_a_percentage_between_words_is_found(percent, before, after):
    assert parse_certainty(f"{before} {percent}% {after}") == percent / 100


@given(st.decimals(0, 1, places=3), WORDS)
def test_a_probability_is_itself(value, before):
    assert parse_certainty(f"{before} {value}") == float(value)


@given(st.decimals(0, 100, places=2), WORDS)
def test_a_decimal_comma_reads_as_a_decimal_point(value, before):
    written = f"{before} {value}"
    assert parse_certainty(written.replace(".", ",")) == parse_certainty(written)


@given(st.integers(101, 10**6), st.integers(0, 100))
def test_numbers_over_100_are_passed_over(large, percent):
    assert parse_certainty(f"{large}% or {percent}%") == percent / 100


@pytest.mark.parametrize(
    ("person", "wanted"), [("third", wording.third_person), ("first", wording.first_person)]
)
@given(asked=st.text(min_size=1), answer=st.sampled_from(["Yes", "No"]))
def test_prompts_are_those_that_the_embedded_model_is_taught(person, wanted, asked, answer):
    question = Question("1", "x", f"{asked}\nAnswer.", ("Yes", "No"), asked=asked)
    assert second_turn(person, question, answer, "whatever") == wanted(asked, answer)


def test_an_answer_that_could_not_be_read_is_quoted_without_its_full_stop():
    prompt = second_turn("third", ASKED, None, " Perhaps... \n")
    assert "asked: Is it red? Model's answer was: Perhaps. How certain" in prompt


def test_a_question_that_has_no_ending_is_quoted_whole():
    prompt = second_turn("first", Question("1", "x", "Describe."), None, "A dog.")
    assert prompt.startswith("You were asked: Describe. Your answer was: A dog. How")
