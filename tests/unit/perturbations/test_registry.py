import pytest
from PIL import ImageOps

from vlm_confidence_tasks.perturbations import families, get, names, perturb, register
from vlm_confidence_tasks.perturbations.registry import _REGISTRY

from .strategies import EXAMPLES, noise_image, same


def flip(image):
    return ImageOps.flip(image)


@pytest.fixture
def registered():
    """Names that a test registers are forgotten after it."""
    before = names()
    yield
    for name in set(names()) - set(before):
        _REGISTRY.pop(name)


def test_every_perturbation_of_the_definitions_is_there():
    assert names() == tuple(sorted(EXAMPLES))


def test_families_in_the_order_of_tables(registered):
    known = (
        *("noise", "translation", "padcrop", "scale", "scalepad", "rotation", "textoverlay"),
        *("textoverlay_random", "textoverlay_empty"),
        *("blur", "motionblur", "lowlight", "occlusion", "jpeg"),
        *("lowpass", "highpass", "bandnoise", "bandphase"),
        *("pgd", "pgd_signs", "pgd_other", "pgdhi", "pgdhi_noise"),
        *("objectnoise", "objectnoise_outside", "objectnoise_global"),
    )
    before = families()
    # A new one has its place in `perturbations/__init__.py`, and no line here.
    assert tuple(family for family in before if family in known) == known
    register("toy", family="noise")(flip)
    register("other_toy", family="toys")(flip)
    assert families() == (*before, "toys")


def test_every_combination_of_controls_is_a_family(registered):
    @register("toy", family="toy", controls={"a": (1,), "b": ("x", "y")})
    def toy(image, *, a: int = 0, b: str = "z"):
        return image.copy()

    assert get("toy").families == ("toy", "toy_x", "toy_y", "toy_1", "toy_1_x", "toy_1_y")
    assert {get("toy").family_of({"a": a, "b": b}) for a in (0, 1) for b in "xyz"} == set(
        get("toy").families
    )


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


@pytest.mark.parametrize("family", ["", "a,b", "two words", "1st"])
def test_a_family_that_no_metric_could_be_named_after(family: str) -> None:
    with pytest.raises(ValueError, match="family must be letters"):
        register("toy", family=family)
