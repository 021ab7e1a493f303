"""Finding the model and tokenizer behind an adapter."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from vlm_confidence_tasks.probe import ProbeError
from vlm_confidence_tasks.probe.backend import find_model, find_tokenizer


def test_the_model_is_found_under_both_attribute_names(model):
    assert find_model(SimpleNamespace(model=model)) is model
    assert find_model(SimpleNamespace(_model=model)) is model


def test_the_unwrapped_model_is_preferred(model):
    wrapped = torch.nn.Sequential(model)
    wrapped.generate = model.generate
    assert find_model(SimpleNamespace(model=model, _model=wrapped)) is model


@pytest.mark.parametrize(
    "adapter",
    [
        SimpleNamespace(),
        SimpleNamespace(model="gpt-4o"),
        SimpleNamespace(model=torch.nn.Linear(1, 1)),
        SimpleNamespace(model=SimpleNamespace(generate=print)),
    ],
)
def test_other_backends_have_no_model(adapter):
    assert find_model(adapter) is None


@pytest.mark.parametrize("name", ["tokenizer", "_tokenizer"])
def test_a_tokenizer_on_the_adapter(tokenizer, name):
    assert find_tokenizer(SimpleNamespace(**{name: tokenizer})) is tokenizer


@pytest.mark.parametrize("name", ["processor", "_processor", "_image_processor"])
def test_a_tokenizer_on_the_processor(tokenizer, name):
    adapter = SimpleNamespace(**{name: SimpleNamespace(tokenizer=tokenizer)})
    assert find_tokenizer(adapter) is tokenizer


def test_objects_that_are_no_tokenizer_are_skipped(tokenizer):
    adapter = SimpleNamespace(tokenizer="llama", processor=SimpleNamespace(tokenizer=tokenizer))
    assert find_tokenizer(adapter) is tokenizer


def test_no_tokenizer_is_an_error_that_names_the_adapter():
    with pytest.raises(ProbeError, match="SimpleNamespace has no tokenizer"):
        find_tokenizer(SimpleNamespace(processor=None))
