from typing import Annotated, Literal

import numpy as np
import pytest

from vlm_confidence_tasks.perturbations.parameters import Parameter, Range, read_parameters

EPSILON = Parameter("epsilon", float, Range(0, 1))
SEVERITY = Parameter("severity", int, Range(1, 5))


def test_signature_is_read():
    def function(
        image,
        *,
        b: bool = True,
        a: Annotated[float, Range(0, 2)],
        fill: Literal["x", "y"] = "y",
        n: int = -1,
    ):
        return image

    assert read_parameters(function) == (
        Parameter("a", float, Range(0, 2)),
        Parameter("b", bool, None, True),
        Parameter("fill", str, ("x", "y"), "y"),
        Parameter("n", int, None, -1),
    )


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.5), np.int64(1), -0.0])
def test_numbers_become_plain_floats(value):
    checked = EPSILON.check(value)
    assert type(checked) is float
    assert checked == value
    assert str(checked)[0] != "-"


@pytest.mark.parametrize(
    "value", [-0.1, 1.1, float("nan"), float("inf"), True, "0.3", None, [0.3], 1j]
)
def test_bad_floats_are_named(value):
    with pytest.raises(ValueError, match=r"epsilon must be float in \[0, 1\], got"):
        EPSILON.check(value)


@pytest.mark.parametrize("value", [0, 6, 3.0, True, "3", None])
def test_bad_ints_are_named(value):
    with pytest.raises(ValueError, match=r"severity must be int in \[1, 5\], got"):
        SEVERITY.check(value)


def test_other_kinds():
    assert Parameter("n", int).check(np.int8(-3)) == -3
    assert Parameter("restore", bool).check(False) is False
    with pytest.raises(ValueError, match="restore must be bool, got 0"):
        Parameter("restore", bool).check(0)
    with pytest.raises(ValueError, match="fill must be one of 'a', 'b', got 'c'"):
        Parameter("fill", str, ("a", "b")).check("c")
    with pytest.raises(ValueError, match="fill must be str, got 1"):
        Parameter("fill", str).check(1)


def test_unreadable_signatures_raise():
    def untyped(image, *, n):
        return image

    def listed(image, *, n: list[int]):
        return image

    def out_of_range(image, *, n: Annotated[int, Range(1, 5)] = 0):
        return image

    for function in (untyped, listed, out_of_range):
        with pytest.raises(ValueError, match="n "):
            read_parameters(function)
