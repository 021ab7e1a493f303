"""The labels' tokens in real vocabularies: none is missing, and no parsed answer lacks them.

Every family's tokenizer comes from a registry (`real_vocabularies`). A model of random weights is
made to say each answer, through the real `generate()`, and what was read is held against all token
ids decoded one by one. docs/models.md has a row of each family's answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from real_vocabularies import FAMILIES, MissingError, load
from transformers import LogitsProcessorList, PreTrainedTokenizerFast

from vlm_confidence_tasks.benchmarks import find_answer
from vlm_confidence_tasks.label_words import OTHER_WORDS, full_width
from vlm_confidence_tasks.probe import Reading, answer_position, label_tokens, make_readout
from vlm_confidence_tasks.probe.labels import MOST_SPELLINGS
from vlm_confidence_tasks.types import CLEAN, Question, Readout

from .tiny import YES_NO, Dictate, make_model, read

LETTERS = ("A", "B", "C", "D")
PAGE = Path(__file__).parents[3] / "docs" / "models.md"

# What models are made to say, and the label that it names.
FORCED: dict[tuple[str, ...], dict[str, str]] = {
    YES_NO: {
        **dict.fromkeys(["Yes", " Yes", " yes", "yes.", "YES", " YES", "(Yes)", "(yes)"], "Yes"),
        **dict.fromkeys(['"Yes"', '"yes"', "'Yes'", "\u201cYes\u201d", "**Yes**", "*Yes*"], "Yes"),
        **dict.fromkeys(["_Yes_", "`Yes`", ":YES", "Answer:Yes", "Answer: Yes", "\nYes"], "Yes"),
        **dict.fromkeys(["\\boxed{Yes}", "$\\boxed{\\text{Yes}}$", "Yes, there is."], "Yes"),
        **dict.fromkeys(['The answer is "Yes".', "<answer>Yes</answer>", "Final=YES"], "Yes"),
        **dict.fromkeys(["No", " no", "no.", "NO", "[No]", "{No}", "(no)", "/no", "=no"], "No"),
        **dict.fromkeys(["-No", ">No", ".No", ",No", "<No>", "- No", "**No**", "Answer:No"], "No"),
        **dict.fromkeys(["\u201cNo\u201d", '"No," it says.', "no\n", "- NO", "**NO.**"], "No"),
        **dict.fromkeys(["Yeah", " yeah"], "Yes"),
        **dict.fromkeys(["Nope", " nope"], "No"),
        # In Chinese, simplified and traditional.
        **dict.fromkeys(
            ["\u662f", "\u662f\u7684", "\u662f\u7684\u3002", "\u5bf9", "\u6709"], "Yes"
        ),
        **dict.fromkeys(["\u6b63\u786e", "\u7b54\u6848\uff1a\u662f", "\u300c\u662f\u300d"], "Yes"),
        **dict.fromkeys(["\u4e0d", "\u4e0d\u662f", "\u6ca1\u6709", "\u5426", "\u9519\u8bef"], "No"),
        **dict.fromkeys(["\u4e0d\u5c0d\u3002", "\uff0c\u4e0d"], "No"),
    },
    LETTERS: {
        **dict.fromkeys(["(A)", "A", "A.", "A)", "A. a dog", '"A"', "**A**", "\u201cA\u201d"], "A"),
        **dict.fromkeys(["B", " B", "B.", "B)", "(B)", "(b)", "b", "b.", " b)", "B\n"], "B"),
        **dict.fromkeys(
            ['"B"', "'B'", "\u2018B\u2019", "\u201cB\u201d", "`B`", '"B." is right'], "B"
        ),
        **dict.fromkeys(["**B**", "*B", "*B*", "**B.** red", "_B_", "__B__", "- B", "-B"], "B"),
        **dict.fromkeys(
            ["[B]", "{B}", "<B>", ">B", "<b>Answer:</b>B", "|B|", "$B$", "#B", "/B", "=B"], "B"
        ),
        **dict.fromkeys(["Answer:B", "Answer: B", "Answer:\n\nB", "answer=B", "Option:B"], "B"),
        **dict.fromkeys(["The answer is B.", "The answer is (B).", 'It is "B".', "\tB"], "B"),
        **dict.fromkeys(["\u3010B\u3011", "\uff08B\uff09", "\u7b54\u6848\uff1aB"], "B"),
        **dict.fromkeys(
            ["\\boxed{C}", "\\boxed{\\text{C}}", "\\text{C}", "\\(C\\)", "\u9009C"], "C"
        ),
        **dict.fromkeys(
            ["<answer>C</answer>", ":C", ".C", ",C", "+C", "&C", "%C", "\u2022 C"], "C"
        ),
        **dict.fromkeys(["D: red", "Option D", "option (D)", "\n\nD", "*D*: red", "[D] red"], "D"),
    },
}


# What some vocabularies write in parts of characters, which begin many other words.
IN_PARTS = {YES_NO: {"\u6c92\u6709": "No", "\u932f\u8aa4": "No"}, LETTERS: {"\uff22": "B"}}
# The tokens that begin a word of several tokens for Yes or for No, and spell none.
BEGINNINGS = {
    "Llama-2": ({"\u6b63"}, {"\u9519"}),
    "Llama-3": ({"(y", "\u6b63", " \u6b63"}, {"\u932f"}),
    "Mistral v1": ({"Y", "\u6b63"}, {"\u9519", "\u932f"}),
    "Mistral tekken": ({"\u6b63"}, set()),
    "Qwen3": ({"(y"}, set()),
    "Gemma 3": ({" \u6b63"}, set()),
}


class Said(NamedTuple):
    """What a model was made to say, and what was read of it."""

    family: str
    tokenizer: PreTrainedTokenizerFast
    labels: tuple[str, ...]
    readings: dict[str, Reading]
    logits: list[torch.Tensor]


@pytest.fixture(
    scope="module", params=[(family, labels) for family in FAMILIES for labels in FORCED]
)
def said(request) -> Said:
    """Let a model of a family's vocabulary say each text."""
    family, labels = request.param
    try:
        tokenizer = load(family)
    except MissingError as error:
        pytest.skip(str(error))
    texts = [*FORCED[labels], *IN_PARTS[labels]]
    ids = torch.tensor([tokenizer.encode("Is it red?", add_special_tokens=False)] * len(texts))
    dictated = [
        [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
        for text in texts
    ]
    output, readings = read(
        make_model(tokenizer),
        tokenizer,
        {"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        labels=labels,
        max_new_tokens=max(map(len, dictated)),
        output_logits=True,
        return_dict_in_generate=True,
        logits_processor=LogitsProcessorList([Dictate(dictated, ids.shape[1])]),
    )
    found = dict(zip(texts, readings, strict=True))
    return Said(family, tokenizer, labels, found, output.logits)


def readout(said: Said, text: str) -> Readout:
    """Return the readout of an answer as the adapters of transformers give its text."""

    def decode(tokens):
        return said.tokenizer.decode(tokens, skip_special_tokens=True)

    reading = said.readings[text]
    answer = decode(reading.tokens).strip()
    named = find_answer(answer, said.labels)
    assert named is not None, text
    index = answer_position(reading, answer, said.labels.index(named.label), named.start, decode)
    position = None if index is None else reading.label_steps[index]
    question = Question("1", "image", "Is it?", said.labels)
    return make_readout(question, CLEAN, "digest", answer, named.label, None, reading, position)


def spelled(texts: Sequence[str], label: str) -> set[int]:
    """Return which of all tokens' texts are a label behind marks."""
    words = {label, label.lower(), label.upper()}
    words |= {word for word, meant in OTHER_WORDS.items() if meant == label.lower()}
    words |= {form for word in words for form in (word.upper(), word.title())}
    pattern = "|".join(map(re.escape, words | {full_width(word) for word in words}))
    # Neither half a character, nor a unit of temperature.
    behind_marks = re.compile(rf"(?P<marks>([^\w\ufffd\u00b0]|_)*)(?P<word>{pattern})")
    found = set()
    for token, text in enumerate(texts):
        at = behind_marks.fullmatch(text)
        small = at is not None and len(label) == 1 and at["word"].islower()
        if at is not None and not (small and at["marks"] not in ("", " ", "(", " (")):
            found.add(token)
    return found


def test_every_parsed_answer_has_its_probabilities(said):
    for text, label in FORCED[said.labels].items():
        made = readout(said, text)
        assert (made.answer, made.position_unknown) == (label, False), text
        assert made.probs is not None and made.confidence == made.probs[label], text


def test_label_tokens_and_their_mass_are_those_of_all_ids_decoded(said):
    texts = said.tokenizer.backend_tokenizer.decode_batch(
        [[token] for token in range(len(said.tokenizer))], skip_special_tokens=False
    )
    found = label_tokens(said.tokenizer, said.labels)
    begin = BEGINNINGS[said.family] if said.labels == YES_NO else [set[str]()] * len(found)
    for label, tokens, begun in zip(said.labels, found, begin, strict=True):
        whole = spelled(texts, label)
        assert whole <= set(tokens), label
        assert {texts[token] for token in set(tokens) - whole} == begun, label
        assert len(tokens) <= MOST_SPELLINGS
    for row, (text, reading) in enumerate(said.readings.items()):
        for at in reading.label_steps:
            p = torch.softmax(said.logits[at.step][row].double(), dim=-1).numpy()
            expected = [p[list(tokens)].sum() for tokens in found]
            assert np.exp(at.logprob) == pytest.approx(expected, rel=1e-6, abs=0), text
        if text in FORCED[said.labels]:
            made = readout(said, text)
            step = made.answer_step
            p = torch.softmax(said.logits[step][row].double(), dim=-1).numpy()
            mass = p[[token for tokens in found for token in tokens]].sum()
            assert made.answer_mass == pytest.approx(mass, rel=1e-6, abs=0), text


def test_the_docs_have_how_many_answers_have_no_probabilities(said):
    forced, parts = (
        [readout(said, text).probs is None for text in texts[said.labels]]
        for texts in (FORCED, IN_PARTS)
    )
    tokens = [len(own) for own in label_tokens(said.tokenizer, said.labels)]
    row = (
        f"| {said.family} | {len(said.tokenizer):,} | {said.labels[0]} to {said.labels[-1]} | "
        f"{min(tokens)} to {max(tokens)} | {sum(forced)} of {len(forced)} | "
        f"{sum(parts)} of {len(parts)} |"
    )
    assert row in PAGE.read_text().splitlines()
