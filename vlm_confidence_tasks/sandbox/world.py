"""Scenes of coloured shapes: what is in an image, before it is drawn.

The world has a bias, as photographs have one: some objects are common, and objects
come in groups that keep company. POPE's popular and adversarial negatives need
that, and so does a model that is to hallucinate for a reason.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple")
SHAPES = ("circle", "square", "triangle", "star", "cross")
OBJECTS = tuple(f"{colour} {shape}" for shape in SHAPES for colour in COLOURS)
PLACES = (
    "at the top left",
    "at the top",
    "at the top right",
    "on the left",
    "in the center",
    "on the right",
    "at the bottom left",
    "at the bottom",
    "at the bottom right",
)
EVALUATION = 2311
"""Root of every seed behind packaged data; training draws from other roots."""

_GROUPS = 5
_COMPANY = 12.0
_DECAY = 0.9


@dataclass(frozen=True)
class Thing:
    """One shape in a scene; sizes and coordinates are in pixels of a 64 pixel image."""

    colour: str
    shape: str
    cell: int
    x: int
    y: int
    size: int = 14

    @property
    def name(self) -> str:
        """Colour and shape, which is what questions call an object."""
        return f"{self.colour} {self.shape}"

    @property
    def column(self) -> int:
        """0, 1 or 2 from left to right."""
        return self.cell % 3


@dataclass(frozen=True)
class Scene:
    """Things in reading order of their cells, on a background of one grey."""

    things: tuple[Thing, ...]
    background: int = 255

    @property
    def names(self) -> tuple[str, ...]:
        """The distinct objects, in reading order."""
        return tuple(dict.fromkeys(thing.name for thing in self.things))

    @property
    def absent(self) -> tuple[str, ...]:
        """The objects of the world that the scene does not show."""
        return tuple(name for name in OBJECTS if name not in self.names)

    def count(self, shape: str) -> int:
        """Return how many things have this shape."""
        return sum(thing.shape == shape for thing in self.things)

    def only(self) -> tuple[Thing, ...]:
        """Return the things whose shape no other thing has."""
        shapes = Counter(thing.shape for thing in self.things)
        return tuple(thing for thing in self.things if shapes[thing.shape] == 1)

    def single(self) -> tuple[Thing, ...]:
        """Return the things whose name no other thing has."""
        names = Counter(thing.name for thing in self.things)
        return tuple(thing for thing in self.things if names[thing.name] == 1)


@lru_cache(maxsize=1)
def _habits() -> tuple[Floats, Integers]:
    """Popularity of each object, and the group that it keeps company with."""
    rng = np.random.default_rng(EVALUATION)
    ranks = rng.permutation(len(OBJECTS))
    return _DECAY**ranks, rng.permutation(len(OBJECTS)) % _GROUPS


def _weights(rng: np.random.Generator, biased: bool) -> Floats:
    """Weights of the objects for one scene: its group's members are favoured."""
    popularity, groups = _habits()
    if not biased:
        return np.full(len(OBJECTS), 1 / len(OBJECTS))
    weights = popularity * np.where(groups == rng.integers(_GROUPS), _COMPANY, 1.0)
    return np.asarray(weights / weights.sum())


def _coordinate(rng: np.random.Generator, third: int) -> int:
    """Draw a coordinate in the first, middle or last third of the image.

    The image has four by four squares of 16 pixels, the tiny model's patches, and a thing
    stays within one: a shape cut in two takes the model many times longer to learn.
    """
    square = (0, 1 + int(rng.integers(2)), 3)[third]
    return 16 * square + 8 + int(rng.integers(-1, 2))


def place(rng: np.random.Generator, name: str, cell: int) -> Thing:
    """Draw size and coordinates of an object in a cell."""
    colour, shape = name.split()
    x, y = (_coordinate(rng, third) for third in (cell % 3, cell // 3))
    return Thing(colour, shape, cell, x, y, int(rng.integers(11, 15)))


def sample_scene(rng: np.random.Generator, *, biased: bool = True, repeat: float = 0.15) -> Scene:
    """Draw a scene of three to five things with at least three different objects.

    It is a function of the generator's state. `biased` follows the world's habits, else all objects
    are drawn alike; `repeat` is the chance of each thing after the third to be a second copy.
    """
    total = int(rng.integers(3, 6))
    weights = _weights(rng, biased)
    names = [OBJECTS[i] for i in rng.choice(len(OBJECTS), total, replace=False, p=weights)]
    for later in range(3, total):
        if rng.random() < repeat:
            names[later] = names[int(rng.integers(3))]
    cells = rng.choice(len(PLACES), total, replace=False)
    things = [place(rng, name, int(cell)) for name, cell in zip(names, cells, strict=True)]
    return Scene(tuple(sorted(things, key=lambda t: t.cell)), int(rng.integers(225, 256)))


def evaluation_scenes(room: int, count: int) -> Iterator[Scene]:
    """Yield the scenes of a packaged data set; `room` keeps the sets apart."""
    for index in range(count):
        yield sample_scene(np.random.default_rng([EVALUATION, room, index]))
