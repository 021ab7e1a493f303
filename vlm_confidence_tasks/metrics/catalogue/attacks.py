"""Whether a search along the gradient reaches its goal, and what that adds to its size.

Of the perturbation `pgd`, whose parameter `goal` says what counts and `delta` whether it is the
attack ("own") or a control of the same size; and of `pgd_hi`, whose goal is "loglik" and whose
control has the mode "noise".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.catalogue.metric import DOWN, VARIANTS, Metric, only
from vlm_confidence_tasks.metrics.columns import ATTACK_KINDS, GOALS
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, any_number
from vlm_confidence_tasks.metrics.statistics.means import Rate, RateDifference
from vlm_confidence_tasks.metrics.statistics.statistic import Statistic
from vlm_confidence_tasks.types import CHANNELS, Measure

ATTACKS: frozenset[Measure] = frozenset({"attacks"})


def reached(answers: Answers) -> Floats:
    """Whether each answer is what its goal asks for; NaN where that was not measured.

    - flip: another label than the clean one; an answer that names none does not count, since
      any noise that is strong enough leaves the model without words;
    - sure: the same, with no more entropy than the clean answer has;
    - unsure: the clean answer, with more entropy than it has;
    - hidden: the clean answer, with a context as far from the clean one as those of other images
      are on average (the control drift);
    - loglik: another option is the likeliest, and the clean one is less likely than before.
    """
    clean = answers.counterpart
    same = answers.answer == clean.answer
    other = ~same & (answers.answer >= 0)
    context = CHANNELS.index("context")
    moved, control = answers.drift[:, context], clean.control[:, context]
    entropies = ~np.isnan(answers.entropy - clean.entropy)
    by_goal = {
        "flip": only(np.ones_like(same), other),
        "sure": only(entropies, other & (answers.entropy <= clean.entropy)),
        "unsure": only(entropies, same & (answers.entropy > clean.entropy)),
        "hidden": only(~np.isnan(moved - control), same & (moved >= control)),
        "loglik": _other_option(answers),
    }
    found = np.full(len(answers), np.nan)
    for name, hits in by_goal.items():
        found = np.where(answers.goal == GOALS.index(name), hits, found)
    return found


def _other_option(answers: Answers) -> Floats:
    before, after = answers.counterpart.option_scores, answers.option_scores
    scored = any_number(before + after)
    best, now = (np.where(np.isnan(s), -np.inf, s).argmax(axis=1) for s in (before, after))
    rows = np.arange(len(answers))
    return only(scored, (after[rows, best] < before[rows, best]) & (now != best))


def _of_kind(answers: Answers, *kinds: str) -> Bools:
    return np.isin(answers.attack_kind, [ATTACK_KINDS.index(kind) for kind in kinds])


@dataclass(frozen=True)
class Success:
    """Whether each attack with one of the goals reaches it; controls are left out."""

    goals: tuple[str, ...] = GOALS

    def __call__(self, answers: Answers) -> Floats:
        """Return 1 or 0 of each attack, [N]."""
        aimed = np.isin(answers.goal, [GOALS.index(goal) for goal in self.goals])
        return only(aimed & _of_kind(answers, "own"), reached(answers))


@dataclass(frozen=True)
class ControlSuccess:
    """The share of an attack's controls that reach its goal.

    A control has all other parameters of the attack, on the same document.
    """

    kinds: tuple[str, ...]

    def __call__(self, answers: Answers) -> Floats:
        """Return the share for each attack, NaN without a control, [N]."""
        hits = only(_of_kind(answers, *self.kinds), reached(answers))
        known = ~np.isnan(hits)
        settings = int(answers.attack_setting.max(initial=0)) + 1
        pair = answers.document * settings + answers.attack_setting
        size = int(pair.max(initial=0)) + 1
        count = np.bincount(pair[known], minlength=size)
        total = np.bincount(pair[known], hits[known], size)
        share = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        attack = _of_kind(answers, "own") & (answers.goal >= 0)
        return only(attack, share[np.where(attack, pair, 0)])


def _attack(name: str, statistic: Statistic, description: str, cannot_tell: str) -> Metric:
    return Metric(
        name,
        statistic,
        description,
        higher_is_better=DOWN,
        sides=VARIANTS,
        requires=ATTACKS,
        cannot_tell=cannot_tell,
    )


METRICS = (
    _attack(
        "attack_success",
        Rate(Success()),
        "share of attacks that reach their goal",
        "whether noise of that size does the same: see `attack_over_control`",
    ),
    _attack(
        "attack_success_flip",
        Rate(Success(("flip",))),
        "share of attacks that change the answer to another label",
        "how close the other attacks came",
    ),
    _attack(
        "attack_success_sure",
        Rate(Success(("sure",))),
        "share of attacks that give another label no more entropy than the clean answer has",
        "as `attack_success_flip`",
    ),
    _attack(
        "attack_success_unsure",
        Rate(Success(("unsure",))),
        "share of attacks that raise the entropy of the answer, which is kept",
        "as `attack_success_flip`; half of all random signs do the same",
    ),
    _attack(
        "attack_success_hidden",
        Rate(Success(("hidden",))),
        "share of attacks that keep the answer and move the context as far as other images do",
        "as `attack_success_flip`",
    ),
    _attack(
        "attack_success_loglik",
        Rate(Success(("loglik",))),
        "share of attacks that make another option likelier, and the clean one less likely",
        "as `attack_success_flip`",
    ),
    _attack(
        "attack_over_control",
        RateDifference(Success(), other=ControlSuccess(("signs", "other", "noise"))),
        "success of attacks less that of their controls",
        "which control: see the next three",
    ),
    _attack(
        "attack_over_signs",
        RateDifference(Success(), other=ControlSuccess(("signs",))),
        "success of attacks less that of random signs of the same size",
        "what more steps or restarts would find",
    ),
    _attack(
        "attack_over_noise",
        RateDifference(Success(), other=ControlSuccess(("noise",))),
        "success of attacks less that of Gaussian noise whose largest value has the same size",
        "as `attack_over_signs`",
    ),
    _attack(
        "attack_over_other",
        RateDifference(Success(), other=ControlSuccess(("other",))),
        "success of attacks less that of the differences that attacks make to another image",
        "as `attack_over_signs`",
    ),
)
