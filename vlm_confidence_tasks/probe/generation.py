"""Wraps a model's generate() to measure it, without changing what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

import torch
from transformers import GenerationMixin, StoppingCriteriaList

from vlm_confidence_tasks.probe.backend import ProbeError
from vlm_confidence_tasks.probe.hidden_states import HiddenStatesBatch, HiddenStatesExtractor
from vlm_confidence_tasks.probe.hooks import hooked
from vlm_confidence_tasks.probe.reading import Reading
from vlm_confidence_tasks.probe.recorder import LabelTokens, Recorder
from vlm_confidence_tasks.probe.replacing import replaced
from vlm_confidence_tasks.probe.scoring import OptionBatch, OptionScorer

Rows = Callable[[], Sequence[LabelTokens]]
Deliver = Callable[[list[Reading]], None]
Fail = Callable[[BaseException], None]


@contextmanager
def watched(
    model: Any,
    rows: Rows,
    deliver: Deliver,
    fail: Fail,
    scorer: OptionScorer | None = None,
    extractor: HiddenStatesExtractor | None = None,
) -> Iterator[None]:
    """Measure every call of `model.generate()` in the block.

    Args:
        model: A transformers model; only this instance is changed, never its class.
        rows: Called before each generate(): the label tokens of each row of its batch.
        deliver: Called after it with one Reading per row, in the order of the batch.
        fail: Called with the exception of generate() before it is raised again, since some
            adapters catch it and return an empty answer.
        scorer: Scores the options of each row, if any, after its prompt.
        extractor: Captures hidden states where they are needed.
    """
    original = model.generate

    @wraps(original)
    def generate(*args: Any, **kwargs: Any) -> Any:
        try:
            labels = rows()
            batch = None if scorer is None else scorer.batch(args, kwargs)
            capture = None if extractor is None else extractor.batch(args, kwargs, labels)
            return _recorded(model, original, labels, deliver, batch, capture, args, kwargs)
        except Exception as error:
            fail(error)
            raise

    with replaced(model, "generate", generate):
        yield


def _recorded(
    model: Any,
    original: Any,
    rows: Sequence[LabelTokens],
    deliver: Deliver,
    batch: OptionBatch | None,
    capture: HiddenStatesBatch | None,
    args: Any,
    kwargs: dict[str, Any],
) -> Any:
    """Run generate() once with a Recorder in its decoding loop."""
    _refuse_right_padding(model, kwargs)

    def at_first_step(generator: Any) -> None:
        _refuse_other_than_greedy(kwargs, generator)
        if batch is not None:
            batch.at_first_step()

    recorder = Recorder(rows, _device(model), at_first_step)
    criteria = StoppingCriteriaList(kwargs.pop("stopping_criteria", None) or [])
    criteria += [recorder] if capture is None else [recorder, capture]
    with ExitStack() as hooks:
        # Some models delegate generate() to an inner language model, whose forward then runs
        # instead of theirs. Where both run, the outer hook runs last, and its logits are used.
        for module in model.modules():
            if module is model or isinstance(module, GenerationMixin):
                hooks.enter_context(hooked(module, recorder.on_forward))
                if batch is not None:
                    hooks.enter_context(hooked(module, batch.on_forward, with_kwargs=True))
        if capture is not None:
            hooks.enter_context(capture.hooked())
        output = original(*args, **kwargs, stopping_criteria=criteria)
    readings = recorder.readings(_end_tokens(kwargs, recorder.generator))
    if batch is not None:
        tokens, numbers = recorder.steps()
        readings = batch.add_to(readings, (tokens, numbers[:, :, 1]))
    deliver(readings if capture is None else capture.add_to(readings))
    return output


def _device(model: Any) -> torch.device:
    return torch.device(next(model.parameters()).device)


def _setting(kwargs: Mapping[str, Any], generator: Any, name: str) -> Any:
    """Return a generation setting as transformers resolves it.

    Args:
        kwargs: Keyword arguments of the call: these come first, then the
            `generation_config` among them.
        generator: The module that runs the decoding loop; its own `generation_config`
            comes last.
        name: Name of the setting.
    """
    if name in kwargs:
        return kwargs[name]
    for config in (kwargs.get("generation_config"), getattr(generator, "generation_config", None)):
        value = getattr(config, name, None)
        if value is not None:
            return value
    return None


def _refuse_other_than_greedy(kwargs: Mapping[str, Any], generator: Any) -> None:
    for name, allowed in (("num_beams", 1), ("do_sample", False), ("num_return_sequences", 1)):
        value = _setting(kwargs, generator, name)
        if value is not None and value != allowed:
            raise ProbeError(
                f"generate() was called with {name}={value}: confidence is read from greedy "
                "decoding; set temperature to 0 and num_beams to 1"
            )


def _refuse_right_padding(model: Any, kwargs: Mapping[str, Any]) -> None:
    """Refuse a right-padded batch for a decoder, which would generate after the padding.

    transformers only warns, and the answers of the shorter rows are wrong.
    """
    mask = kwargs.get("attention_mask")
    decoder_only = not getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    if (
        decoder_only
        and isinstance(mask, torch.Tensor)
        and mask.ndim == 2
        and (mask[:, -1] == 0).any()
    ):
        raise ProbeError(
            "generate() was given a batch that is padded on the right, which spoils the shorter "
            "rows' answers: set the tokenizer's padding_side to left, or run with --batch_size 1"
        )


def _end_tokens(kwargs: Mapping[str, Any], generator: Any) -> frozenset[int]:
    ends = _setting(kwargs, generator, "eos_token_id")
    if ends is None:
        return frozenset()
    return frozenset(torch.as_tensor(ends).flatten().tolist())
