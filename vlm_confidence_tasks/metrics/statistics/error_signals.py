"""How well signals tell wrong clean answers, alone, against the confidence, and joined.

A document is a row here: its clean answer, and what the answers to its variants add.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers, first_of_group
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints
from vlm_confidence_tasks.metrics.functional.entropy import visual_entropy
from vlm_confidence_tasks.metrics.functional.error_detection import (
    LogisticPair,
    best_pair,
    logistic_pair,
)
from vlm_confidence_tasks.metrics.functional.ranking import auroc, auroc_of_ranks, dense_ranks
from vlm_confidence_tasks.metrics.inference.clusters import (
    FEWEST_CLUSTERS,
    Interval,
    difference,
    seen_on,
    sides,
)
from vlm_confidence_tasks.metrics.inference.jackknife import (
    Scale,
    deleted_interval,
    jackknife_interval,
)
from vlm_confidence_tasks.metrics.inference.ties import auroc_interval, is_saturated
from vlm_confidence_tasks.metrics.statistics.calibration_errors import correct
from vlm_confidence_tasks.metrics.statistics.cross_fit import (
    CrossFit,
    Table,
    tables_without_groups,
)
from vlm_confidence_tasks.metrics.statistics.refitted import OfViews
from vlm_confidence_tasks.metrics.statistics.statistic import Take, Views, second_view
from vlm_confidence_tasks.types import CHANNELS

# The signal that others are held against: 1 - confidence.
BASE = "confidence"


def doubt(answers: Answers) -> Floats:
    """1 - confidence of the clean answers."""
    return 1.0 - answers.confidence


def entropy(answers: Answers) -> Floats:
    """Entropy of the clean answers, in nats."""
    return answers.entropy


def stated_doubt(answers: Answers) -> Floats:
    """1 - stated certainty of the clean answers."""
    return 1.0 - answers.stated


def answer_entropy(answers: Answers) -> Floats:
    """Entropy of the answers to the clean image and its variants, in nats."""
    assert answers.whole is not None
    perturbed = answers.whole.perturbed
    return _of_documents(answers, perturbed, visual_entropies(perturbed))


def context_drift(answers: Answers) -> Floats:
    """Mean drift of the context over the perturbed answers."""
    assert answers.whole is not None
    perturbed = answers.whole.perturbed
    drift = perturbed.drift[:, CHANNELS.index("context")]
    known = ~np.isnan(drift)
    size = int(answers.document.max(initial=-1)) + 1
    total = np.bincount(perturbed.document[known], drift[known], size)
    count = np.bincount(perturbed.document[known], minlength=size)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean[answers.document]


def middle_entropy(answers: Answers) -> Floats:
    """Logit-lens entropy of the middle layer of the clean answers, in nats."""
    depth = np.count_nonzero(~np.isnan(answers.layer_entropy), axis=1)
    middle = answers.layer_entropy[np.arange(len(answers)), depth // 2 * (depth > 0)]
    return np.where(depth > 0, middle, np.nan)


def _of_documents(answers: Answers, view: Answers, values: Floats) -> Floats:
    """Give each row of a view of documents the one number that another view has of it."""
    size = int(answers.document.max(initial=-1)) + 1
    found = np.full(size, np.nan)
    known = ~np.isnan(values)
    found[view.document[known]] = values[known]
    return found[answers.document]


def visual_entropies(answers: Answers) -> Floats:
    """Entropy of the answers to the clean image and a view's variants, one per document, nats.

    On the first row of each closed document; an answer that could not be read is one of its own.
    """
    found = first_of_group(answers.document, np.where(answers.labelled, 0.0, np.nan))
    rows = np.flatnonzero(~np.isnan(found))
    if not rows.size:
        return found
    shown = np.flatnonzero(answers.labelled)
    clean = answers.counterpart
    owner = np.concatenate([answers.document[rows], answers.document[shown]])
    said = np.concatenate([clean.answer[rows], answers.answer[shown]])
    width = int(said.max()) + 2
    counts = np.bincount(owner * width + said + 1, minlength=(int(owner.max()) + 1) * width)
    found[rows] = visual_entropy(counts.reshape(-1, width)[answers.document[rows]])
    return found


# AUROC of joined signals and of 1 - confidence, in each of some selections.
Areas = list[tuple[float | None, float | None]]
# Signals that a clean answer is wrong, greater where it is likelier.
SIGNALS: Mapping[str, Callable[[Answers], Floats]] = {
    BASE: doubt,
    "entropy": entropy,
    "verbal": stated_doubt,
    "visual_entropy": answer_entropy,
    "drift": context_drift,
    "layer_entropy": middle_entropy,
}


@dataclass(frozen=True, eq=False)
class Signals:
    """The signals of each document whose clean answer is right or wrong.

    An answer to a closed question that could not be read is left out, as in calibration.

    Attributes:
        image: The image, [D].
        second_half: Whether it is in the second half, [D].
        wrong: Whether the clean answer is wrong, [D].
        variants: Number of perturbed answers, [D].
        by_name: The signals, NaN where a document has none, [D] each.
    """

    image: Ints
    second_half: Bools
    wrong: Floats
    variants: Ints
    by_name: dict[str, Floats]

    def having(self, *names: str) -> Ints:
        """Return the documents that have all of some signals."""
        return np.flatnonzero(~np.isnan([self.by_name[name] for name in names]).any(axis=0))

    @cached_property
    def names(self) -> list[str]:
        """The signals that any document has, sorted."""
        return sorted(n for n, column in self.by_name.items() if not np.isnan(column).all())

    @cached_property
    def complete(self) -> Ints:
        """The documents that have every signal that any document has."""
        return self.having(*self.names)

    @cached_property
    def table(self) -> Floats:
        """The signals of these documents, in the order of their names, [complete, S]."""
        return np.column_stack([self.by_name[name][self.complete] for name in self.names])

    @cached_property
    def best(self) -> dict[bool, LogisticPair | None]:
        """The two signals that are best on each half of these documents; None without any."""
        wrong, half = self.wrong[self.complete], self.second_half[self.complete]
        return {
            second: best_pair(self.table[half == second], wrong[half == second])
            if (half == second).any()
            else None
            for second in (False, True)
        }


def signals(answers: Answers) -> Signals | None:
    """Return the signals of a view of documents; None without any."""
    assert answers.whole is not None
    asked = ~np.isnan(answers.correct) & ((answers.answer >= 0) | ~answers.labelled)
    columns = {name: signal(answers) for name, signal in SIGNALS.items()}
    rows = np.flatnonzero(asked & ~np.isnan(list(columns.values())).all(axis=0))
    if not rows.size:
        return None
    size = int(answers.document.max()) + 1
    variants = np.bincount(answers.whole.perturbed.document, minlength=size)
    return Signals(
        image=answers.image[rows],
        second_half=answers.second_half[rows],
        wrong=1.0 - answers.correct[rows],
        variants=variants[answers.document[rows]],
        by_name={name: column[rows] for name, column in columns.items()},
    )


@dataclass(frozen=True)
class SignalAuroc(OfViews):
    """AUROC of a signal for wrong clean answers; the interval is the jackknife's.

    Attributes:
        signal: Its name in `SIGNALS`.
    """

    signal: str

    @property
    def _takes(self) -> tuple[Take, ...]:
        return (correct,)

    def value(self, answers: Answers) -> float | None:
        """Return the AUROC; None with only right or only wrong answers."""
        parts = self._parts((answers,))
        return None if parts is None else self.measure(*parts[0][:2])

    def measure(self, scores: Floats, wrong: Floats) -> float | None:
        """Return the number, of the signals, [S, N], and whether answers are wrong, [N]."""
        return auroc(scores[0], wrong)

    @property
    def needed(self) -> tuple[str, ...]:
        """The signals that a document must have."""
        return (self.signal,)

    def _parts(self, views: Views) -> list[tuple[Floats, Floats, Ints]] | None:
        parts = []
        for answers in views:
            held = answers.once(signals)
            rows = np.empty(0, dtype=np.intp) if held is None else held.having(*self.needed)
            if held is None or not rows.size:
                return None
            scores = np.array([held.by_name[name][rows] for name in self.needed])
            parts.append((scores, held.wrong[rows], held.image[rows]))
        return parts

    def _interval(self, views: Views, level: float) -> Interval | None:
        parts = self._parts(views)
        if parts is None:
            return None
        scores = np.concatenate([part[0] for part in parts], axis=1)
        wrong, image = (np.concatenate([part[n] for part in parts]) for n in (1, 2))
        second = second_view([part[1].size for part in parts])
        return self._ranked(scores, wrong, image, second, level)

    def _ranked(
        self, scores: Floats, wrong: Floats, image: Ints, second: Bools | None, level: float
    ) -> Interval | None:
        return auroc_interval(scores[0], wrong, image, paired=second, level=level)


@dataclass(frozen=True)
class SignalGain(SignalAuroc):
    """AUROC of a signal less that of 1 - confidence, of the documents that have both."""

    @property
    def needed(self) -> tuple[str, ...]:
        """The signals that a document must have."""
        return (self.signal, BASE)

    def measure(self, scores: Floats, wrong: Floats) -> float | None:
        """Return the gain."""
        return _gain(auroc(scores[0], wrong), auroc(scores[1], wrong))

    def _ranked(
        self, scores: Floats, wrong: Floats, image: Ints, second: Bools | None, level: float
    ) -> Interval | None:
        errors = wrong > 0.0
        if _saturated(scores, errors, image, second):
            return _gain_of_two(scores, errors, image, second, level)
        if _few_errors(wrong, image, second):
            return None
        # Ranked once, for no group needs sorting then.
        one, base = (dense_ranks(column) for column in scores)
        return jackknife_interval(
            lambda rows: _gain(
                auroc_of_ranks(one[rows], errors[rows]), auroc_of_ranks(base[rows], errors[rows])
            ),
            image,
            paired=second,
            level=level,
        )


def _gain(one: float | None, base: float | None) -> float | None:
    return None if one is None or base is None else one - base


def _few_errors(wrong: Floats | Bools, image: Ints, second: Bools | None) -> bool:
    """Whether wrong, or right, answers are on too few images (`ranking_interval`)."""
    seen = [seen_on(image, event, second) for event in (wrong, 1.0 - wrong)]
    return min(seen) < FEWEST_CLUSTERS


def _saturated(scores: Floats, errors: Bools, image: Ints, second: Bools | None) -> bool:
    """Whether most of a signal's numbers are equal, in either condition: see `auroc_interval`."""
    return any(
        is_saturated(score[side], errors[side], image[side])
        for score in scores
        for side in sides(second, errors.size)
    )


