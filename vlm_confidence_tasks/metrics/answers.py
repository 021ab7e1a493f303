"""All answers of a task in one table, one row per answer, and the views that metrics are taken of.

A number that an answer does not have is NaN, a label that it does not have is -1. Rows are in
one order whatever the order of documents, so that no number depends on it: by image, question
and category, and of a document the clean answer first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np

from vlm_confidence_tasks.metrics.columns import columns_of
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints, any_number
from vlm_confidence_tasks.metrics.functional.spectra import BANDS
from vlm_confidence_tasks.types import CHANNELS, Sample

Made = TypeVar("Made")
_NO_ROWS: Ints = np.empty(0, dtype=np.intp)
# What a confidence is read from: the generated answer, a stated certainty, the options' texts.
Source = Literal["generated", "stated", "options"]


class _Column:
    """A column: of a whole table it is stored, of a view it is taken when it is first used."""

    def __init__(self, description: str) -> None:
        self.description = description

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, answers: Answers | None, owner: type) -> Any:
        if answers is None:
            return self
        if answers.whole is None:
            raise AttributeError(f"the table has no column {self.name}")
        taken = getattr(answers.whole, self.name)[answers.whole_rows]
        answers.__dict__[self.name] = taken
        return taken


def column(description: str) -> Any:
    """Declare a column of the table by what it holds."""
    return _Column(description)


class Answers:
    """Answers of a task: columns of equal length, [N], one row per answer.

    `perturbed`, `clean`, `documents` and `family` are views: tables of some of the rows, in which
    a row may be there several times. Each row of a view has a `counterpart`.
    """

    document: Ints = column("number of the document")
    position: Ints = column("place of the document among those that the table was made of")
    image: Ints = column("number of the image, in the order of names: the cluster of intervals")
    second_half: Bools = column("whether the image is in the second half (cross-fitting)")
    row: Ints = column("number of the row in the whole table")
    clean_row: Ints = column("row of the clean answer to the same document")
    family: Ints = column("number of the perturbation's family in `families`, -1 if clean")
    counted: Bools = column("perturbed answers that pooled metrics count: no controls, pixels once")
    in_family: Bools = column("perturbed answers that the family's metrics count: pixels once")
    labelled: Bools = column("whether the question is closed")
    answer: Ints = column("the answer, as a number of the document's labels")
    gold: Ints = column("the right answer, as a number of the document's labels")
    correct: Floats = column("1 if the answer is right, 0 if it is wrong or could not be read")
    upstream: Floats = column("upstream's own score of the clean answer")
    gold_positive: Floats = column('1 if the right answer is the positive label (POPE: "Yes")')
    said_positive: Floats = column("1 if the answer is the positive label")
    said: Floats = column('1 if the answer is "Yes", 0 if it is "No"')
    asks_yes_no: Bools = column('whether "Yes" is a label of a question with a positive label')
    finds_yes: Bools = column('whether "Yes" is the positive label')
    gold_said: Floats = column('1 if the right answer is "Yes", 0 if it is "No"')
    overlay_right: Floats = column("1 if a text overlay named the right answer, 0 if another")
    entropy: Floats = column("mean token entropy, nats")
    entropy_answer: Floats = column("entropy at the answer position, nats")
    entropy_low: Floats = column("lower bound of the mean entropy, nats")
    entropy_high: Floats = column("upper bound of the mean entropy, nats")
    logprob: Floats = column("mean log-probability of the tokens, nats")
    position_unknown: Bools = column("whether the answer position is unknown")
    refused: Floats = column("1 if the answer is a refusal, 0 if not")
    truncated: Bools = column("whether the engine says that it was cut off")
    filtered: Bools = column("whether a server's content filter withheld it or a part of it")
    other_model: Bools = column("whether another model answered than was asked")
    confidence: Floats = column("probability of the answer among the labels")
    confidence_low: Floats = column("lower bound of the confidence")
    confidence_high: Floats = column("upper bound of the confidence")
    answer_mass: Floats = column("probability of all labels at the answer position")
    margin: Floats = column("ln p(best label) - ln p(second), nats")
    gold_margin: Floats = column("ln p(right label) - ln p(best other), nats")
    probs: Floats = column("probability of each label, [N, labels]")
    uniform: Floats = column("a number in [0, 1) of the document, for randomised sets")
    stated: Floats = column("stated certainty")
    asked_certainty: Bools = column("whether a second turn asked for the certainty")
    option_scores: Floats = column("ln p of each option's text, nats, [N, labels]")
    option_mean_answer: Ints = column("the option that is likeliest by its mean over tokens")
    inside: Bools = column("whether hidden states were measured")
    drift: Floats = column("1 - cos with the clean vector, [N, channels]")
    distance: Floats = column("L2 distance to the clean vector, [N, channels]")
    control: Floats = column("clean: mean 1 - cos with other images' vectors, [N, channels]")
    control_same: Floats = column("clean: the same, of the same question, [N, channels]")
    prior_drift: Floats = column("1 - cos of the context with a blank image's")
    prior_margin: Floats = column("distance of the margin to a blank image's, nats")
    dirichlet_energy: Floats = column("energy of the vision tokens")
    layer_entropy: Floats = column("logit-lens entropy of each layer, nats, [N, layers]")
    spectrum: Floats = column("mean power of the image, [N, bands]")
    goal: Ints = column("goal of an attack or its control, as a number of `GOALS`")
    attack_kind: Ints = column("the attack, or which control, as a number of `ATTACK_KINDS`")
    attack_setting: Ints = column("number of the setting that attack and control share")
    noise_confidence: Floats = column("confidence that noise on the named things leaves; 1 clean")

    def __init__(self, families: tuple[str, ...], columns: Mapping[str, Any]) -> None:
        """Hold the columns of a whole table.

        Args:
            families: The families that were shown.
            columns: All columns, by name.
        """
        self.families = families
        self.whole: Answers | None = None
        self.whole_rows, self.counterpart_row = _NO_ROWS, _NO_ROWS
        self.__dict__.update(columns)

    @classmethod
    def of(cls, samples: Iterable[Sample], images: Sequence[str] | None = None) -> Answers:
        """Make the table of some documents.

        Args:
            samples: The documents; none gives an empty table.
            images: All names of images, sorted, for tables that are compared with each other;
                None: those of the samples.

        Raises:
            ValueError: A number is NaN or infinite.
        """
        given = list(samples)
        names: list[tuple[str, ...]]
        names = [(s.image_id, s.question_id, s.category, s.image_sha256) for s in given]
        if len(set(names)) < len(names):
            # Samples without ids: in the order of what they hold.
            names = [(*name, repr(s)) for name, s in zip(names, given, strict=True)]
        order = sorted(range(len(given)), key=names.__getitem__)
        families, columns = columns_of([given[n] for n in order], images)
        position = np.array(order, dtype=np.intp)[columns["document"]]
        return cls(families, {**columns, "position": position})

    def __len__(self) -> int:
        """Number of rows."""
        return int(self.row.size)

    @cached_property
    def perturbed(self) -> Answers:
        """The perturbed answers that pooled metrics count, each beside the clean one."""
        rows = np.flatnonzero(self.counted)
        return self._view(rows, self.clean_row[rows])

    @cached_property
    def clean(self) -> Answers:
        """The clean answer, once for each row of `perturbed` and beside it.

        So both views count the same documents with the same weights, and the difference of two
        means over all answers is the mean of the paired differences.
        """
        return self.perturbed.counterpart

    @cached_property
    def documents(self) -> Answers:
        """The clean answer of every document once, also of those without a perturbed one."""
        rows = np.flatnonzero(self.is_clean)
        return self._view(rows, rows)

    @cached_property
    def clean_once(self) -> Answers:
        """The clean answer to each document in a view, once."""
        assert self.whole is not None
        rows = np.unique(self.clean_row)
        return self.whole._view(rows, rows)

    @cached_property
    def variants(self) -> Answers:
        """Every perturbed answer, controls and equal pixels too."""
        rows = np.flatnonzero(~self.is_clean)
        return self._view(rows, self.clean_row[rows])

    @cached_property
    def shown(self) -> Answers:
        """The clean answer of every document, and the perturbed answers that count."""
        rows = np.flatnonzero(self.is_clean | self.counted)
        return self._view(rows, self.clean_row[rows])

    @property
    def is_clean(self) -> Bools:
        """Whether a row is of a clean image."""
        clean: Bools = self.row == self.clean_row
        return clean

    def of_family(self, name: str) -> Answers:
        """Return a family's perturbed answers, controls too, each beside the clean one."""
        number = self.families.index(name) if name in self.families else len(self.families)
        rows = np.flatnonzero(self.in_family & (self.family == number))
        # Of a single family it is the same view, of which nothing is made twice.
        alone = np.array_equal(rows, self.perturbed.row)
        return self.perturbed if alone else self._view(rows, self.clean_row[rows])

    @cached_property
    def counterpart(self) -> Answers:
        """The other answer of each row's pair: clean beside perturbed, perturbed beside clean."""
        assert self.whole is not None
        view = self.whole._view(self.counterpart_row, self.row)
        view.counterpart = self
        return view

    def where(self, rows: Bools | Ints) -> Answers:
        """Return some rows of a view, with their counterparts."""
        assert self.whole is not None
        return self.whole._view(self.row[rows], self.counterpart_row[rows])

    def _check_whole(self) -> None:
        if self.whole is not None:
            raise ValueError("views are made of a whole table, not of another view")

    def _view(self, rows: Ints, counterparts: Ints) -> Answers:
        self._check_whole()
        view = Answers(self.families, {"row": rows})
        view.whole, view.whole_rows, view.counterpart_row = self, rows, counterparts
        return view

    def with_columns(self, **columns: Any) -> Answers:
        """Return a whole table with other columns in the place of some."""
        self._check_whole()
        return Answers(self.families, {name: getattr(self, name) for name in COLUMNS} | columns)

    def read_from(self, source: Source) -> Answers:
        """Return a whole table with the confidence of a source in place of the generated one.

        - "stated": the stated certainty, of answers that could be read, as the token's is;
        - "options": the likeliest option as the answer, its share in the likelihood of all as
          the confidence, and these shares as the labels' probabilities.
        """
        if source == "generated":
            self._check_whole()
            return self
        if source == "stated":
            known = (self.answer >= 0) | ~self.labelled
            blank = np.full_like(self.probs, np.nan)
            confidence = np.where(known, self.stated, np.nan)
            return self.with_columns(confidence=confidence, probs=blank)
        scored = any_number(self.option_scores)
        shares = _shares(self.option_scores)
        answer = np.where(scored, _best(self.option_scores), -1)
        correct = np.where(np.isnan(self.correct) | ~scored, np.nan, answer == self.gold)
        confidence = np.where(scored, np.nanmax(shares, axis=1, initial=0.0), np.nan)
        return self.with_columns(
            labelled=scored,
            answer=answer,
            correct=correct,
            confidence=confidence,
            probs=shares,
        )

    def of_channel(self, channel: str) -> Answers:
        """Return the whole table with one channel's vectors alone: their columns are [N]."""
        number = CHANNELS.index(channel)
        return self.with_columns(
            drift=self.drift[:, number],
            distance=self.distance[:, number],
            control=self.control[:, number],
            control_same=self.control_same[:, number],
        )

    def of_band(self, band: str) -> Answers:
        """Return the whole table with one band's power alone: `spectrum` is [N]."""
        return self.with_columns(spectrum=self.spectrum[:, BANDS.index(band)])

    def label_prob(self, label: Ints) -> Floats:
        """Return the probability of one label of each row, NaN where there is none, [N]."""
        found = np.full(len(self), np.nan)
        known = np.flatnonzero((label >= 0) & (label < self.probs.shape[1]))
        found[known] = self.probs[known, label[known]]
        return found

    def once(self, make: Callable[[Answers], Made]) -> Made:
        """Make something of this table that several metrics share, at the first call.

        Args:
            make: A function or a frozen record that can be called; equal ones are made once.
        """
        if make not in self._made:
            self._made[make] = make(self)
        made: Made = self._made[make]
        return made

    @cached_property
    def _made(self) -> dict[Any, Any]:
        return {}


