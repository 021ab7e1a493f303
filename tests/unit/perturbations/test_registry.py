import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import ImageOps

from vlm_confidence_tasks.perturbations import families, get, names, perturb, register
from vlm_confidence_tasks.perturbations.registry import unregister

from .strategies import EXAMPLES, noise_image, same

ROOT = Path(__file__).parents[3]

TOY = """
from PIL import Image, ImageOps
from vlm_confidence_tasks.perturbations import register

@register("invert", family="colour")
def invert(image: Image.Image, *, top: bool = False) -> Image.Image:
    return ImageOps.flip(ImageOps.invert(image)) if top else ImageOps.invert(image)
"""


OVERLAY_DEFAULTS = {"content": "semantic", "index": 0}


def flip(image):
    return ImageOps.flip(image)


@pytest.fixture
def registered():
    """Names that a test registers are forgotten after it."""
    before = names()
    yield
    for name in set(names()) - set(before):
        unregister(name)


def test_every_perturbation_of_the_definitions_is_there():
    assert names() == tuple(sorted(EXAMPLES))


@pytest.mark.parametrize(
    ("name", "family", "strength", "draws", "needs", "defaults"),
    [
        ("gaussian_noise", "noise", "epsilon", True, set(), {"epsilon": None}),
        ("scale", "scale", "factor", False, set(), {"factor": 0.9, "restore": False}),
        ("text_overlay", "textoverlay", None, True, {"clean_answer"}, OVERLAY_DEFAULTS),
        ("jpeg", "jpeg", "severity", False, set(), {"severity": None}),
    ],
)
def test_what_is_known_of_a_perturbation(name, family, strength, draws, needs, defaults):
    found = get(name)
    assert (found.name, found.family, found.strength) == (name, family, strength)
    assert (found.draws, found.needs) == (draws, needs)
    assert {parameter.name: parameter.default for parameter in found.parameters} == defaults
    assert hash(found) == hash(get(name))


def test_families_in_the_order_of_tables(registered):
    known = (
        *("noise", "translation", "padcrop", "scale", "scalepad", "rotation", "textoverlay"),
        *("textoverlay_random", "textoverlay_empty"),
        *("blur", "motionblur", "lowlight", "occlusion", "jpeg"),
        *("lowpass", "highpass", "bandnoise", "bandphase"),
        *("pgd", "pgd_signs", "pgd_other", "pgdhi", "pgdhi_noise"),
        *("objectnoise", "objectnoise_outside", "objectnoise_global"),
    )
    assert families() == known
    register("toy", family="noise")(flip)
    register("other_toy", family="toys")(flip)
    assert families() == (*known, "toys")


def test_every_combination_of_controls_is_a_family(registered):
    @register("toy", family="toy", controls={"a": (1,), "b": ("x", "y")})
    def toy(image, *, a: int = 0, b: str = "z"):
        return image.copy()

    assert get("toy").families == ("toy", "toy_x", "toy_y", "toy_1", "toy_1_x", "toy_1_y")
    assert {get("toy").family_of({"a": a, "b": b}) for a in (0, 1) for b in "xyz"} == set(
        get("toy").families
    )


@pytest.mark.parametrize(
    ("content", "family", "control"),
    [
        ("semantic", "textoverlay", False),
        ("random", "textoverlay_random", True),
        ("empty", "textoverlay_empty", True),
    ],
)
def test_controls_of_the_overlay(content, family, control):
    overlay = get("text_overlay")
    assert overlay.family_of({"content": content}) == family
    assert overlay.control({"content": content}) is control


def test_a_toy_is_a_small_file_of_the_users(tmp_path):
    (tmp_path / "toy.py").write_text(TOY)
    program = (
        "import toy; from PIL import Image; from vlm_confidence_tasks.perturbations import *;"
        "print(perturb(Image.new('RGB', (1, 1)), 'invert').getpixel((0, 0)),"
        " variants([{'name': 'invert', 'top': [False, True]}])[1])"
    )
    path = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", program], env=path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "(255, 255, 255) invert(top=True, seed=0)\n"


def test_registering_leaves_the_function_alone(registered):
    function = register("toy", family="toy")(flip)
    assert function is flip
    image = noise_image(3, 4)
    assert same(perturb(image, "toy"), ImageOps.flip(image))


@pytest.mark.parametrize("name", ["gaussian_noise", "clean"])
def test_a_name_is_registered_once(name):
    with pytest.raises(ValueError, match=f"{name}.* registered already"):
        register(name, family="noise")


def test_signatures_that_cannot_be_called_raise():
    def swapped(image, phrase, rng):
        return image

    def reserved(image, *, seed: int):
        return image

    with pytest.raises(ValueError, match="must take"):
        register("toy", family="toy")(swapped)
    with pytest.raises(ValueError, match="reserved"):
        register("toy", family="toy")(reserved)
    with pytest.raises(ValueError, match="epsilon"):
        register("toy", family="toy", strength="epsilon")(flip)
    assert "toy" not in names()


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="'gausian'; known: .*gaussian_blur, gaussian_noise"):
        get("gausian")


@pytest.mark.parametrize("family", ["", "a,b", "two words", "1st"])
def test_a_family_that_no_metric_could_be_named_after(family: str) -> None:
    with pytest.raises(ValueError, match="family must be letters"):
        register("toy", family=family)
