"""What a perturbation may need besides the image, its parameters and the seed.

A perturbation declares its needs (`register(..., needs={...})`); whoever applies it passes a
value for each. Pixels are then a function of image content, parameters, seed and these values.
Two things that would give other values must have other names in cache keys: that is up to
whoever provides the values (`evaluation.request.NeedProvider`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Need = Literal["clean_answer", "gradient", "objective", "masks"]

Masks = Mapping[str, NDArray[np.bool_]]


class Judgement(NamedTuple):
    """What an attack's objective says of one image.

    Attributes:
        allowed: Whether the image meets the goal's condition ("the answer is kept").
        value: The number that the goal wants small.
        gradient: dLoss/dpixel, [H, W, 3] float32, where pixels are in [0, 1]. The loss is the
            value and, where the condition is not met, what is missing.
    """

    allowed: bool
    value: float
    gradient: NDArray[np.float32]


class Objective(Protocol):
    """What an attack makes small.

    Attributes:
        start: The image that is attacked: the clean one, or for a control another of its size.
    """

    start: Image.Image

    def __call__(self, image: Image.Image) -> Judgement:
        """Judge an image of the size of `start`."""


NEEDS: Mapping[Need, str] = dict(
    zip(get_args(Need), ("phrase", "gradient", "objective", "masks"), strict=True)
)
"""Need -> name of the function's argument that receives it:

- `clean_answer` -> `phrase: str`, one line of text about the model's clean answer.
- `gradient` -> `gradient: Callable[[PIL.Image.Image], NDArray[float32]]`: RGB image of
  width W and height H -> dLoss/dpixel [H, W, 3] there, finite, where pixels are in [0, 1].
  The loss, its model and its question belong to the callable. It may be called often.
- `objective` -> `objective: Objective`: what an attack on a model makes small, and where it
  begins. Goal, model and question belong to it. It may be called often.
- `masks` -> `masks: Mapping[str, NDArray[bool]]`: name of a thing that the question names
  -> [H, W] of the image, true where the thing is. Empty where nothing was found.
"""


def satisfy(
    name: str, needs: Collection[str], given: Mapping[str, object], image: Image.Image
) -> list[object]:
    """Return what the function called `name` receives, in the order of `NEEDS`.

    Raises:
        ValueError: A need is missing or superfluous, or a value has the wrong type or shape.
    """
    if missing := [need for need in NEEDS if need in needs and need not in given]:
        raise ValueError(f"{name} needs {missing[0]}: pass given={{{missing[0]!r}: value}}")
    if superfluous := sorted(set(given) - set(needs)):
        raise ValueError(f"{name} does not need {superfluous[0]}: leave it out of given")
    return [_checked(name, need, given[need], image) for need in NEEDS if need in needs]


def _checked(name: str, need: Need, value: object, image: Image.Image) -> object:
    if need == "clean_answer" and isinstance(value, str):
        return value
    if need == "gradient" and callable(value):
        return lambda at: _finite(name, value(at), at)
    if need == "objective" and callable(value) and hasattr(value, "start"):
        return _CheckedObjective(name, cast(Objective, value), image)
    if need == "masks" and isinstance(value, Mapping):
        for thing, mask in value.items():
            if _description(mask) != ("bool", (image.height, image.width)):
                raise ValueError(
                    f"{name}: the mask of {thing!r} must be bool [{image.height}, {image.width}] "
                    f"like the image, got {_description(mask)}"
                )
        return value
    raise ValueError(f"{name}: {need} cannot be {type(value).__name__}; see perturbations.NEEDS")


@dataclass(frozen=True)
class _CheckedObjective:
    name: str
    objective: Objective
    image: Image.Image

    @property
    def start(self) -> Image.Image:
        start = self.objective.start
        if start.size != self.image.size or start.mode != "RGB":
            raise ValueError(
                f"{self.name}: the objective must start from an RGB image of size "
                f"{self.image.size}, got {start.mode} {start.size}"
            )
        return start

    def __call__(self, image: Image.Image) -> Judgement:
        found = self.objective(image)
        if not np.isfinite(found.value):
            raise ValueError(f"{self.name}: the objective's value is {found.value}")
        return found._replace(gradient=_finite(self.name, found.gradient, image))


def _finite(name: str, found: object, image: Image.Image) -> NDArray[np.float32]:
    expected = ("float32", (image.height, image.width, 3))
    if _description(found) != expected:
        raise ValueError(f"{name}: gradient must give {expected}, got {_description(found)}")
    array = np.asarray(found, np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: the gradient is not finite (NaN or infinity)")
    return array


def _description(array: object) -> object:
    return (array.dtype.name, array.shape) if isinstance(array, np.ndarray) else type(array)