def _gain_of_two(
    scores: Floats, errors: Bools, image: Ints, second: Bools | None, level: float
) -> Interval | None:
    """Return the gain's interval by MOVER from those of both AUROCs, without a correlation."""
    found = [
        auroc_interval(score[side], errors[side], image[side], level=level)
        for side in sides(second, errors.size)
        for score in scores[::-1]
    ]
    known = [interval for interval in found if interval is not None]
    if len(known) < len(found):
        return None
    gains = [difference(base, one, 0.0) for base, one in zip(known[::2], known[1::2], strict=True)]
    return gains[0] if len(gains) == 1 else difference(gains[0], gains[1], 0.0)


def joined_signals(answers: Answers) -> CrossFit | None:
    """Prepare the two signals that are best on the other half, joined by logistic regression.

    Of documents that have every signal that any document has. On some of the documents the
    signals are those that are best on all of them.
    """
    held = answers.once(signals)
    if held is None:
        return None
    owner, names = held.complete, held.names
    base = held.table[:, names.index(BASE)] if BASE in names else np.full(owner.size, np.nan)

    def fit(kept: Bools, table: Floats, wrong: Floats, base: Floats, half: Bools) -> Any:
        best = held.best[bool(half[0])]
        return best and logistic_pair(table, wrong, best.columns, best, kept)

    def apply(
        pair: LogisticPair, table: Floats, wrong: Floats, base: Floats, half: Bools
    ) -> dict[str, Floats]:
        chance = pair.chance(table)
        shown = {"wrong": wrong, BASE: base}
        return {"signal": chance} | {n: np.broadcast_to(c, chance.shape) for n, c in shown.items()}

    rows = (owner, (held.table, held.wrong[owner], base, held.second_half[owner]))
    return CrossFit(held.image, held.second_half, rows, rows, fit, apply)


