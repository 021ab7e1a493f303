import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from vlm_confidence_tasks.perturbations import can_show, image_digest, perturb, variants
from vlm_confidence_tasks.perturbations.object_noise import signal
from vlm_confidence_tasks.perturbations.regions import moved
from vlm_confidence_tasks.perturbations.seeding import generator

from .strategies import flat_image, images, laws, left_half, noise_image, same

SCHEDULES = ["constant", "vcd"]
small_masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=7))


def noisy(image, mask, **parameters):
    return perturb(image, "object_noise", given={"masks": {"thing": mask}}, **parameters)


def left_after(steps, schedule, gamma=0.005, t_max=1000):
    """The product of 1 - beta, one step at a time."""
    left = 1.0
    for step in range(steps):
        z = -6 + 12 * step / (t_max - 1)
        vcd = 1 / (1 + math.exp(-z)) * (0.5e-2 - 1e-5) + 1e-5
        left *= 1 - (gamma if schedule == "constant" else vcd)
    return left


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("tenths", range(11))
def test_signal_is_the_product_of_the_steps(schedule, tenths):
    found = signal(tenths / 10, schedule=schedule)
    assert found == pytest.approx(left_after(1000 - 100 * tenths, schedule), rel=1e-9)


@laws
@given(images, st.floats(0, 1), st.integers(0, 3), st.sampled_from(SCHEDULES), st.data())
def test_pixels_outside_are_untouched(image, confidence, seed, schedule, data):
    mask = data.draw(arrays(bool, (image.height, image.width)))
    found = noisy(image, mask, confidence=confidence, seed=seed, schedule=schedule)
    assert np.array_equal(np.asarray(found)[~mask], np.asarray(image)[~mask])


@laws
@given(images, st.floats(0, 1), st.integers(0, 3))
def test_against_the_formula(image, confidence, seed):
    mask = left_half(image)
    found = np.asarray(noisy(image, mask, confidence=confidence, seed=seed)).astype(int)
    parameters = {"gamma": 0.005, "schedule": "constant", "t_max": 1000, "where": "object"}
    rng = generator(image_digest(image), "object_noise", parameters, seed)
    noise = rng.standard_normal((image.height, image.width, 3), dtype=np.float32)
    left = 0.995 ** round(1000 * (1 - confidence))
    v = math.sqrt(left) * (np.asarray(image) / 127.5 - 1) + math.sqrt(1 - left) * noise
    exact = np.clip((v + 1) * 127.5, 0, 255)
    # float32 may round a half to the other side.
    assert np.abs(found - exact)[mask].max() <= 0.5 + 1e-3


def test_a_pixels_noise_depends_on_neither_mask_nor_confidence():
    image = flat_image(16, 16, 128)
    left, everywhere = left_half(image), np.ones((16, 16), bool)
    half, whole = (np.asarray(noisy(image, m, confidence=0.9)) for m in (left, everywhere))
    assert np.array_equal(half[left], whole[left])
    strong, weak = (
        np.asarray(noisy(image, everywhere, confidence=c)).astype(float) - 128 for c in (0.9, 0.99)
    )
    inside = np.abs(strong) < 120
    assert np.corrcoef(strong[inside], weak[inside])[0, 1] > 0.99


def test_several_things_are_joined():
    image, left = noise_image(16, 16), left_half(noise_image(16, 16))
    masks = {"one": left, "two": ~left}
    joined = perturb(image, "object_noise", given={"masks": masks}, confidence=0.5)
    assert same(joined, noisy(image, left | ~left, confidence=0.5))


def test_controls_change_as_many_pixels_elsewhere_and_everywhere():
    image = flat_image(40, 30, 128)
    mask = np.zeros((30, 40), bool)
    mask[2:9, 3:10] = np.eye(7, dtype=bool)
    found = {
        where: np.asarray(noisy(image, mask, confidence=0.1, where=where)) != np.asarray(image)
        for where in ("object", "outside", "global")
    }
    at = {where: changed.any(axis=-1) for where, changed in found.items()}
    assert np.array_equal(at["object"], mask)
    assert at["outside"].sum() == 7 and not (at["outside"] & mask).any()
    assert at["global"].all()


def overlaps(mask, down, right):
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    if ((rows + down < 0) | (rows + down >= height)).any():
        return True
    if ((columns + right < 0) | (columns + right >= width)).any():
        return True
    return bool(mask[rows + down, columns + right].any())


@laws
@given(small_masks)
def test_moved_is_the_farthest_place_that_does_not_overlap(mask):
    height, width = mask.shape
    shifts = [(d, r) for d in range(-height, height + 1) for r in range(-width, width + 1)]
    free = [d**2 + r**2 for d, r in shifts if not overlaps(mask, d, r)]
    found = moved(mask)
    if not mask.any():
        assert not found.any()
        return
    assert (found is None) == (not free)
    if found is not None:
        assert found.sum() == mask.sum() and not (found & mask).any()
        first, last = (np.argwhere(each)[0] for each in (mask, found))
        assert ((first - last) ** 2).sum() == max(free)


def test_what_cannot_be_shown():
    (inside, outside, other) = variants(
        [
            {"name": "object_noise", "confidence": 0.5, "where": ["object", "outside"]},
            {"name": "rotate", "degrees": 30},
        ]
    )
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = True
    shown = {"corner": {"a": mask}, "whole": {"a": ~mask | mask}, "nothing": {}}
    assert {k: can_show(inside, m) for k, m in shown.items()} == {
        "corner": True,
        "whole": True,
        "nothing": False,
    }
    assert {k: can_show(outside, m) for k, m in shown.items()} == {
        "corner": True,
        "whole": False,
        "nothing": False,
    }
    assert can_show(other, {})


@pytest.mark.parametrize(
    ("masks", "where", "said"),
    [
        ({}, "object", "object_noise: no mask was found: leave the document out"),
        ({}, "global", "object_noise: no mask was found: leave the document out"),
        ({"a": np.ones((4, 4), bool)}, "outside", "object_noise: there is no room beside the mask"),
    ],
)
def test_without_a_region_it_raises(masks, where, said):
    with pytest.raises(ValueError, match=said):
        perturb(
            noise_image(4, 4), "object_noise", given={"masks": masks}, confidence=0.5, where=where
        )
