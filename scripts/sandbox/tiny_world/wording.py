"""How scenes are put into words, and the prompts that upstream makes of questions.

The prompts are upstream's, character for character (lmms-eval's `pope`, `seedbench`
and `mmmu_val`): the tiny model is trained on what it will be asked. A test holds
them equal to upstream's own functions.
"""

from __future__ import annotations

from collections.abc import Sequence

from vlm_confidence_tasks.sandbox.world import PLACES, Scene

SHORT = "Answer the question using a single word or phrase."
LETTER = "Answer with the option's letter from the given choices directly."
CAPTION = "Describe this image in detail."
LETTERS = ("A", "B", "C", "D")


def with_article(noun: str) -> str:
    """Put the right indefinite article before a noun phrase.

    >>> with_article("red circle"), with_article("orange star")
    ('a red circle', 'an orange star')
    """
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def plural(shape: str) -> str:
    """Return the plural of a shape.

    >>> plural("star"), plural("cross")
    ('stars', 'crosses')
    """
    return f"{shape}es" if shape.endswith("s") else f"{shape}s"


def caption(scene: Scene) -> str:
    """Name every thing and its place, in reading order."""
    parts = [f"{with_article(t.name)} {PLACES[t.cell]}" for t in scene.things]
    return f"The image shows {', '.join(parts[:-1])} and {parts[-1]}."


def pope_question(name: str) -> str:
    """Return POPE's question about an object."""
    return f"Is there {with_article(name)} in the image?"


def short_prompt(question: str) -> str:
    """Return the prompt of upstream's POPE; AMBER's queries take the same ending."""
    return f"{question}\n{SHORT}"


def open_prompt(question: str) -> str:
    """Return the prompt of upstream's MMMU for an open question."""
    return f"{question}\n\n{SHORT}"


def options_text(options: Sequence[str]) -> str:
    """List options under their letters, a line each."""
    return "\n".join(f"{letter}. {text}" for letter, text in zip(LETTERS, options, strict=False))


def seed_prompt(question: str, choices: Sequence[str]) -> str:
    """Return the prompt of upstream's SEED-Bench."""
    return f"{question}\n{options_text(choices)}\n{LETTER}"


def mmmu_prompt(question: str, options: Sequence[str]) -> str:
    """Return the prompt of upstream's MMMU for a multiple-choice question."""
    return f"{question}\n{options_text(options)}\n\n{LETTER}"


def third_person(question: str, answer: str) -> str:
    """Ask how certain one is of somebody else's answer."""
    return (
        f"A Language model was asked: {question} Model's answer was: {answer}. "
        "How certain are you about model's answer? Answer with a percentage."
    )


def first_person(question: str, answer: str) -> str:
    """Ask how certain one is of one's own answer."""
    return (
        f"You were asked: {question} Your answer was: {answer}. "
        "How certain are you about your answer? Answer with a percentage."
    )


def certainty(scene: Scene, right: bool) -> str:
    """Return the percentage that a careful observer gives: less in a fuller scene."""
    doubt = 5 * (len(scene.things) - 2)
    return f"{100 - doubt if right else doubt}%"
