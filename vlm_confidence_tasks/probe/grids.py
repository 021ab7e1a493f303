"""The grids on which a prompt's vision tokens lie, and their Dirichlet energy."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import torch

# Index of the first token, height and width.
Grid = tuple[int, int, int]
# The grids of each image of a row; None where they are unknown.
Images = list[list[Grid]] | None


def grids(
    config: Any, masks: Sequence[Sequence[bool]], call_kwargs: Mapping[str, Any]
) -> list[Images]:
    """Find the grids of each row's vision tokens.

    A run of consecutive vision tokens is one image, or one tile of it in families that put
    separator tokens between tiles. Supported: the Qwen-VL families (grids from
    `image_grid_thw`); LLaVA-NeXT and LLaVA-OneVision (the base image only, the first of an
    image's tokens, since the tiles depend on its shape); LLaVA-1.5, InternVL, Idefics3,
    SmolVLM, Gemma 3 and PaliGemma (consecutive squares). The tokens of resamplers and
    Q-Formers (Idefics2, InstructBLIP, BLIP-2) lie on no grid; other families are unknown.

    `masks` tell which tokens of each row's prompt are vision tokens; `call_kwargs` are the
    keyword arguments of generate().
    """
    runs = [[len(list(run)) for flag, run in groupby(row) if flag] for row in masks]
    thw = call_kwargs.get("image_grid_thw")
    if thw is not None:
        merge = config.vision_config.spatial_merge_size
        sizes = ((frames, h // merge, w // merge) for frames, h, w in thw.tolist())
        return _split(runs, sizes)
    side = _side(config)
    if side is None or call_kwargs.get("image_sizes") is not None and not _base_first(config):
        return [None for _ in runs]
    return [_squares(row, side, _base_first(config)) for row in runs]


def _split(runs: Sequence[Sequence[int]], sizes: Iterator[tuple[int, int, int]]) -> list[Images]:
    """Assign the images' sizes to runs of tokens, in order; None for all if one does not fit."""
    found: list[Images] = []
    for row in runs:
        images: list[list[Grid]] = []
        start = 0
        for run in row:
            frames, height, width = next(sizes, (0, 0, 0))
            if frames * height * width != run:
                return [None for _ in runs]
            area = height * width
            images.append([(start + frame * area, height, width) for frame in range(frames)])
            start += run
        found.append(images)
    return found


def _squares(runs: Sequence[int], side: int, base_first: bool) -> Images:
    """Split each run into squares, or take only its first square."""
    area = side * side
    images: list[list[Grid]] = []
    start = 0
    for run in runs:
        if run < area or (not base_first and run % area):
            return None
        count = 1 if base_first else run // area
        images.append([(start + tile * area, side, side) for tile in range(count)])
        start += run
    return images


def _base_first(config: Any) -> bool:
    return config.model_type in ("llava_next", "llava_onevision")


def _side(config: Any) -> int | None:
    """Return the width in tokens of a square in this family; None: unknown."""
    kind, vision = config.model_type, getattr(config, "vision_config", None)
    if kind == "gemma3":
        return math.isqrt(config.mm_tokens_per_image)
    if kind in ("llava", "llava_next", "llava_onevision", "paligemma"):
        return patches(vision)
    if kind == "internvl":
        return int(patches(vision) * config.downsample_ratio)
    if kind in ("idefics3", "smolvlm"):
        return patches(vision) // int(config.scale_factor)
    return None


def patches(vision: Any) -> int:
    """Return the width in patches of a vision tower's square image."""
    size, patch = vision.image_size, vision.patch_size
    return int(_first(size)) // int(_first(patch))


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, (list, tuple)) else value


def roughness(tokens: torch.Tensor, images: Images) -> float | None:
    """Return the Dirichlet energy of a row's vision tokens, [tokens, width].

    The mean over an image's grids, then over images; None if a grid is unknown or has no edge.
    """
    if not images or any(height * width < 2 for image in images for _, height, width in image):
        return None
    energies = [
        torch.stack(
            [dirichlet_energy(tokens[a : a + h * w].reshape(h, w, -1)) for a, h, w in image]
        ).mean()
        for image in images
    ]
    return float(torch.stack(energies).mean())


def dirichlet_energy(grid: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference over a grid's edges between 4-neighbours.

    `grid` is [height, width, channels] with one edge at least. Computed on its device in float32;
    `metrics.dirichlet_energy` is the numpy version.
    """
    x = grid.float()
    down, right = x[1:] - x[:-1], x[:, 1:] - x[:, :-1]
    edges = down.shape[0] * down.shape[1] + right.shape[0] * right.shape[1]
    return (down.square().sum() + right.square().sum()) / edges
