"""Known digests, for what no library resamples: the same on every platform.

The photograph is one that scikit-learn ships. Its decoded pixels are the input,
and where a JPEG decoder gives other pixels there is nothing to compare: such a platform
is left with the image that is made here.
"""

import numpy as np
import pytest
from PIL import Image, features
from sklearn.datasets import load_sample_image

from vlm_confidence_tasks.perturbations import image_digest, perturb

from .strategies import answering

DECODED = {
    "china": "8ede8189547e842d73e6480f767e8c6614c665aa7e0e9df281c1d14ba46cf7f2",
    "made": "c824508af03cb49ab79a96f8e3d948f7e67fdb4fd607b917276db8ab48762c33",
}

CASES = {
    "noise 0.1": ("gaussian_noise", {"epsilon": 0.1}),
    "noise 0.5 seed 1": ("gaussian_noise", {"epsilon": 0.5, "seed": 1}),
    "translate -16": ("translate", {"dx": -16}),
    "translate 4": ("translate", {"dx": 4}),
    "pad_crop -12": ("pad_crop", {"n": -12}),
    "pad_crop 8": ("pad_crop", {"n": 8}),
    "rotate 90": ("rotate", {"degrees": 90}),
    "motion_blur 3": ("motion_blur", {"severity": 3}),
    "low_light 2": ("low_light", {"severity": 2}),
    "occlusion 4 seed 2": ("occlusion", {"severity": 4, "seed": 2}),
}

GOLDEN = {
    "china": {
        "noise 0.1": "b0dc4106dde9f78fe3367954f23138fb62049a5adf81c02689c3a0b870c79342",
        "noise 0.5 seed 1": "5c8eb8a3bd7c37564b519c8a5fe1ceec7241bbb3c1320645704f19373aa47686",
        "translate -16": "cd9b4b7822dcb86b882831a9d50354ec7a405ae2c4528a673f94a6208bcd71ce",
        "translate 4": "22bcf2af22e4d842fcfeb32bff1201697ae0e534193f2faaafb25b829eb59672",
        "pad_crop -12": "b7412b2de81567ff62f691a70ffdb7a6d870962260aa7b8812d2a80f7f020cc7",
        "pad_crop 8": "8a36420207a55fe2aa689c30e2231a087c04b0aef34374a4aa998668f9c94223",
        "rotate 90": "1b0eab8ccce880b9bad440c3b40eb61fee034dee6971c5fb70289d758edac9ad",
        "motion_blur 3": "14b2905e89c26c2b65b03c60ff1d81172c91382f2f49c3f95c9034caa1723e65",
        "low_light 2": "44e69d5d1ab305ddd2e625835118a70d260126cfc845a939add17c60297d035c",
        "occlusion 4 seed 2": "e7032fcda81a48d77f19304dabf9a095e4b84f093a874f8b164bbc93a367901a",
    },
    "made": {
        "noise 0.1": "5cf1ca43096922c5c126cc447a7e495844fe79d4557c4a098318ee487d09c8d9",
        "noise 0.5 seed 1": "b3bb7ad3278af8f991ff39f60d6f1d120abd40c798d5ad2f1412365700ffa84a",
        "translate -16": "73c2c9955fca8e4291b3ef4d6b61245b8e8802555da6530a2f4d96768381086b",
        "translate 4": "bc620ed7078f78192339ef5985cbdd8de46a76b7c4b587bd3d4e4ba2d64f1ba7",
        "pad_crop -12": "1d1d0390cd37807181fd3b1ddb9ddbf7d0493cffa9543257c0c293fda286ed21",
        "pad_crop 8": "542dfeb7d385419d7c50e74f3bdee889fc73c55c8c7c348118880ce305b54466",
        "rotate 90": "815d06934eecab894c73238cf957a61d4e84c0263ef5f1ad1c0520b77bc026be",
        "motion_blur 3": "84c4b58ecc004113ed7a4024b532217657bcac9015422998e6e0c697dbdd4db6",
        "low_light 2": "8c164fab5c74091536780ae49cf1d1165f0be7a410268b2a66a83eee5bd9010a",
        "occlusion 4 seed 2": "b60d58a81947e2152bde1a79880ff0c6ddc719598d2c2725b2e2b8064ecce6de",
    },
}

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


def load(source):
    if source == "made":
        return made_image()
    return Image.fromarray(load_sample_image(f"{source}.jpg"))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("source", DECODED)
def test_golden(source, case):
    image = load(source)
    if source != "made" and image_digest(image) != DECODED[source]:
        pytest.skip(f"the JPEG decoder of this platform gives other pixels for {source}.jpg")
    name, parameters = CASES[case]
    assert image_digest(perturb(image, name, **parameters)) == GOLDEN[source][case]


def test_the_made_image():
    assert image_digest(made_image()) == DECODED["made"]


@pytest.mark.parametrize("content", OVERLAYS)
def test_golden_overlays(content):
    if features.version("freetype2") != FREETYPE:
        pytest.skip(f"these glyphs are those of FreeType {FREETYPE}")
    image = made_image().resize((192, 128), Image.Resampling.NEAREST)
    given = answering("Answer is B")
    shown = perturb(image, "text_overlay", content=content, index=1, given=given)
    assert image_digest(shown) == OVERLAYS[content]
