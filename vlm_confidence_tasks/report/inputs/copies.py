"""Copies: results of one task under several names that one set of answers stands behind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from vlm_confidence_tasks.metrics import Answers, Sample
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats

# By as much numbers of one model differ between engines, devices and batch sizes.
ROUNDING = 1e-5
# In so many documents, or in this share of them, a copy may have been changed.
CHANGED, CHANGED_SHARE = 2, 0.001
# Continuous numbers of single answers; a stated certainty is one of few words.
_NUMBERS = (
    *("entropy", "entropy_answer", "entropy_low", "logprob", "confidence", "confidence_low"),
    *("answer_mass", "margin", "option_scores"),
)
Run = TypeVar("Run")


@dataclass(frozen=True, eq=False)
class Signature:
    """What tells a run's answers from another's: 20 bytes a document, of documents in one order.

    Attributes:
        document: Digest of each document's identity, [N], increasing.
        answers: Digest of the answers to it, clean and perturbed, [N].
        number: Mean of their entropies, confidences and other numbers, NaN without any, [N].
        tells: Whether no other document has the same number, [N]. Where a model saturates, or has
            one number for each label, another model may have it too.
        samples: Digest of all that the samples hold, where no number tells; else empty.
    """

    document: NDArray[np.uint64]
    answers: NDArray[np.uint64]
    number: NDArray[np.float32]
    tells: Bools
    samples: bytes

    @classmethod
    def of(cls, samples: Sequence[Sample], answers: Answers) -> Signature:
        """Take the signature of some documents, of which `answers` is the table."""
        document = _digests([*sample.identity] for sample in samples)
        said = _digests(_said(sample) for sample in samples)
        order = np.argsort(document, kind="stable")
        number = _means(answers, len(samples))[order]
        tells = _alone(number)
        whole = b"" if tells.any() else _digest_of_all(samples)
        return cls(document[order], said[order], number, tells, whole)


@dataclass(frozen=True)
class Agreement:
    """How far two runs agree.

    Attributes:
        documents: How many documents both have.
        agree: Of how many of these answers and numbers are the same.
        is_copy: Whether one set of answers stands behind both.
    """

    documents: int
    agree: int
    is_copy: bool

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.agree:,} of {self.documents:,} documents"


def agreement(first: Signature, second: Signature) -> Agreement:
    """Hold two runs of a task against each other.

    One is a copy of the other if the samples are equal; or if answers and numbers agree in more
    than 99.9% of the documents that both have, or in all but two. Of models that answer alike and
    saturate alike, answers and numbers say nothing: so most documents whose number no other
    document has must be among those that agree.
    """
    if np.array_equal(first.document, second.document):
        one, other = (np.arange(first.document.size),) * 2
    else:
        _, one, other = np.intersect1d(
            first.document, second.document, assume_unique=True, return_indices=True
        )
    a, b = first.number[one], second.number[other]
    same = first.answers[one] == second.answers[other]
    same &= np.isclose(a, b, ROUNDING, ROUNDING, equal_nan=True)
    telling = same[first.tells[one] | second.tells[other]]
    changed = int((~same).sum())
    few = changed <= CHANGED or changed < CHANGED_SHARE * same.size
    told = few and 2 * int(telling.sum()) > telling.size
    equal = first.samples == second.samples != b""
    return Agreement(same.size, same.size - changed, told or equal)


def copies(runs: Iterable[tuple[Run, Signature]]) -> Iterator[tuple[Run, Run, Agreement]]:
    """Yield each run of a task that is a copy of one before it, with that one."""
    counted: list[tuple[Run, Signature]] = []
    for run, signature in runs:
        held = ((first, agreement(known, signature)) for first, known in counted)
        found = next((pair for pair in held if pair[1].is_copy), None)
        if found is None:
            counted.append((run, signature))
        else:
            yield run, *found


def _alone(numbers: NDArray[np.float32]) -> Bools:
    """Whether each number is known and no other is the same within rounding, [N]."""
    order = np.argsort(numbers)
    there = numbers[order]
    apart = np.append(True, ~np.isclose(there[1:], there[:-1], ROUNDING, ROUNDING))
    alone = np.empty(order.size, dtype=bool)
    alone[order] = apart & np.append(apart[1:], True) & ~np.isnan(there)
    return alone


def _said(sample: Sample) -> list[object]:
    readouts = (sample.clean, *sample.variants)
    return [(r.text if r.answer is None else r.answer, r.verbal_confidence) for r in readouts]


def _digests(items: Iterable[list[object]]) -> NDArray[np.uint64]:
    # Python's own hash is another in every process.
    made = [hashlib.blake2b(msgspec.json.encode(one), digest_size=8).digest() for one in items]
    return np.frombuffer(b"".join(made), dtype=np.uint64)


def _digest_of_all(samples: Sequence[Sample]) -> bytes:
    lines = sorted(msgspec.json.encode(sample) for sample in samples)
    return hashlib.sha256(b"\n".join(lines)).digest()


def _means(answers: Answers, documents: int) -> NDArray[np.float32]:
    """Return the mean of all numbers of each document, by its place among the samples, [N]."""
    columns: list[Floats] = [getattr(answers, name) for name in _NUMBERS]
    table = np.column_stack(columns)
    known = ~np.isnan(table)
    sums = np.where(known, table, 0.0).sum(axis=1)
    total = np.bincount(answers.position, sums, documents)
    count = np.bincount(answers.position, known.sum(axis=1), documents)
    # Numbers of a broken file may be too large for 32 bits, or for 64 together.
    with np.errstate(over="ignore"):
        mean = total / np.where(count, count, np.nan)
        return mean.astype(np.float32)
