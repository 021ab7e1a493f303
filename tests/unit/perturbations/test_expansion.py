import pytest

from vlm_confidence_tasks.perturbations import variants
from vlm_confidence_tasks.types import Variant


def test_product_in_the_order_written():
    found = variants(
        [
            {"name": "gaussian_noise", "seed": [0, 1], "epsilon": [0.3, 0.1]},
            {"name": "translate", "dx": [-4, 4]},
        ]
    )
    assert [str(variant) for variant in found] == [
        "gaussian_noise(epsilon=0.3, seed=0)",
        "gaussian_noise(epsilon=0.1, seed=0)",
        "gaussian_noise(epsilon=0.3, seed=1)",
        "gaussian_noise(epsilon=0.1, seed=1)",
        "translate(dx=-4, seed=0)",
        "translate(dx=4, seed=0)",
    ]
    assert [variant.family for variant in found] == ["noise"] * 4 + ["translation"] * 2


def test_defaults_are_filled_in_and_sorted():
    (short,) = variants([{"name": "scale"}])
    (long,) = variants([{"restore": False, "factor": 0.9, "name": "scale"}])
    assert short == long == Variant("scale", (("factor", 0.9), ("restore", False)), family="scale")


def test_ints_become_floats():
    (variant,) = variants([{"name": "gaussian_noise", "epsilon": 0}])
    assert str(variant) == "gaussian_noise(epsilon=0.0, seed=0)"


def test_controls_are_marked():
    found = variants([{"name": "text_overlay", "content": ["semantic", "random", "empty"]}])
    assert [(variant.family, variant.control) for variant in found] == [
        ("textoverlay", False),
        ("textoverlay_random", True),
        ("textoverlay_empty", True),
    ]


def test_nothing_gives_nothing():
    assert variants([]) == ()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"epsilon": 0.3}, "must be a mapping with a name"),
        ("gaussian_noise", "must be a mapping with a name"),
        ({"name": "gaussian_noise", "epsilon": [0.1, "0.3"]}, "got '0.3'"),
        ({"name": "gaussian_noise", "epsilon": []}, "epsilon is an empty list"),
        ({"name": "gaussian_noise", "epsilon": 0.1, "seed": 0.5}, "seed must be an int"),
        ({"name": "gaussian_noise", "epsilon": 0.1, "seed": [0, True]}, "seed must be an int"),
        ({"name": "translate", "dx": 1, "seed": [0, 1]}, "draws nothing: seed must be 0"),
        ({"name": "gaussian_noise", "epsilon": [0, 0.0]}, r"\(epsilon=0.0, seed=0\) is listed"),
    ],
)
def test_errors_are_found_when_the_list_is_read(spec, message):
    with pytest.raises(ValueError, match=message):
        variants([spec])


def test_duplicates_across_entries_raise():
    with pytest.raises(ValueError, match="listed twice"):
        variants([{"name": "scale"}, {"name": "scale", "factor": 0.9}])
