"""Floating-point operations of a vision-language model, by its shape alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from vlm_confidence_tasks import probe


@dataclass(frozen=True)
class ModelShape:
    """What the operations of a model depend on.

    A product with a matrix of n weights takes 2 n operations a token, one to multiply and one to
    add. Attention takes 4 x width operations for each pair of a query and a key that it sees, in
    each layer: the product with the key and that with the value.

    Attributes:
        decoder: Parameters of the language model's layers and last norm; all experts of a mixture.
        head: Parameters of the map to the vocabulary.
        vision: Parameters of all else but the embeddings of tokens: vision tower and projector.
        width: Heads of the language model's attention times their width.
        layers: Layers of the language model.
        vision_width: Width of the vision tower.
        vision_layers: Layers of the vision tower.
        patch: Pixel values that make one token of the vision tower.
        pixels: Pixels, in width and height, of such a token.
    """

    decoder: int
    head: int
    vision: int
    width: int
    layers: int
    vision_width: int
    vision_layers: int
    patch: int
    pixels: int

    def text(self, tokens: int, before: int = 0) -> float:
        """Return the operations of the decoder over tokens that follow others.

        2 x decoder x tokens + 4 x width x layers x pairs, where each token sees all before it and
        itself: pairs = tokens x before + tokens x (tokens + 1) / 2.

        Args:
            tokens: How many tokens run.
            before: How many stand before them, with keys and values at hand.
        """
        pairs = tokens * before + tokens * (tokens + 1) / 2
        return 2 * self.decoder * tokens + 4 * self.width * self.layers * pairs

    def logits(self, tokens: int) -> float:
        """Return the operations of the head after so many tokens: 2 x head x tokens."""
        return 2 * self.head * tokens

    def images(self, pixel_values: torch.Tensor, images: int) -> float:
        """Return the operations of the vision tower and projector over images.

        2 x vision x patches + 4 x vision_width x vision_layers x pairs, where the patches of a tile
        see one another: pairs = patches x patches / tiles. Tiles that pad are computed too.

        Args:
            pixel_values: A processor's output: [..., channels, height, width] of tiles, or
                [patches, values] of images that are cut into patches already, each image a tile.
            images: How many images they are.
        """
        patches = pixel_values.numel() / self.patch
        if pixel_values.ndim > 2:
            tiles = patches / math.prod(pixel_values.shape[-2:]) * self.pixels
        else:
            tiles = images
        pairs = patches * patches / tiles
        return 2 * self.vision * patches + 4 * self.vision_width * self.vision_layers * pairs


def model_shape(model: Any) -> ModelShape:
    """Return a model's shape; its weights may be on the meta device.

    Raises:
        ProbeError: A part of the model is not found.
    """
    structure = probe.find_structure(model)
    text, vision = model.config.get_text_config(), getattr(model.config, "vision_config", None)
    # Image tokens can be counted, but not what makes them.
    if vision is None:
        raise probe.ProbeError(f"{type(model).__name__} has no vision_config: no vision model?")
    heads = text.num_attention_heads
    side = _first(vision, "patch_size")
    pixels = math.prod(side) if isinstance(side, list | tuple) else side * side
    channels = _first(vision, "num_channels", "in_channels", "in_chans", default=3)
    head = set(structure.head.parameters())
    layers = {p for part in (*structure.layers, structure.norm) for p in part.parameters()}
    rest = set(model.parameters()) - head - set(structure.decoder.parameters())
    return ModelShape(
        decoder=_size(layers),
        head=_size(head),
        vision=_size(rest),
        width=heads * (getattr(text, "head_dim", None) or text.hidden_size // heads),
        layers=len(structure.layers),
        vision_width=_first(vision, "hidden_size", "embed_dim"),
        vision_layers=_first(vision, "num_hidden_layers", "depth"),
        patch=pixels * channels * getattr(vision, "temporal_patch_size", 1),
        pixels=pixels,
    )


def _first(config: Any, *names: str, default: int | None = None) -> Any:
    """Return the first of several attributes that a configuration has."""
    found = next((v for name in names if (v := getattr(config, name, None)) is not None), default)
    if found is None:
        raise probe.ProbeError(f"{type(config).__name__} has no {' or '.join(names)}")
    return found


def _size(parameters: set[Any]) -> int:
    return sum(parameter.numel() for parameter in parameters)
