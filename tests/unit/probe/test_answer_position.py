"""Where the answer is found, whatever the chat template puts before it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LogitsProcessorList

from vlm_confidence_tasks.probe import label_tokens

from .tiny import YES_NO, Dictate, make_model, read

# How chat templates end, and how the first token of the answer is then written.
TEMPLATES = {
    "nothing": "ASSISTANT:",
    "a space": "ASSISTANT: ",
    "a newline": "assistant\n",
    "a bracket": "Answer: (",
}


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


def tokens_after(tokenizer, before: str, answer: str) -> list[int]:
    """The tokens of an answer as a tokenizer writes them after the end of the prompt."""
    whole = tokenizer.encode(before + answer, add_special_tokens=False)
    for cut in range(len(whole)):
        if tokenizer.decode(whole[cut:]).strip(" \n(") == answer.strip(" \n("):
            answer_tokens = whole[cut:]
    return answer_tokens


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
@pytest.mark.parametrize(
    ("labels", "answer"), [(YES_NO, "Yes"), (YES_NO, "no"), (("A", "B", "C"), "B")]
)
def test_the_first_token_is_the_answer(any_model, any_tokenizer, template, labels, answer):
    answer_tokens = tokens_after(any_tokenizer, template, answer)
    reading, p = dictated(any_model, any_tokenizer, template, answer_tokens, labels)
    assert reading.answer_step == 0
    expected = [p[0, list(tokens)].sum() for tokens in label_tokens(any_tokenizer, labels)]
    assert np.exp(reading.label_logprob) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("labels", "text", "answer"),
    [
        (YES_NO, "\nYes", "Yes"),
        (YES_NO, "The answer is yes.", "yes"),
        (("A", "B", "C", "D"), "The answer is B", "B"),
        (("A", "B", "C", "D"), "(C) the red circle", "C"),
    ],
)
def test_words_before_the_answer_are_skipped(any_model, any_tokenizer, labels, text, answer):
    answer_tokens = any_tokenizer.encode(text, add_special_tokens=False)
    reading, p = dictated(any_model, any_tokenizer, "ASSISTANT:", answer_tokens, labels)
    position = reading.answer_step
    assert position is not None
    assert any_tokenizer.decode([answer_tokens[position]]).strip(" (") == answer
    assert answer not in any_tokenizer.decode(answer_tokens[:position])
    expected = [p[position, list(ids)].sum() for ids in label_tokens(any_tokenizer, labels)]
    assert np.exp(reading.label_logprob) == pytest.approx(expected, abs=1e-5)


def test_an_answer_that_names_no_label_is_read_at_its_first_token(any_model, any_tokenizer):
    answer_tokens = any_tokenizer.encode("the red circle", add_special_tokens=False)
    reading, p = dictated(any_model, any_tokenizer, "ASSISTANT:", answer_tokens, YES_NO)
    assert reading.answer_step is None
    expected = [p[0, list(tokens)].sum() for tokens in label_tokens(any_tokenizer, YES_NO)]
    assert np.exp(reading.label_logprob) == pytest.approx(expected, abs=1e-5)


def test_a_label_of_several_tokens_is_found_where_it_begins(any_model, any_tokenizer):
    labels = ("Yes", "quokka")
    answer_tokens = any_tokenizer.encode("is quokka", add_special_tokens=False)
    reading, _ = dictated(any_model, any_tokenizer, "ASSISTANT:", answer_tokens, labels)
    position = reading.answer_step
    assert position is not None
    assert any_tokenizer.decode(answer_tokens[position:]).strip() == "quokka"