@dataclass(frozen=True)
class PairAuroc(OfViews):
    """AUROC of two joined signals for wrong clean answers, fitted anew in the jackknife.

    Attributes:
        gain: Whether the AUROC of 1 - confidence for the same answers is taken off.
    """

    gain: bool = False

    @property
    def _takes(self) -> tuple[Take, ...]:
        return (correct,)

    def value(self, answers: Answers) -> float | None:
        """Return the AUROC, or the gain; None where no pair can be fitted."""
        fit = answers.once(joined_signals)
        return None if fit is None or fit.table is None else self._numbers(_areas(fit.table))[0]

    def _numbers(self, areas: Areas) -> list[float | None]:
        return [_gain(one, base) if self.gain else one for one, base in areas]

    def _interval(self, views: Views, level: float) -> Interval | None:
        fits = tuple(f for answers in views if (f := answers.once(joined_signals)) is not None)
        tables = [(fit, fit.table) for fit in fits if fit.table is not None]
        if len(tables) < len(views):
            return None
        wrong = np.concatenate([table.column("wrong") for _, table in tables])
        image = np.concatenate([fit.image[table.owner] for fit, table in tables])
        names = ("signal", BASE) if self.gain else ("signal",)
        scores = np.array(
            [np.concatenate([table.column(name) for _, table in tables]) for name in names]
        )
        second = second_view([t.owner.size for _, t in tables])
        if _few_errors(wrong, image, second) or _saturated(scores, wrong > 0.0, image, second):
            return None
        scale: Scale = "identity" if self.gain else "logit"
        without = [views[0].once(_areas_without_groups)] if len(fits) == 1 else _all_areas(fits)
        known = [self._numbers(areas) for areas in without if areas is not None]
        if len(known) < len(views):
            return None
        return deleted_interval(list(zip(*known, strict=True)), scale, level)