# What each column holds, by name.
COLUMNS = {n: c.description for n, c in vars(Answers).items() if isinstance(c, _Column)}


def first_of_group(group: Ints, values: Floats) -> Floats:
    """Keep one number per group of rows: the greatest, on the first row that has one, [N].

    Args:
        group: The group of each row, such as its document, [N].
        values: One number per row, NaN where there is none, [N].
    """
    rows = np.flatnonzero(~np.isnan(values))
    groups, first, index = np.unique(group[rows], return_index=True, return_inverse=True)
    greatest = np.full(groups.size, -np.inf)
    np.maximum.at(greatest, index, values[rows])
    found = np.full(values.size, np.nan)
    found[rows[first]] = greatest
    return found


def _best(scores: Floats) -> Ints:
    """Return the number of the greatest score of each row, the first of equals, [N]."""
    if not scores.shape[1]:
        return np.full(len(scores), -1)
    best: Ints = np.where(np.isnan(scores), -np.inf, scores).argmax(axis=1)
    return best


def _shares(scores: Floats) -> Floats:
    """Return exp(score) / sum of exp(scores) of each row, of gaps, so that equal ones tie."""
    gaps = scores - np.nanmax(scores, axis=1, keepdims=True, initial=-np.inf)
    weights = np.exp(gaps)
    total = np.nansum(weights, axis=1, keepdims=True)
    shares: Floats = weights / np.where(total > 0, total, np.nan)
    return shares
