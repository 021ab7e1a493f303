"""Which vision tokens lie on which grid, and how rough that is."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vlm_confidence_tasks.probe import grids as under_test
from vlm_confidence_tasks.probe.grids import grids, roughness


def config(kind: str, image=32, patch=8, **more) -> SimpleNamespace:
    vision = SimpleNamespace(image_size=image, patch_size=patch, spatial_merge_size=2)
    return SimpleNamespace(model_type=kind, vision_config=vision, **more)


def row(*runs: int) -> list[bool]:
    """A prompt with runs of vision tokens between other tokens."""
    return [flag for run in runs for flag in [False, *[True] * run]] + [False]


def dirichlet_energy(grid: np.ndarray) -> float:
    """Mean squared difference between 4-neighbours of a grid of vectors, [H, W, D]."""
    height, width, _ = grid.shape
    points = [(i, j) for i in range(height) for j in range(width)]
    below = [((i, j), (i + 1, j)) for i, j in points if i + 1 < height]
    beside = [((i, j), (i, j + 1)) for i, j in points if j + 1 < width]
    return float(np.mean([np.square(grid[a] - grid[b]).sum() for a, b in below + beside]))


def thw(*sizes) -> dict[str, torch.Tensor]:
    return {"image_grid_thw": torch.tensor(sizes)}


def test_qwen_grids_have_their_images_height_and_width():
    given = thw((1, 4, 8), (1, 8, 4), (1, 4, 4))
    found = grids(config("qwen2_vl"), [row(8, 8), row(4)], given)
    assert found == [[[(0, 2, 4)], [(8, 4, 2)]], [[(0, 2, 2)]]]


def test_qwen_grids_of_the_wrong_size_are_none():
    assert grids(config("qwen2_vl"), [row(8), row(6)], thw((1, 4, 8), (1, 4, 4))) == [None, None]
    assert grids(config("qwen2_vl"), [row(4, 4)], thw((1, 4, 4))) == [None]


@pytest.mark.parametrize(
    ("family", "runs", "expected"),
    [
        # Two images that nothing stands between.
        (config("llava"), (16, 32), [[(0, 4, 4)], [(16, 4, 4), (32, 4, 4)]]),
        (config("llava"), (17,), None),
        (config("llava_next"), (16 + 20,), [[(0, 4, 4)]]),
        (config("llava_next"), (40, 30), [[(0, 4, 4)], [(40, 4, 4)]]),
        (config("llava_onevision"), (12,), None),
        (
            config("internvl", [32, 32], [8, 8], downsample_ratio=0.5),
            (8,),
            [[(0, 2, 2), (4, 2, 2)]],
        ),
        (config("idefics3", scale_factor=2), (4, 4), [[(0, 2, 2)], [(4, 2, 2)]]),
        (config("gemma3", mm_tokens_per_image=9), (9,), [[(0, 3, 3)]]),
        (config("idefics2"), (16,), None),
        (config("instructblip"), (16,), None),
    ],
)
def test_squares(family, runs, expected):
    sized = {"image_sizes": torch.zeros(1, 2)} if family.model_type.startswith("llava_") else {}
    assert grids(family, [row(*runs)], sized) == [expected]


def test_llava_with_images_of_any_size_has_no_known_grid():
    assert grids(config("llava"), [row(16)], {"image_sizes": torch.zeros(1, 2)}) == [None]


def test_roughness_is_the_mean_over_tiles_then_over_images():
    tokens = torch.randn(8 + 4 + 6, 5, generator=torch.Generator().manual_seed(0))
    images = [[(0, 2, 2), (4, 2, 2)], [(8, 2, 2)], [(12, 2, 3)]]
    x = tokens.numpy()
    one, two, three, four = (
        dirichlet_energy(x[a : a + h * w].reshape(h, w, 5)) for image in images for a, h, w in image
    )
    expected = np.mean([(one + two) / 2, three, four])
    assert roughness(tokens, images) == pytest.approx(expected, rel=1e-6)


def test_half_precision_is_summed_in_float32():
    grid = torch.full((8, 8, 64), 300.0, dtype=torch.float16)
    grid[0, 0] = -300.0
    expected = dirichlet_energy(grid.double().numpy())
    assert float(under_test.dirichlet_energy(grid)) == pytest.approx(expected, rel=1e-6)
