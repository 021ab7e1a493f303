"""Wraps a model's generate() to measure it, without changing what it returns."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

import torch
from transformers import GenerationMixin, StoppingCriteriaList

from vlm_confidence_tasks.probe.backend import ProbeError, check_length, prompt_ids
from vlm_confidence_tasks.probe.hidden_states import HiddenStatesBatch
from vlm_confidence_tasks.probe.labels import label_tokens
from vlm_confidence_tasks.probe.reading import Reading
from vlm_confidence_tasks.probe.recorder import LabelTokens, Recorder
from vlm_confidence_tasks.probe.rows import BatchRows
from vlm_confidence_tasks.probe.scoring import OptionBatch, OptionScorer
from vlm_confidence_tasks.probe.structure import Structure
from vlm_confidence_tasks.probe.temporary import hooked, replaced


@contextmanager
def watched(
    model: Any, tokenizer: Any, rows: BatchRows, structure: Structure | None = None
) -> Iterator[None]:
    """Measure every call of `model.generate()` in the block.

    Args:
        model: A transformers model; only this instance is changed, never its class.
        tokenizer: Its tokenizer.
        rows: Says what to measure in each row and receives the readings; also the exception of
            generate(), before it is raised again, since some adapters catch it and return an
            empty answer.
        structure: The model's parts; None: no row needs hidden states.
    """
    original = model.generate
    scorer = OptionScorer(tokenizer)

    @wraps(original)
    def generate(*args: Any, **kwargs: Any) -> Any:
        try:
            wanted = rows.rows()
            labels = [label_tokens(tokenizer, row.labels) for row in wanted]
            options = scorer.batch(args, kwargs, [row.options for row in wanted])
            states = None
            # Without need no hook is registered.
            if structure is not None and any(row.representations for row in wanted):
                prompts = prompt_ids(
                    args, kwargs, len(wanted), "vision tokens are found in prompts"
                )
                states = HiddenStatesBatch(structure, prompts, dict(kwargs), labels)
            output, readings = _recorded(model, original, labels, options, states, args, kwargs)
            rows.deliver(readings)
            return output
        except Exception as error:
            rows.fail(error)
            raise

    with replaced(model, "generate", generate):
        yield


def _recorded(
    model: Any,
    original: Any,
    labels: Sequence[LabelTokens],
    options: OptionBatch | None,
    states: HiddenStatesBatch | None,
    args: Any,
    kwargs: dict[str, Any],
) -> tuple[Any, list[Reading]]:
    """Run generate() once with a Recorder in its decoding loop."""
    _refuse_right_padding(model, kwargs)
    ids = kwargs.get("input_ids")
    if isinstance(ids, torch.Tensor):
        check_length(model, ids.shape[-1])

    def at_first_step(generator: Any) -> None:
        _refuse_other_than_greedy(kwargs, generator)
        if options is not None:
            options.at_first_step()

    recorder = Recorder(labels, next(model.parameters()).device, at_first_step)
    criteria = StoppingCriteriaList(kwargs.pop("stopping_criteria", None) or [])
    criteria += [recorder] if states is None else [recorder, states]
    with ExitStack() as hooks:
        # Some models delegate generate() to an inner language model, whose forward then runs
        # instead of theirs. Where both run, the outer hook runs last, and its logits are used.
        for module in model.modules():
            if module is model or isinstance(module, GenerationMixin):
                hooks.enter_context(hooked(module, recorder.on_forward))
                if options is not None:
                    hooks.enter_context(hooked(module, options.on_forward, with_kwargs=True))
        if states is not None:
            hooks.enter_context(states.hooked())
        output = original(*args, **kwargs, stopping_criteria=criteria)
    readings = recorder.readings(_end_tokens(kwargs, recorder.generator))
    if options is not None:
        tokens, numbers = recorder.steps()
        readings = options.add_to(readings, tokens, numbers[:, :, 1])
    return output, readings if states is None else states.add_to(readings)


def _setting(kwargs: Mapping[str, Any], generator: Any, name: str) -> Any:
    """Return a generation setting as transformers resolves it.

    Keyword arguments of the call come first, then the `generation_config` among them, then that
    of the module that runs the decoding loop.
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
