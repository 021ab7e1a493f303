"""Checks an answer before it is scored."""

from vlm_confidence_tasks.errors import RequestError
from vlm_confidence_tasks.evaluation.engine import Engine
from vlm_confidence_tasks.evaluation.request import Generation, Request
from vlm_confidence_tasks.probe import LogitSource, Reading


def check_answer(
    request: Request, generation: Generation, reading: Reading | None, engine: Engine
) -> None:
    """Raise RequestError for a failed generation, a missing or bad reading, or a lost text."""
    name = engine.name
    if generation.failure is not None:
        raise RequestError(f"{name} has no answer: {generation.failure}; nothing was scored")
    if reading is None and engine.source.measures and not generation.served.withheld:
        raise RequestError(
            f"{name} answered without calling generate() of its model, so that no "
            "confidence could be read: use an adapter that runs transformers' generate()"
        )
    if reading is not None and not reading.finite:
        raise RequestError(
            "the model's logits are not finite (NaN or infinity); nothing was scored: try "
            "another dtype (float32, bfloat16) or check the checkpoint"
        )
    lost = not generation.text.strip() and not generation.served.withheld
    if lost and _text_was_lost(request, reading, engine.source):
        raise RequestError(f"{name} returned an empty answer; nothing was scored: see its log")


def _text_was_lost(request: Request, reading: Reading | None, source: LogitSource) -> bool:
    """Whether the model generated, or may have generated, text that was not returned."""
    text = None if reading is None else source.decode(reading.tokens)
    if text is None:
        return True
    for stop in request.task.until:
        text = text.split(stop)[0]
    return bool(text.strip())