def _areas_without_groups(answers: Answers) -> Areas | None:
    fit = answers.once(joined_signals)
    return None if fit is None else _all_areas((fit,))[0]


def _all_areas(fits: tuple[CrossFit, ...]) -> list[Areas | None]:
    tables = tables_without_groups(fits)
    return [None if table is None else _areas(table) for table in tables]


def _areas(table: Table) -> Areas:
    """AUROC of joined signals, and of 1 - confidence, in each selection."""
    # Sorted once, for every other selection's sorting is then a pass.
    order = np.argsort(table.numbers["signal"][0])
    errors, base = table.column("wrong")[order] > 0, table.column(BASE)[order]
    ranks = None if np.isnan(base).any() else dense_ranks(base)
    return [
        (
            auroc_of_ranks(dense_ranks(signal[kept]), errors[kept]),
            None if ranks is None else auroc_of_ranks(ranks[kept], errors[kept]),
        )
        for signal, kept in zip(
            *(table.numbers["signal"].take(order, axis=1), table.kept.take(order, axis=1)),
            strict=True,
        )
    ]


def signal_prices(answers: Answers) -> dict[str, float]:
    """Return how many answers each signal of an error takes, on average over documents.

    "pair" has the joint price of the two signals that are best on a half, the mean of both
    halves. The clean answer is one of them; what it holds, its entropies by layer too, costs no
    other.
    """
    held = answers.documents.once(signals)
    if held is None:
        return {}

    def price(names: Collection[str], variants: Ints) -> float:
        shown = bool({"visual_entropy", "drift"} & set(names))
        return float(np.mean(1.0 + ("verbal" in names) + shown * variants))

    found = {name: price([name], held.variants[held.having(name)]) for name in held.names}
    pairs = [pair.columns for pair in held.best.values() if pair is not None]
    if pairs:
        named = [[held.names[column] for column in pair] for pair in pairs]
        found["pair"] = float(np.mean([price(names, held.variants) for names in named]))
    return found
