"""What a task's YAML sets: the keys, their defaults, and what each is expected to be."""

from typing import Annotated, Any, Literal, get_args

import msgspec

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.masks import OnMissing


def expected(text: str) -> msgspec.Meta:
    """Say what a key is expected to be, as in the error about another value."""
    return msgspec.Meta(description=text)


Flag = Annotated[bool, expected("true or false")]
Name = Annotated[str, expected("a name")]
Positive = Annotated[int, msgspec.Meta(ge=1), expected("a whole number of 1 or more")]
Natural = Annotated[int, msgspec.Meta(ge=0)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a task's YAML that are not the harness's.

    Attributes:
        benchmark: Name of what makes the questions and scores the answers.
        perturbations: How each document's images are shown, as `perturbations.variants` reads it.
        max_side: Longest side in pixels to which images are resized first; None: as stored.
        verbal: Prompt form of the second turn that asks for the model's certainty: "first" or
            "third" person; None: no second turn.
        loglik: Whether the options' texts are scored after the prompt.
        representations: Whether hidden states are measured.
        control: "same_question": drift is held against the same question about other images too;
            None: it is not.
        masks: The provider of masks, as `masks.provider` reads it; None: the environment's, or
            that of the data.
        on_missing: What a document without masks gets: "skip", no variants; "global", noise on
            the whole image.
        max_failures: How many documents may fail in one process without ending the run;
            None: the environment variable decides.
        metrics: What is aggregated beside the core metrics: "all" or names; None: the environment
            variable decides.
    """

    benchmark: Name
    perturbations: Annotated[list[Any], expected("a list of perturbations")]
    max_side: Annotated[Positive | None, expected("a whole number of 1 or more")] = None
    verbal: Annotated[
        Literal["first", "third"] | None, expected("third or first (whose answer it is)")
    ] = None
    loglik: Flag = False
    representations: Flag = False
    control: Annotated[
        Literal["same_question"] | None, expected("same_question: leave it out for none")
    ] = None
    masks: Annotated[str | None, expected("the name of a provider (docs/masks.md)")] = None
    on_missing: Annotated[OnMissing, expected("skip or global")] = "skip"
    max_failures: Annotated[Natural | None, expected("a whole number of 0 or more")] = None
    metrics: Annotated[
        Literal["all"] | list[str] | None, expected("all or a list of metrics' names")
    ] = None


def check(key: str, value: Any, kind: Any) -> None:
    """Refuse a value of another kind.

    Raises:
        TaskError: It is; says what was expected.
    """
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        notes = [note for note in get_args(kind) if isinstance(note, msgspec.Meta)]
        raise TaskError(f"{key} is {value!r}, expected {notes[-1].description}") from None
