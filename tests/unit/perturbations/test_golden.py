"""Known digests, for what no library resamples: the same on every platform."""

import numpy as np
import pytest
from PIL import Image, features

from vlm_confidence_tasks.perturbations import image_digest, perturb

from .strategies import answering

CASES = [
    ("gaussian_noise", {"epsilon": 0.1}),
    ("gaussian_noise", {"epsilon": 0.5, "seed": 1}),
    ("translate", {"dx": -16}),
    ("translate", {"dx": 4}),
    ("pad_crop", {"n": -12}),
    ("pad_crop", {"n": 8}),
    ("rotate", {"degrees": 90}),
    ("motion_blur", {"severity": 3}),
    ("low_light", {"severity": 2}),
    ("occlusion", {"severity": 4, "seed": 2}),
]
DIGESTS = [
    "5cf1ca43096922c5c126cc447a7e495844fe79d4557c4a098318ee487d09c8d9",
    "b3bb7ad3278af8f991ff39f60d6f1d120abd40c798d5ad2f1412365700ffa84a",
    "73c2c9955fca8e4291b3ef4d6b61245b8e8802555da6530a2f4d96768381086b",
    "bc620ed7078f78192339ef5985cbdd8de46a76b7c4b587bd3d4e4ba2d64f1ba7",
    "1d1d0390cd37807181fd3b1ddb9ddbf7d0493cffa9543257c0c293fda286ed21",
    "542dfeb7d385419d7c50e74f3bdee889fc73c55c8c7c348118880ce305b54466",
    "815d06934eecab894c73238cf957a61d4e84c0263ef5f1ad1c0520b77bc026be",
    "84c4b58ecc004113ed7a4024b532217657bcac9015422998e6e0c697dbdd4db6",
    "8c164fab5c74091536780ae49cf1d1165f0be7a410268b2a66a83eee5bd9010a",
    "b60d58a81947e2152bde1a79880ff0c6ddc719598d2c2725b2e2b8064ecce6de",
]

FREETYPE = "2.14.3"
OVERLAYS = {
    "semantic": "ee869959a0a0d8e945f6f38456233774ad4c732bf78a1df38cc7bd6c9a0fa21f",
    "random": "ba722fe7f4662276dfbfea0fecc33f0dc93f1f780e805f3b530755963f37c7cc",
    "empty": "beafb829453df1e31422eefa5a0ea5651ccb74c7c6bd1abe5f72e6385b02dd9f",
}


def made_image():
    """A pattern of 96 x 64 pixels, with every value and both edges of the range."""
    down, right, channel = np.ogrid[:64, :96, :3]
    return Image.fromarray(((down * 7 + right * 3 + channel * 85) % 256).astype(np.uint8))


@pytest.mark.parametrize(("case", "digest"), zip(CASES, DIGESTS, strict=True))
def test_golden(case, digest):
    name, parameters = case
    assert image_digest(perturb(made_image(), name, **parameters)) == digest


@pytest.mark.parametrize("content", OVERLAYS)
def test_golden_overlays(content):
    if features.version("freetype2") != FREETYPE:
        pytest.skip(f"these glyphs are those of FreeType {FREETYPE}")
    image = made_image().resize((192, 128), Image.Resampling.NEAREST)
    given = answering("Answer is B")
    shown = perturb(image, "text_overlay", content=content, index=1, given=given)
    assert image_digest(shown) == OVERLAYS[content]
