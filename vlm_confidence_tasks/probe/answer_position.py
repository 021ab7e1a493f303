"""The generated step whose token begins the label that was parsed from an answer's text."""

from collections.abc import Callable, Sequence

from vlm_confidence_tasks.probe.reading import Reading

Decode = Callable[[Sequence[int]], str | None]


def answer_position(
    reading: Reading, text: str, label: int | None, offset: int, decode: Decode
) -> int | None:
    """Return the answer position, as an index into `reading.label_steps`.

    This is the step whose token begins the parsed label. Where no label was parsed, it is the
    first step whose token begins any, else the first step.

    Args:
        reading: The answer's measurements.
        text: The answer as its adapter returned it.
        label: Index of the label that was parsed from it, None if none was.
        offset: Where in the text the label begins; ignored without a label.
        decode: Returns the text of token ids, None if it is unknown.

    Returns:
        None where the position is unknown: the text is not found in that of the tokens, or no
        token that begins the parsed label stands at its place.
    """
    steps = reading.label_steps
    if label is None:
        named = (index for index, at in enumerate(steps) if at.label is not None)
        return next(named, 0 if steps else None)
    generated = decode(reading.tokens)
    start = None if generated is None else locate(text, generated)
    if start is None:
        return None
    for index, at in enumerate(steps):
        if at.label == label:
            before, after = (decode(reading.tokens[: at.step + n]) or "" for n in (0, 1))
            if len(before) <= start + offset < len(after):
                return index
    return None


def locate(text: str, generated: str) -> int | None:
    """Return where an adapter's text begins in the generated one, of which it is a part.

    Adapters strip white space and cut texts at stop strings, so that the text is first looked
    for at the beginning. Elsewhere it must occur once.

    Returns:
        The offset of the text's first character, negative where the text begins with white
        space that was not generated; None if the text is not found.

    >>> locate("Yes", " Yes, or Yes"), locate("red", "a red one"), locate("Y", "N")
    (1, 2, None)
    """
    core = text.strip()
    leading = len(generated) - len(generated.lstrip())
    if generated.startswith(core, leading):
        start = leading
    else:
        start = generated.find(core)
        if start != generated.rfind(core) or start < 0:
            return None
    return start - (len(text) - len(text.lstrip()))
