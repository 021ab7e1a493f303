"""Options: how they are written, scored and recorded."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vlm_confidence_tasks.probe import ProbeError, Row, make_readout
from vlm_confidence_tasks.probe.continuation import PromptState
from vlm_confidence_tasks.probe.generation import watched
from vlm_confidence_tasks.probe.options import begins_with_space, option_tokens
from vlm_confidence_tasks.probe.scoring import OptionScorer
from vlm_confidence_tasks.types import CLEAN

from .test_readout import CAPTION, LETTERS, reading
from .tiny import PROMPT, Batch, make_model, make_tokenizer, prompt

TEXTS = ("Yes", "the red circle", "A", "is there: 3.5%?", "caf\u00e9")


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("spaced", [True, False])
def test_options_are_written_with_a_space_or_without(any_tokenizer, text, spaced):
    tokens = option_tokens(any_tokenizer, text, spaced)
    before = any_tokenizer.encode("circle", add_special_tokens=False)
    whole = any_tokenizer.decode([*before, *tokens])
    assert whole == f"circle{' ' * spaced}{text}"
    assert not set(tokens) & set(any_tokenizer.all_special_ids)


def test_an_option_of_one_word_has_the_token_that_a_model_generates(kind, any_tokenizer):
    space = {"sentencepiece": "\u2581"}.get(kind, "\u0120")
    for spaced, piece in ((True, f"{space}Yes"), (False, "Yes")):
        tokens = option_tokens(any_tokenizer, "Yes", spaced)
        assert any_tokenizer.convert_ids_to_tokens(list(tokens)) == [piece]


@pytest.mark.parametrize("line_break", ["", " ", "x"])
def test_tokenizers_that_drop_line_breaks_or_merge_them_with_words(line_break):
    def encode(text, add_special_tokens):
        return text.replace("\n", line_break).split()

    tokenizer = SimpleNamespace(encode=encode)
    assert option_tokens(tokenizer, "red dog", False) == ("red", "dog")


def test_a_text_without_tokens_is_refused(tokenizer):
    with pytest.raises(ProbeError, match="option '' has no tokens"):
        option_tokens(tokenizer, "", False)


@pytest.mark.parametrize(
    ("end", "expected_space"),
    [("ASSISTANT:", True), ("image?", True), ("assistant\n", False), ("Answer: ", False)],
)
def test_an_answer_begins_with_a_space_unless_the_prompt_ends_with_one(
    any_tokenizer, end, expected_space
):
    tokens = any_tokenizer.encode(f"red {end}", add_special_tokens=False)
    assert begins_with_space(any_tokenizer, tokens) == expected_space
    assert not begins_with_space(any_tokenizer, [*tokens, any_tokenizer.eos_token_id])


def test_an_added_token_ends_a_prompt_without_a_space():
    tokenizer = make_tokenizer("byte_level")
    tokenizer.add_tokens(["<|assistant|>"])
    assert not begins_with_space(tokenizer, tokenizer.encode("Yes<|assistant|>"))
    assert not begins_with_space(tokenizer, [])


def run(model, tokenizer, texts, *args, **kwargs):
    """Run generate() with options; return what it gave and what was read of each row."""
    batch = Batch(*(Row((), options) for options in texts))
    settings = {"max_new_tokens": 6, "do_sample": False} | kwargs
    with watched(model, tokenizer, batch):
        output = model.generate(*args, **settings)
    return output, batch.readings


def plainly(model, prompt_ids, tokens):
    """ln p of each token by a pass over everything, in float64."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt_ids, *tokens]])).logits[0].double()
    logprob = torch.log_softmax(logits, dim=-1)[len(prompt_ids) - 1 :]
    return [float(logprob[step, token]) for step, token in enumerate(tokens)]


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_options_in_every_grad_mode_of_the_adapter(tokenizer, mode):
    model = make_model(tokenizer)
    with mode():
        _, (found,) = run(model, tokenizer, [("the red circle",)], **prompt(tokenizer))
    tokens = option_tokens(tokenizer, "the red circle", True)
    expected = plainly(model, tokenizer.encode(PROMPT), tokens)
    assert found.option_logprob[0] == pytest.approx(expected, abs=1e-5)


def test_token_ids_as_a_positional_argument(tokenizer):
    inputs = prompt(tokenizer)
    model = make_model(tokenizer)
    by_name = run(model, tokenizer, [("the red circle",)], **inputs)[1][0]
    by_place = run(model, tokenizer, [("the red circle",)], inputs["input_ids"])[1][0]
    assert np.allclose(by_name.option_logprob[0], by_place.option_logprob[0], atol=1e-6)


def test_a_prompt_that_is_not_token_ids_is_refused(tokenizer):
    model = make_model(tokenizer)
    embeds = model.get_input_embeddings()(prompt(tokenizer)["input_ids"])
    with pytest.raises(ProbeError, match="given as token ids"):
        run(model, tokenizer, [("Yes",)], inputs_embeds=embeds)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"encoder": True}, "has an encoder"),
        ({"past_key_values": None}, "no key-value cache"),
        ({"position_ids": None}, "no position_ids"),
        ({"attention_mask": torch.ones(1, 1, 3, 3)}, "attention mask"),
    ],
)
def test_a_model_whose_cache_cannot_be_continued_is_refused(tokenizer, change, reason):
    model = make_model(tokenizer)
    inputs = prompt(tokenizer)
    with torch.no_grad():
        output = model(**inputs, use_cache=True)
    if "past_key_values" in change:
        output.past_key_values = None
    model.config.is_encoder_decoder = change.get("encoder", False)
    given = {"position_ids": torch.arange(3)[None], **change}
    state = PromptState(model, given, output, copy_cache=True)
    assert state.logprobs([(3,)])[0].shape == (1,), "the first token can always be scored"
    with pytest.raises(ProbeError, match=f"scored with LlamaForCausalLM: .*{reason}"):
        state.logprobs([(3, 4)])


def scored(**options):
    arrays = {name: np.array(values, np.float32) for name, values in options.items()}
    return replace(reading(0.5, 0.3, 0.2), option_logprob=tuple(arrays.values()))


def test_option_scores_of_a_readout_by_hand():
    read = scored(A=[-1.0, -1.0], B=[-0.5, -0.5, -2.0], C=[-4.0])
    record = make_readout(LETTERS, CLEAN, "", "B", "B", True, read, None, loglik=True)
    assert record.option_logprob == {"A": -2, "B": -3, "C": -4}
    assert record.option_logprob_mean == {"A": -1, "B": -1, "C": -4}
    assert record.loglik_answer == "A" and record.loglik_mean_answer == "A"


def test_options_scored_for_another_task_are_left_out():
    read = scored(A=[-1.0], B=[-2.0], C=[-3.0])
    assert make_readout(LETTERS, CLEAN, "", "B", "B", True, read, None).option_logprob is None
    nothing = replace(reading(), label_steps=())
    record = make_readout(CAPTION, CLEAN, "", "", None, None, nothing, None, loglik=True)
    assert record.probs is None


def test_a_reading_with_a_non_finite_option_is_not_finite():
    assert scored(A=[-1.0]).finite
    assert not scored(A=[-1.0, math.nan]).finite
    assert not scored(A=[-math.inf]).finite


def test_the_number_of_rows_must_be_that_of_the_documents(tokenizer):
    scorer = OptionScorer(tokenizer)
    with pytest.raises(ProbeError, match="a row a document"):
        scorer.batch((), prompt(tokenizer), [("Yes",), ("Yes",)])
    assert scorer.batch((), prompt(tokenizer), [(), ()]) is None
