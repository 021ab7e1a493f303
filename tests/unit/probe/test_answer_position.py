"""Where the answer is found, whatever the chat template puts before it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LogitsProcessorList

from vlm_confidence_tasks.benchmarks import find_answer
from vlm_confidence_tasks.probe import Reading, answer_position, label_tokens
from vlm_confidence_tasks.probe.answer_position import locate
from vlm_confidence_tasks.probe.top_k import TopKStep, read_top_k

from .tiny import YES_NO, Dictate, make_model, read


@pytest.fixture(scope="module")
def any_model(any_tokenizer):
    return make_model(any_tokenizer)


def dictated(model, tokenizer, before: str, answer_tokens: list[int], labels):
    """Let the model be asked with `before` at the end, and say `answer_tokens`."""
    ids = torch.tensor([tokenizer.encode("Is it red? " + before)])
    force = Dictate([[*answer_tokens, tokenizer.eos_token_id]], ids.shape[1])
    output, (reading,) = read(
        model,
        tokenizer,
        {"input_ids": ids},
        labels=labels,
        logits_processor=LogitsProcessorList([force]),
    )
    logits = model(output).logits[0, ids.shape[1] - 1 : -1].detach().double()
    return reading, torch.softmax(logits, dim=-1).numpy()


def position(reading: Reading, tokenizer, labels, text: str | None = None):
    """Return the label step of the answer, parsed from what an adapter makes of the tokens."""

    def decode(tokens):
        return tokenizer.decode(tokens, skip_special_tokens=True)

    text = decode(reading.tokens).strip() if text is None else text
    found = find_answer(text, labels)
    label, offset = (None, 0) if found is None else (labels.index(found.label), found.start)
    index = answer_position(reading, text, label, offset, decode)
    return None if index is None else reading.label_steps[index]


@pytest.mark.parametrize(
    ("labels", "text", "answer"),
    [
        (YES_NO, "\nYes", "Yes"),
        (YES_NO, "The answer is yes.", "yes"),
        (("A", "B", "C", "D"), "The answer is B", "B"),
        (("A", "B", "C", "D"), "(C) the red circle", "C"),
        # Tokens that are labels of their own stand before the answer.
        (("A", "B", "C", "D"), "A red circle is the answer. B", "B"),
        (("A", "B", "C", "D"), "A circle. The answer is C", "C"),
        (YES_NO, "is no circle in the image. Yes", "Yes"),
    ],
)
def test_words_before_the_answer_are_skipped(any_model, any_tokenizer, labels, text, answer):
    answer_tokens = any_tokenizer.encode(text, add_special_tokens=False)
    reading, p = dictated(any_model, any_tokenizer, "ASSISTANT:", answer_tokens, labels)
    at = position(reading, any_tokenizer, labels)
    assert any_tokenizer.decode([answer_tokens[at.step]]).strip(" (") == answer
    assert answer not in any_tokenizer.decode(answer_tokens[: at.step])
    expected = [p[at.step, list(ids)].sum() for ids in label_tokens(any_tokenizer, labels)]
    assert np.exp(at.logprob) == pytest.approx(expected, abs=1e-5)


# A vocabulary in which pieces are themselves, and its labels.
PIECES = (
    "D",
    "ining",
    " room",
    ".",
    " B",
    "b",
    ")",
    " red",
    " ",
    "\n",
    "B",
    " and",
    " a",
    "A",
    "(B",
    "B)",
)
LETTERS = ("A", "B", "C", "D")
SPELLED = [
    [n for n, piece in enumerate(PIECES) if piece.strip(" (").upper() == letter]
    for letter in LETTERS[:2]
] + [[90], [PIECES.index("D")]]


class Pieces:
    """Decodes by joining pieces."""

    @staticmethod
    def decode(tokens, skip_special_tokens=True):
        return "".join(PIECES[token] for token in tokens)


def said(*pieces: str) -> Reading:
    """Read an answer of given pieces, whose chosen tokens have p = 0.9 each."""
    tokens = [PIECES.index(piece) for piece in pieces]
    other = {n: float(np.log(0.1 / 99)) for n in range(100)}
    steps = [
        TopKStep(t, float(np.log(0.9)), list((other | {t: float(np.log(0.9))}).items()))
        for t in tokens
    ]
    return read_top_k(steps, SPELLED, 100)


def probabilities(at) -> dict[str, float]:
    return dict(zip(LETTERS, np.exp(at.logprob), strict=True))


@pytest.mark.parametrize(
    ("pieces", "text", "step"),
    [
        # Stripped, cut at a stop string, padded, or cut out where it is the only one.
        ((" ", " ", " B", "\n"), "B", 2),
        ((" B", ".", "\n", "b"), "B.", 0),
        (("B",), "  B\n", 0),
        ((" red", ".", " B", ")"), "B)", 2),
        (("(B", ")", "b"), "(B)", 0),
        # Two places fit, none at the beginning; or none does.
        ((" red", "B", " and", "B"), "B", None),
        ((" red", ".", " B"), "b", None),
        ((" B",), "The answer is B", None),
        # The token that holds the letter begins a word that is none.
        (("ining", "D"), "D", 1),
        (("D", "ining"), "D", 0),
    ],
)
def test_texts_that_adapters_change(pieces, text, step):
    at = position(said(*pieces), Pieces, LETTERS, text=text)
    assert (None if at is None else at.step) == step


def test_without_an_answer_the_first_token_that_begins_a_label_is_taken():
    at = position(said(" red", "D", "ining", " room", "D", "ining"), Pieces, LETTERS)
    assert (at.step, at.label) == (1, 3)


def test_tokens_of_unknown_text_have_no_position():
    assert answer_position(said("B"), "B", 1, 0, lambda tokens: None) is None


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=8), st.integers(0, 3))
def test_the_position_is_that_of_the_letter_in_the_text(pieces, cut):
    """Held against a loop over characters, for any text that begins like the generated one."""
    whole = "".join(pieces)
    text = whole[: len(whole) - cut].strip()
    found = find_answer(text, LETTERS)
    at = position(said(*pieces), Pieces, LETTERS, text=text)
    if found is None:
        return
    owner = [n for n, piece in enumerate(pieces) for _ in piece]
    step = owner[len(whole) - len(whole.lstrip()) + found.start]
    # A cut can make a letter of a longer token.
    spelled = pieces[step].strip(" (").upper() == found.label
    assert (None if at is None else at.step) == (step if spelled else None)


@given(st.text(" ab.", max_size=12), st.text(" ab.", max_size=6), st.text(" ", max_size=2))
def test_what_is_located_is_there(generated, text, space):
    padded = space + text + space
    start = locate(padded, generated)
    core = padded.strip()
    if start is not None:
        lead = start + len(padded) - len(padded.lstrip())
        assert generated[lead : lead + len(core)] == core
    elif core:
        places = [n for n in range(len(generated)) if generated.startswith(core, n)]
        assert len(places) != 1
