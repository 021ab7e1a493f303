"""Masks of the sandbox against geometry, and its images told back to their scenes."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.masks.sandbox import SandboxMasks, thing_mask
from vlm_confidence_tasks.sandbox import DATA_DIR
from vlm_confidence_tasks.sandbox.render import pale
from vlm_confidence_tasks.sandbox.world import Scene, Thing, sample_scene

seeds = st.integers(0, 10_000)


def scene_of(seed: int) -> Scene:
    return sample_scene(np.random.default_rng(seed))


def distances(thing: Thing) -> np.ndarray:
    """Distance of each pixel's centre from a thing's, in pixels, [64, 64]."""
    rows, columns = np.mgrid[:64, :64] + 0.5
    return np.hypot(columns - thing.x, rows - thing.y)


@settings(max_examples=40)
@given(seeds)
def test_a_circle_is_the_disc_that_it_is_drawn_as(seed: int) -> None:
    (thing, *others) = scene_of(seed).things
    circle = replace(thing, shape="circle")
    named_otherwise = [other for other in others if other.name != circle.name]
    mask = thing_mask(Scene((circle, *named_otherwise)), circle.name)
    away = distances(circle)
    # Within half the size, but for pixels that the edge cuts.
    assert mask[away < circle.size / 2 - 1].all()
    assert not mask[away > circle.size / 2 + 1.2].any()


@settings(max_examples=60)
@given(seeds)
def test_masks_cover_what_is_drawn_and_nothing_else(seed: int) -> None:
    scene = scene_of(seed)
    provider = SandboxMasks([scene])
    image = pale(scene)
    background = pale(replace(scene, things=()))
    drawn = (np.asarray(image) != np.asarray(background)).any(axis=-1)
    each = {name: provider.mask(image, [name]) for name in scene.names}
    assert np.array_equal(np.logical_or.reduce(list(each.values())), drawn)
    # Things may touch, where a pixel of their edges is of both.
    assert 0 <= sum(int(mask.sum()) for mask in each.values()) - drawn.sum() <= 10
    assert np.array_equal(provider.mask(image, scene.names), drawn)
    for shape in {thing.shape for thing in scene.things}:
        of_shape = [mask for name, mask in each.items() if name.endswith(shape)]
        assert np.array_equal(provider.mask(image, [shape]), np.logical_or.reduce(of_shape))
    assert provider.mask(image, scene.absent[:1]) is None
    assert provider.mask(image, []) is None


@pytest.mark.parametrize("benchmark", ["pope", "amber", "seed", "mmmu"])
def test_every_packaged_image_is_known(benchmark: str) -> None:
    provider = SandboxMasks()
    (file, *_) = sorted((DATA_DIR / benchmark).glob("*.parquet"))
    seen = {}
    for row in parquet.read_table(file).to_pylist():
        if row.get("data_type") == "video":
            continue
        cells = [row.get(name) for name in ("image", *(f"image_{n}" for n in range(1, 8)))]
        for cell in cells:
            for stored in cell if isinstance(cell, list) else [cell]:
                if stored is not None:
                    seen[stored["bytes"]] = None
    assert seen
    for data in seen:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        mask = provider.mask(image, ["circle", "square", "triangle", "star", "cross"])
        assert mask is not None and mask.shape == (64, 64)


def test_another_image_is_refused_in_one_line() -> None:
    with pytest.raises(TaskError, match=r"masks: the provider sandbox knows no such image of \(9"):
        SandboxMasks().mask(Image.new("RGB", (9, 8)), ["circle"])
