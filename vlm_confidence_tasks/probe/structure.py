"""Finds the modules of a vision-language model from which hidden states are captured."""

from dataclasses import dataclass
from typing import Any, NoReturn

import torch

from vlm_confidence_tasks.probe.backend import ProbeError

# Attribute names of the norm after a decoder's last layer.
_NORMS = ("norm", "final_layernorm", "final_layer_norm", "ln_f")


@dataclass(frozen=True)
class Structure:
    """The parts of a model from which hidden states are captured.

    Attributes:
        decoder: The language model without its head; its output is that of `norm`
            (`hidden_states[-1]` in transformers).
        head: Maps the norm's output to logits.
        image_token: Id of the placeholder token of images in a prompt.
    """

    config: Any
    decoder: torch.nn.Module
    layers: tuple[torch.nn.Module, ...]
    norm: torch.nn.Module
    head: torch.nn.Module
    image_token: int


def find_structure(model: Any) -> Structure:
    """Find the parts of a vision-language model by its module structure, not by its class.

    The decoder is the module that holds the input embeddings, a stack of layers and a norm.

    Raises:
        ProbeError: A part was not found; the message names the model's class.
    """
    config = model.config
    if getattr(config, "is_encoder_decoder", False):
        _unknown(model, "language model without an encoder")
    embedding = model.get_input_embeddings()
    holders = (m for m in model.modules() if any(child is embedding for child in m.children()))
    decoder = next((holder for holder in holders if _stack(holder) is not None), None)
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


def _stack(module: torch.nn.Module) -> torch.nn.ModuleList | None:
    """Return the longest ModuleList among a module's children."""
    stacks = [child for child in module.children() if isinstance(child, torch.nn.ModuleList)]
    return max(stacks, key=len, default=None)


def _unknown(model: Any, what: str) -> NoReturn:
    raise ProbeError(
        f"the hidden states of {type(model).__name__} cannot be read: it has no {what} that can "
        "be found; run tasks without `representations: true`"
    )
