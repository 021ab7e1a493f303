"""The model's state after the prompts' common prefixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from vlm_confidence_tasks import probe

KeyValues = Sequence[tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, eq=False)
class Prefix:
    """The state after one prefix in each row of a batch.

    Attributes:
        key_values: Keys and values of each layer, [rows, heads, tokens, width].
        next_position: Position of the token that follows, [rows]. Where images take up fewer
            positions than tokens (the Qwen-VL families) it is smaller than `length`.
        axes: Number of position ids of a token, in families that have several; None: one.
        cross_mask: The images that text sees through cross-attention, [rows, 1, images, tiles];
            None in families without.
        vision: Each row's vision tokens, pooled; None if they are not needed.
    """

    key_values: KeyValues
    length: int
    next_position: torch.Tensor
    axes: int | None
    cross_mask: torch.Tensor | None
    vision: Sequence[probe.Vision] | None

    def repeated(self, rows: Sequence[int]) -> Prefix:
        """Return a batch whose rows are these rows of this one."""
        index = torch.tensor(rows, device=self.next_position.device)
        return Prefix(
            [(_chosen(keys, index), _chosen(values, index)) for keys, values in self.key_values],
            self.length,
            self.next_position[index],
            self.axes,
            None if self.cross_mask is None else _chosen(self.cross_mask, index),
            None if self.vision is None else [self.vision[row] for row in rows],
        )


@torch.no_grad()
def read_prefix(
    model: Any, structure: probe.Structure, inputs: Mapping[str, torch.Tensor], *, vision: bool
) -> Prefix:
    """Run the model over prefixes of equal length, to which its inputs are cut, once."""
    seen: dict[str, Any] = {}
    pooled: list[probe.Vision] = []

    def on_decoder(module: Any, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        seen["positions"] = kwargs.get("position_ids")
        if vision:
            pooled.extend(probe.pool_vision(structure, inputs["input_ids"], inputs, kwargs))

    # Without a configuration every layer keeps all keys, also those with a sliding window,
    # which is then in the mask alone.
    cache = DynamicCache()
    with probe.hooked(structure.decoder, on_decoder, with_kwargs=True):
        model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
    rows, length = inputs["input_ids"].shape
    positions = seen["positions"]
    several = positions is not None and positions.ndim == 3
    if positions is None:
        next_position = torch.full((rows,), length, device=inputs["input_ids"].device)
    else:
        # Where a token has several positions, text goes on after the largest of any.
        next_position = positions.amax(dim=(0, 2) if several else 1) + 1
        next_position = next_position.expand(rows)
    cross = inputs.get("cross_attention_mask")
    return Prefix(
        key_values(cache),
        length,
        next_position,
        # The first of four counts tokens, and is left out where positions are given.
        min(len(positions), 3) if several else None,
        None if cross is None else cross[:, -1:],
        pooled if vision else None,
    )


def key_values(cache: DynamicCache) -> KeyValues:
    """Return a cache's keys and values; what is added to the cache later does not change them."""
    return [(layer.keys, layer.values) for layer in cache.layers]


def cache_of(state: KeyValues) -> DynamicCache:
    """Return a cache that begins with these keys and values, without a copy of them."""
    cache = DynamicCache()
    cache.layers = [_layer(*pair) for pair in state]
    return cache


def _layer(keys: torch.Tensor, values: torch.Tensor) -> DynamicLayer:
    layer = DynamicLayer()
    layer.lazy_initialization(keys, values)
    layer.keys, layer.values = keys, values
    return layer


def _chosen(tensor: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return tensor[rows.to(tensor.device)]
