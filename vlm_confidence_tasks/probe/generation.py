"""Standing in front of a model's generate() without changing what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Any

import torch
from transformers import GenerationMixin, StoppingCriteriaList

from vlm_confidence_tasks.probe.backend import ProbeError
from vlm_confidence_tasks.probe.reading import Reading
from vlm_confidence_tasks.probe.recorder import LabelTokens, Recorder
from vlm_confidence_tasks.probe.replacing import replaced

Rows = Callable[[], Sequence[LabelTokens]]
Deliver = Callable[[list[Reading]], None]
Fail = Callable[[BaseException], None]


@contextmanager
def watched(model: Any, rows: Rows, deliver: Deliver, fail: Fail) -> Iterator[None]:
    """Watch every call of `model.generate()` in the block.

    Args:
        model: A transformers model; only this instance is touched.
        rows: Called before each generate(): the label tokens of each row of its batch.
        deliver: Called after it with one Reading a row, in the order of the batch.
        fail: Called with what generate() raised, which is then raised again: adapters
            are known to swallow it and to go on with an empty answer.
    """
    original = model.generate

    @wraps(original)
    def generate(*args: Any, **kwargs: Any) -> Any:
        try:
            return _recorded(model, original, rows(), deliver, args, kwargs)
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
    args: Any,
    kwargs: dict[str, Any],
) -> Any:
    """Run generate() once with a Recorder in its loop."""
    recorder = Recorder(rows, _device(model), partial(_refuse_other_than_greedy, kwargs))
    criteria = StoppingCriteriaList(kwargs.pop("stopping_criteria", None) or [])
    with ExitStack() as hooks:
        # Models that hand generation on to an inner language model run its forward, not
        # their own. Where both run, the outer one is the later, and what it gives counts.
        for module in model.modules():
            if module is model or isinstance(module, GenerationMixin):
                hooks.callback(module.register_forward_hook(recorder.on_forward).remove)
        output = original(*args, **kwargs, stopping_criteria=criteria + [recorder])
    deliver(recorder.readings(_end_tokens(kwargs, recorder.generator)))
    return output


def _device(model: Any) -> torch.device:
    return torch.device(next(model.parameters()).device)


def _setting(kwargs: Mapping[str, Any], generator: Any, name: str) -> Any:
    """Return a generation setting as transformers resolves it.

    Args:
        kwargs: Of the call: they come first, then the `generation_config` among them.
        generator: The module whose loop runs; its own `generation_config` comes last.
        name: Of the setting.
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


def _end_tokens(kwargs: Mapping[str, Any], generator: Any) -> frozenset[int]:
    ends = _setting(kwargs, generator, "eos_token_id")
    if ends is None:
        return frozenset()
    return frozenset(torch.as_tensor(ends).flatten().tolist())
