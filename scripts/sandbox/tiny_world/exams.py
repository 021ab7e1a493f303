"""Questions over one to three images, in the form of MMMU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tiny_world.questions import CHOICES, pick
from tiny_world.wording import LETTERS, mmmu_prompt, open_prompt, with_article
from vlm_confidence_tasks.sandbox.world import COLOURS, Scene

ORDINALS = ("first", "second", "third")


def lead(place: int, introduced: bool) -> str:
    """Return the words before the image at this place, none unless introduced."""
    return f"{ORDINALS[place].capitalize()} picture: " if introduced else ""


@dataclass(frozen=True)
class Exam:
    """A question over images; open if it has no options.

    Attributes:
        text: The question without the markers of its images.
        options: The options, empty for an open question.
        answer: Letter of the right option, or the word that answers an open question.
        introduced: Whether words stand before each image ("First picture:").
        images: How many images it is over.
    """

    text: str
    options: tuple[str, ...]
    answer: str
    introduced: bool
    images: int

    @property
    def question(self) -> str:
        """The question with MMMU's markers, `<image 1>` and so on."""
        marks = [f"{lead(i, self.introduced)}<image {i + 1}>" for i in range(self.images)]
        return f"{' '.join(marks)} {self.text}"

    @property
    def prompt(self) -> str:
        """Upstream's prompt without the markers, which chat messages turn to images."""
        return self._prompt(self.text)

    @property
    def marked_prompt(self) -> str:
        """Upstream's prompt with the markers as text, as simple adapters see it."""
        return self._prompt(self.question)

    def _prompt(self, text: str) -> str:
        return mmmu_prompt(text, self.options) if self.options else open_prompt(text)


def _single(scene: Scene, rng: np.random.Generator) -> Exam | None:
    """A question with options over one image."""
    choice = CHOICES[int(rng.integers(len(CHOICES)))](scene, rng)
    return Exam(choice.text, choice.options, choice.letter, False, 1) if choice else None


def _which_image(
    scenes: tuple[Scene, ...], rng: np.random.Generator, introduced: bool
) -> Exam | None:
    """Which of the images shows an object that exactly one of them shows."""
    right = int(rng.integers(len(scenes)))
    others = {name for i, s in enumerate(scenes) if i != right for name in s.names}
    if not (own := [name for name in scenes[right].names if name not in others]):
        return None
    options = tuple(f"The {word} image" for word in ORDINALS[: len(scenes)])
    text = f"Which image shows {with_article(pick(rng, own))}?"
    return Exam(text, options, LETTERS[right], introduced, len(scenes))


def _colour_in(
    scenes: tuple[Scene, ...], rng: np.random.Generator, introduced: bool, is_open: bool
) -> Exam | None:
    """The colour of a shape in one of the images, with options or open."""
    place = int(rng.integers(len(scenes)))
    if not (things := scenes[place].only()):
        return None
    thing = things[int(rng.integers(len(things)))]
    where = f" in the {ORDINALS[place]} image" if len(scenes) > 1 else ""
    text = f"What color is the {thing.shape}{where}?"
    if is_open:
        return Exam(text, (), thing.colour, introduced, len(scenes))
    wrong = [colour for colour in COLOURS if colour != thing.colour]
    options = [wrong[i] for i in rng.choice(len(wrong), 3, replace=False)]
    options.insert(right := int(rng.integers(4)), thing.colour)
    return Exam(text, tuple(options), LETTERS[right], introduced, len(scenes))


def draw_exam(
    scenes: tuple[Scene, ...], rng: np.random.Generator, *, introduced: bool, is_open: bool
) -> Exam | None:
    """Draw a question over the scenes; None if the kind drawn does not fit them.

    Args:
        scenes: One to three scenes, in the order in which they are shown.
        rng: Source of randomness.
        introduced: Put words before each image.
        is_open: Ask for a word, not for a letter.
    """
    if is_open or (len(scenes) > 1 and rng.random() < 0.5):
        return _colour_in(scenes, rng, introduced, is_open)
    if len(scenes) == 1:
        return _single(scenes[0], rng)
    return _which_image(scenes, rng, introduced)
