"""Compares answers behind a shared prefix with those of generate()."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vlm_confidence_tasks import probe

# Largest difference in nats, and of a hidden state relative to its largest number, that rounding
# explains in float32. For comparison, positions that are wrong by one gave 4e-3 and more.
ROUNDING = 2e-4
# In shorter types, whose logits have three significant digits: mean difference.
COARSE_ROUNDING = 0.25


def difference(
    plain: Sequence[probe.Reading], shared: Sequence[probe.Reading], *, exact: bool
) -> tuple[float, str | None]:
    """Return the largest difference, and what of it rounding does not explain; None: nothing.

    In float32 (`exact`) all tokens must be equal. In shorter types near ties are decided by
    rounding: steps are compared up to the first at which the tokens differ, where both still saw
    the same text.
    """
    largest = 0.0
    for one, other in zip(plain, shared, strict=True):
        if exact and one.tokens != other.tokens:
            return largest, "an answer's tokens differ"
        pairs = list(_pairs(one, other))
        if any(a.shape != b.shape for a, b in pairs):
            return largest, "other numbers are measured"
        for a, b in pairs:
            gap = np.abs(a - b)
            found = float(gap.max() if exact else gap.mean()) if gap.size else 0.0
            # Not the other way round, since NaN is no difference that rounding explains.
            if not found <= (ROUNDING if exact else COARSE_ROUNDING):
                return found, f"numbers differ by {found:.2g}"
            largest = max(largest, found)
    return largest, None


def _pairs(one: probe.Reading, other: probe.Reading) -> Any:
    """Yield the arrays of two readings that must be equal."""
    same = min(_common(one.tokens, other.tokens), len(one.token_entropy), len(other.token_entropy))
    yield one.token_entropy[:same], other.token_entropy[:same]
    yield one.token_logprob[:same], other.token_logprob[:same]
    for a, b in zip(one.label_steps, other.label_steps, strict=False):
        if a.step == b.step and a.step < same:
            yield np.array(a.logprob), np.array(b.logprob)
    yield from zip(one.option_logprob, other.option_logprob, strict=True)
    if one.inside is not None and other.inside is not None:
        yield from _inside_pairs(one, other, same)


def _inside_pairs(one: probe.Reading, other: probe.Reading, same: int) -> Any:
    first, second = one.inside, other.inside
    assert first is not None and second is not None
    yield _scaled(first.context, second.context)
    if one.tokens == other.tokens and first.answer is not None and second.answer is not None:
        yield _scaled(first.answer, second.answer)
    if first.vision is not None and second.vision is not None:
        yield _scaled(first.vision, second.vision)
    yield first.layer_entropy[:1], second.layer_entropy[:1]


def _scaled(a: probe.FloatArray, b: probe.FloatArray) -> tuple[Any, Any]:
    scale = max(1.0, float(np.abs(a).max()))
    return a / scale, b / scale


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many steps of two answers saw the same text, the first that differs included."""
    same = next(
        (t for t, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
    return same + 1
