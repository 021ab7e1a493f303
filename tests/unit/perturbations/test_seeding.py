import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.perturbations import image_digest, images_digest
from vlm_confidence_tasks.perturbations.seeding import generator

from .strategies import images, laws, noise_image

ZERO = "00" * 32
GOLDEN = [1232548419, 2041414806, 1438119643]


@laws
@given(images)
def test_image_digest_is_of_size_and_bytes(image):
    width, height = (int(side).to_bytes(4, "big") for side in image.size)
    expected = hashlib.sha256(width + height + np.asarray(image).tobytes()).hexdigest()
    assert image_digest(image) == images_digest([image]) == expected


def test_digest_of_several_images():
    one, other = noise_image(2, 3), noise_image(3, 2)
    parts = bytes.fromhex(image_digest(one)) + bytes.fromhex(image_digest(other))
    expected = hashlib.sha256(b"images\x00\x00\x00\x02" + parts).hexdigest()
    assert images_digest([one, other]) == expected
    assert images_digest([other, one]) != expected
    with pytest.raises(ValueError, match="at least one"):
        images_digest([])


def test_golden_draw():
    """The layout in the module's docstring, written out once more."""

    def field(content):
        return len(content).to_bytes(8, "big") + content

    layout = (
        field(b"vlm_confidence_tasks.perturbations/1")
        + field(bytes(32))
        + field(b"text_overlay")
        + field(b'{"content":"random","index":0}')
        + field(b"7")
    )
    entropy = int.from_bytes(hashlib.sha256(layout).digest(), "big")
    expected = np.random.Generator(np.random.SFC64(entropy)).integers(2**32, size=3)
    drawn = generator(ZERO, "text_overlay", {"index": 0, "content": "random"}, 7)
    numbers = drawn.integers(2**32, size=3).tolist()
    assert numbers == expected.tolist() == GOLDEN


@given(st.floats(0, 1), st.floats(0, 1))
def test_strength_is_left_out(one, other):
    draws = [
        generator(ZERO, "gaussian_noise", {"epsilon": epsilon}, 0, "epsilon").random()
        for epsilon in (one, other)
    ]
    assert draws[0] == draws[1]


def test_everything_else_counts():
    base = {"digest": ZERO, "name": "a", "parameters": {"n": 1}, "seed": 0}
    changes = [
        {},
        {"digest": "01" + ZERO[2:]},
        {"name": "b"},
        {"parameters": {"n": 2}},
        {"parameters": {"m": 1}},
        {"parameters": {}},
        {"seed": 1},
    ]
    draws = {generator(**{**base, **change}).integers(2**62) for change in changes}
    assert len(draws) == len(changes)


def test_global_state_is_left_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].tolist()
    generator(ZERO, "a", {}, 0).random()
    assert np.random.get_state()[1].tolist() == before


@pytest.mark.parametrize("digest", ["", "00", "zz" * 32])
def test_bad_digest_raises(digest):
    with pytest.raises(ValueError, match="digest must be the hex sha256"):
        generator(digest, "a", {}, 0)
