"""Model arguments as the harness hands them over, checked."""

from __future__ import annotations

from typing import Any


def check(pretrained: str, both: bool, unknown: dict[str, Any]) -> None:
    """Raise ValueError if there is no model, an unknown argument, or two quantisations."""
    # The harness passes this argument to every model.
    unknown = {name: value for name, value in unknown.items() if name != "max_batch_size"}
    if unknown:
        names = ", ".join(map(repr, sorted(unknown)))
        raise ValueError(f"hf_multimodal has no model argument {names}")
    if both:
        raise ValueError("give load_in_4bit or load_in_8bit, not both")
    if not pretrained:
        raise ValueError("hf_multimodal needs a model: --model_args pretrained=HUB_ID_OR_FOLDER")


def truth(name: str, given: bool | str) -> bool:
    """Return a model argument that the harness may have left as text ("false").

    Raises:
        ValueError: It is neither true nor false.
    """
    truths = {"true": True, "false": False}
    found = truths.get(str(given).lower())
    if found is None:
        raise ValueError(f"{name} is {given!r}, expected true or false")
    return found


def whole(name: str, given: int | str) -> int:
    """Return a model argument that is a whole number of 1 or more, or raise ValueError."""
    size = int(given) if str(given).isdecimal() else 0
    if size < 1:
        raise ValueError(f"{name} is {given!r}, expected a whole number of 1 or more")
    return size
