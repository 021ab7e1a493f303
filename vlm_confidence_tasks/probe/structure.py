"""Where a vision-language model keeps what is inside: its language model, head and images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import torch

from vlm_confidence_tasks.probe.backend import ProbeError

# What decoders call the norm that follows their last layer.
_NORMS = ("norm", "final_layernorm", "final_layer_norm", "ln_f")


@dataclass(frozen=True)
class Structure:
    """The parts of a model that its inside is read from.

    Attributes:
        config: The model's configuration.
        decoder: The language model without its head; its output is that of `norm`, which
            transformers also gives as `hidden_states[-1]`.
        layers: The decoder's layers, in order.
        norm: The norm that follows them.
        head: Turns what the norm gives into logits.
        image_token: Id of the token at whose positions a prompt shows an image.
    """

    config: Any
    decoder: torch.nn.Module
    layers: tuple[torch.nn.Module, ...]
    norm: torch.nn.Module
    head: torch.nn.Module
    image_token: int


def find_structure(model: Any) -> Structure:
    """Find the parts by the model's own structure, not by its class.

    The decoder is the module that holds the input embeddings, a stack of layers and a norm.

    Args:
        model: A transformers vision-language model.

    Raises:
        ProbeError: One of the parts is not there; names the model's class.
    """
    config = model.config
    if getattr(config, "is_encoder_decoder", False):
        _unknown(model, "language model without an encoder")
    embedding = model.get_input_embeddings()
    decoder = next(_holders(model, embedding), None)
    if decoder is None:
        _unknown(model, "stack of layers beside its input embeddings")
    norm = next((m for name in _NORMS if (m := getattr(decoder, name, None)) is not None), None)
    if norm is None:
        _unknown(model, "norm after its language model's layers")
    head = model.get_output_embeddings()
    if head is None:
        _unknown(model, "head of its language model")
    names = ("image_token_id", "image_token_index")
    token = next((t for name in names if (t := getattr(config, name, None)) is not None), None)
    if token is None:
        _unknown(model, "image token in its configuration")
    return Structure(config, decoder, tuple(_stack(decoder) or ()), norm, head, int(token))


def _holders(model: torch.nn.Module, embedding: torch.nn.Module) -> Iterator[torch.nn.Module]:
    for module in model.modules():
        if any(child is embedding for child in module.children()) and _stack(module) is not None:
            yield module


def _stack(module: torch.nn.Module) -> torch.nn.ModuleList | None:
    """Return the longest list of modules that a module holds."""
    stacks = [child for child in module.children() if isinstance(child, torch.nn.ModuleList)]
    return max(stacks, key=len, default=None)


def _unknown(model: Any, what: str) -> NoReturn:
    raise ProbeError(
        f"the inside of {type(model).__name__} cannot be read: it has no {what} that can be "
        "told; run tasks without `representations: true`"
    )
