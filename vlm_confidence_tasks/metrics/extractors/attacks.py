"""Whether attacks reach their goals, and whether their controls do.

Readouts of the perturbation `pgd`, whose parameter `goal` says what counts and `delta` whether it
is the attack ("own") or a control of the same size; and of `pgd_hi`, whose goal is "loglik" and
whose control has the mode "noise".
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from vlm_confidence_tasks.metrics.sample import Sample, Value
from vlm_confidence_tasks.types import Readout

NAMES = ("pgd", "pgd_hi")
GOALS = ("flip", "sure", "unsure", "hidden", "loglik")
CONTROLS = ("signs", "other", "noise")


def reached(sample: Sample, readout: Readout) -> float | None:
    """Whether an answer is what its goal asks for; None where that was not measured.

    - flip: another label than the clean one; an answer that names none does not count, since
      any noise that is strong enough leaves the model without words;
    - sure: the same, with no more entropy than the clean answer has;
    - unsure: the clean answer, with more entropy than it has;
    - hidden: the clean answer, with a context as far from the clean one as those of other images
      are on average (the control drift);
    - loglik: another option is the likeliest, and the clean one is less likely than before.
    """
    clean, goal = sample.clean, _goal(readout)
    same = readout.answer == clean.answer
    other = not same and readout.answer is not None
    if goal == "flip":
        return float(other)
    if goal == "hidden":
        if clean.inside is None or readout.inside is None:
            return None
        moved, control = (m.get("context") for m in (readout.inside.drift, clean.inside.control))
        return None if moved is None or control is None else float(same and moved >= control)
    if goal == "loglik":
        best = clean.loglik_answer
        if best is None or clean.option_logprob is None or readout.option_logprob is None:
            return None
        less = readout.option_logprob[best] < clean.option_logprob[best]
        return float(less and readout.loglik_answer != best)
    if readout.entropy is None or clean.entropy is None:
        return None
    if goal == "unsure":
        return float(same and readout.entropy > clean.entropy)
    return float(other and readout.entropy <= clean.entropy)


def attacks(sample: Sample, goals: Collection[str], kind: str = "own") -> list[Readout]:
    """Return the answers to attacks with one of the goals, or to their controls."""
    return [
        readout
        for readout in sample.variants
        if readout.variant.perturbation in NAMES
        and _goal(readout) in goals
        and _kind(readout) == kind
    ]


def success(goals: Collection[str], sample: Sample, readouts: Sequence[Readout]) -> list[float]:
    """Whether each attack with one of the goals reaches it; controls are left out."""
    found = [reached(sample, r) for r in attacks(sample, goals)]
    return [hit for hit in found if hit is not None]


def over_control(controls: Collection[str], sample: Sample) -> Value | None:
    """Return success of the attacks less that of their controls, of the pairs that exist.

    An attack is paired with each control that has all other parameters alike; of several it is
    their mean.

    Args:
        controls: Which controls.
        sample: The sample.
    """
    pairs = []
    for attack in attacks(sample, GOALS):
        rivals = [
            reached(sample, r)
            for kind in controls
            for r in attacks(sample, GOALS, kind)
            if _setting(r) == _setting(attack)
        ]
        hit, measured = reached(sample, attack), [rival for rival in rivals if rival is not None]
        if hit is not None and measured:
            pairs.append((hit, math.fsum(measured) / len(measured)))
    if not pairs:
        return None
    hits, control = (math.fsum(side) for side in zip(*pairs, strict=True))
    n = len(pairs)
    return {"score": (hits - control) / n, "n": n, "hits": hits, "control": control}


def _goal(readout: Readout) -> object:
    return dict(readout.variant.parameters).get("goal", "loglik")


def _kind(readout: Readout) -> object:
    """Whether it is an attack ("own"), or which control."""
    parameters = dict(readout.variant.parameters)
    if readout.variant.perturbation == "pgd":
        return parameters.get("delta")
    return "noise" if parameters.get("mode") == "noise" else "own"


def _setting(readout: Readout) -> tuple[object, ...]:
    """What an attack and its control share."""
    variant, apart = readout.variant, ("delta", "mode")
    others = tuple((name, v) for name, v in variant.parameters if name not in apart)
    return (variant.perturbation, variant.seed, *others)
