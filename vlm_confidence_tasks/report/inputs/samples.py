"""Reading a samples file: what metrics are computed from, and what pages show beside it.

A leaderboard reads millions of rows, so msgspec decodes a line straight into typed
records, checks their types and skips the keys that nobody reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from vlm_confidence_tasks.report.inputs.problems import ReportError
from vlm_confidence_tasks.types import CLEAN, Readout, Sample


class SamplesError(ReportError):
    """A samples file cannot be read; names the file and line."""


@dataclass(frozen=True)
class SamplesFile:
    """The documents of a samples file.

    Attributes:
        samples: Those that were measured, in the file's order.
        failed: How many documents were not, and are in no number.
    """

    samples: Sequence[Sample]
    failed: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 of the questions, images and right answers, whatever their order."""
        items = sorted(msgspec.json.encode((*s.identity, s.gold)) for s in self.samples)
        return hashlib.sha256(b"\n".join(items)).hexdigest()


class _Line(msgspec.Struct, gc=False):
    """A line; one of a document that failed holds no readouts and is not scored."""

    question_id: str
    image_id: str
    gold: str | None
    labels: tuple[str, ...]
    positive: str | None
    readouts: list[Readout]
    upstream_clean: float | None = None
    category: str = ""
    input: Any = ""
    failed: str | None = None


_DECODER = msgspec.json.Decoder(_Line)
# A confidence and its bounds are sums of the same numbers in another order.
SAME = 1e-9


def read_samples(path: Path) -> SamplesFile:
    """Read a samples file that a perturbed task wrote.

    Samples that failed, which a run may be allowed, are counted and left out.

    Raises:
        SamplesError: There is no such file, it is empty, a line is torn or is not from a
            perturbed task, or a question has two.
    """
    check_regular(path)
    try:
        with path.open("rb") as lines:
            read = [_read_line(line, f"{path}, line {n}") for n, line in filled(lines)]
    except OSError as error:
        raise SamplesError(f"{path}: cannot be read: {error}") from error
    check_once([question for question, _ in read], path)
    measured = [sample for _, sample in read if sample is not None]
    if not measured:
        why = "every document in it failed" if read else "no line in it"
        raise SamplesError(f"{path}: {why}")
    return SamplesFile(measured, len(read) - len(measured))


def check_regular(path: Path) -> None:
    """Refuse what has no end: a pipe would keep the command waiting, a device fill the memory.

    Raises:
        SamplesError: The path is that of a folder, a pipe or a device.
    """
    if path.exists() and not path.is_file():
        raise SamplesError(f"{path}: is no regular file")


def filled(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file with their numbers, without blank ones at its end."""
    blank: list[tuple[int, bytes]] = []
    for pair in enumerate(lines, 1):
        blank.append(pair)
        if pair[1].strip():
            yield from blank
            blank.clear()


def check_once(questions: Iterable[tuple[str, str]], path: Path) -> None:
    """Refuse a file that would count a question twice.

    Args:
        questions: Question id and category of each line; ids may begin anew in each category.
        path: The file.

    Raises:
        SamplesError: It would.
    """
    first: dict[tuple[str, str], int] = {}
    for number, question in enumerate(questions, 1):
        earlier = first.setdefault(question, number)
        if earlier != number:
            raise SamplesError(
                f"{path}, line {number}: question {question[0]} is there twice, in line {earlier} "
                "too: was the file put together from others?"
            )


def documents(samples: Iterable[Sample]) -> dict[tuple[str, str, str], Sample]:
    """Return the documents of a samples file by identity."""
    return {sample.identity: sample for sample in samples}


def _read_line(text: bytes, where: str) -> tuple[tuple[str, str], Sample | None]:
    """Read a line: question id and category, and the sample, None if its document failed."""
    try:
        line = _DECODER.decode(text)
        question = line.question_id, line.category
        return question, _sample(line) if line.failed is None else None
    except msgspec.ValidationError as error:
        raise SamplesError(f"{where}: {error}; is it from a task of this package?") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SamplesError(f"{where}: not JSON ({error}); was its run interrupted?") from error
    except ValueError as error:
        raise SamplesError(f"{where}: {error}") from error


def _sample(line: _Line) -> Sample:
    check_agreement(line)
    clean, *variants = line.readouts
    return Sample(
        image_id=line.image_id,
        gold=line.gold,
        labels=line.labels,
        positive=line.positive,
        clean=clean,
        variants=tuple(variants),
        upstream_clean=line.upstream_clean,
        question_id=line.question_id,
        category=line.category,
        prompt=line.input if isinstance(line.input, str) else "",
    )


def check_agreement(line: _Line) -> None:
    """Check what metrics rely on between the fields of a line.

    Raises:
        ValueError: An answer or a key is none of the labels, or of fields that are there
            together one is missing.
    """
    if not line.readouts:
        raise ValueError("no readouts in it")
    shown = [readout.perturbation == CLEAN.perturbation for readout in line.readouts]
    if not shown[0] or any(shown[1:]):
        raise ValueError("its first readout, and no other, must be of the clean image")
    labels = set(line.labels)
    for number, readout in enumerate(line.readouts):
        wrong = _disagreement(readout, labels)
        if wrong is not None:
            raise ValueError(f"readout {number}: {wrong}")


def _disagreement(readout: Readout, labels: Set[str]) -> str | None:
    for name, label in (("answer", readout.answer), ("overlay_label", readout.overlay_label)):
        if label is not None and label not in labels:
            return f"{name} is {label[:40]!a}, which is none of the labels"
    if not _fits(readout):
        return "answer, probs and confidence do not fit together"
    if readout.refused and readout.answer is not None:
        return "answer and refused do not fit together"
    if readout.position_unknown and readout.probs is not None:
        return "position_unknown and probs do not fit together"
    if (readout.option_logprob is None) != (readout.option_logprob_mean is None):
        return "option_logprob and option_logprob_mean do not fit together"
    prior = None if readout.inside is None else readout.inside.prior_probs
    for name, numbers in (
        ("probs", readout.probs),
        ("option_logprob", readout.option_logprob),
        ("option_logprob_mean", readout.option_logprob_mean),
        ("inside: prior_probs", prior),
    ):
        if numbers is not None and numbers.keys() != labels:
            return f"{name} has other keys than the labels"
    return None


def _fits(readout: Readout) -> bool:
    """Whether an answer has a confidence where it must, and only where it may, in its bounds."""
    low, high, confidence = readout.confidence_low, readout.confidence_high, readout.confidence
    if readout.answer is None or low is None or high is None:
        known = readout.answer is not None and readout.probs is not None
        return known == (confidence is not None) and low is None and high is None
    if confidence is None:
        return readout.probs is None and low <= high
    return low - SAME <= confidence <= high + SAME
