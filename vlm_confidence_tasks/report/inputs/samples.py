"""Reading a samples file: what metrics are computed from, and what pages show beside it.

A leaderboard reads millions of rows, so msgspec decodes a line straight into typed
records, checks their types and skips the keys that nobody reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

import msgspec

from vlm_confidence_tasks.metrics import Sample
from vlm_confidence_tasks.types import Inside, Readout, Scalar, Variant

# Samples, each with some of its readouts.
Answers = Sequence[tuple[Sample, Sequence[Readout]]]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class SamplesError(ValueError):
    """A samples file cannot be read; names the file and line."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured document.

    Attributes:
        question_id: Its id in the data set.
        category: The benchmark's sub-category; question ids may begin anew in each.
        image_sha256: Digest of the clean image as it was shown.
        prompt: The text put to the model, "" where it was no plain text.
        sample: What metrics are computed from.
    """

    question_id: str
    category: str
    image_sha256: str
    prompt: str
    sample: Sample


@dataclass(frozen=True)
class SamplesFile:
    """The rows of a samples file.

    Attributes:
        rows: The documents that were measured.
        failed: How many documents were not, and are in no number.
    """

    rows: Sequence[Row]
    failed: int = 0

    @cached_property
    def samples(self) -> list[Sample]:
        """What metrics are computed from, in the file's order."""
        return [row.sample for row in self.rows]

    @cached_property
    def clean(self) -> Answers:
        """Every sample with its clean readout, as often as `_clean` metrics count it."""
        return [(sample, sample.paired_clean) for sample in self.samples]

    @cached_property
    def perturbed(self) -> Answers:
        """Every sample with the perturbed readouts that pooled metrics count."""
        return [(sample, sample.perturbed) for sample in self.samples]

    @property
    def digest(self) -> str:
        """SHA-256 of the questions, images and right answers, whatever their order."""
        items = sorted(
            msgspec.json.encode((row.question_id, row.category, row.image_sha256, row.sample.gold))
            for row in self.rows
        )
        return hashlib.sha256(b"\n".join(items)).hexdigest()


class _Readout(msgspec.Struct, gc=False):
    """A `types.Readout` as its `to_dict` writes it."""

    variant: str
    parameters: dict[str, Scalar]
    seed: int
    family: str
    control: bool
    image_sha256: str
    text: str
    answer: str | None
    correct: bool | None
    entropy: float | None
    token_entropy: tuple[float, ...] | None
    logprob: float | None
    probs: dict[str, Share] | None
    answer_mass: Share | None
    answer_step: int | None
    confidence: Share | None
    margin: float | None
    gold_margin: float | None
    entropy_low: float | None = None
    entropy_high: float | None = None
    verbal_text: str | None = None
    verbal_confidence: Share | None = None
    option_logprob: dict[str, float] | None = None
    option_logprob_mean: dict[str, float] | None = None
    inside: Inside | None = None
    overlay_label: str | None = None
    entropy_answer: float | None = None
    position_unknown: bool = False


class _Row(msgspec.Struct, gc=False):
    """A line; one of a document that failed holds no readouts and is not scored."""

    question_id: str
    image_id: str
    image_sha256: str
    gold: str | None
    labels: tuple[str, ...]
    positive: str | None
    readouts: list[_Readout]
    upstream_clean: float | None = None
    category: str = ""
    input: Any = ""
    failed: str | None = None


_DECODER = msgspec.json.Decoder(_Row)
# The fields after `variant`, in the order of the record itself.
_FIELDS = attrgetter(*list(Readout.__dataclass_fields__)[1:])


def read_samples(path: Path) -> SamplesFile:
    """Read a samples file that a perturbed task wrote.

    Samples that failed, which a run may be allowed, are counted and left out.

    Raises:
        SamplesError: There is no such file, it is empty, or a line is torn or is not
            from a perturbed task.
    """
    try:
        with path.open("rb") as lines:
            rows = [_read_line(line, f"{path}, line {n}") for n, line in enumerate(lines, 1)]
    except OSError as error:
        raise SamplesError(f"{path}: cannot be read: {error}") from error
    measured = [row for row in rows if row is not None]
    if not measured:
        why = "every document in it failed" if rows else "no line in it"
        raise SamplesError(f"{path}: {why}")
    return SamplesFile(measured, len(rows) - len(measured))


def documents(rows: Iterable[Row], path: Path) -> dict[tuple[str, str, str], Sample]:
    """Return the documents of a samples file by question, category and image.

    POPE counts its questions anew in each category, about the same images.

    Raises:
        SamplesError: Two rows are the same question on the same image.
    """
    found: dict[tuple[str, str, str], Sample] = {}
    for number, row in enumerate(rows, 1):
        key = (row.question_id, row.category, row.image_sha256)
        if key in found:
            raise SamplesError(f"{path}, line {number}: question {key[0]} is there twice")
        found[key] = row.sample
    return found


def _read_line(line: bytes, where: str) -> Row | None:
    """Read a line; None if its document failed."""
    try:
        record = _DECODER.decode(line)
        return _row(record) if record.failed is None else None
    except msgspec.ValidationError as error:
        raise SamplesError(f"{where}: {error}; is it from a task of this package?") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SamplesError(f"{where}: not JSON ({error}); was its run interrupted?") from error
    except ValueError as error:
        raise SamplesError(f"{where}: {error}") from error


def _row(record: _Row) -> Row:
    check_agreement(record)
    clean, *variants = map(_readout, record.readouts)
    return Row(
        question_id=record.question_id,
        category=record.category,
        image_sha256=record.image_sha256,
        prompt=record.input if isinstance(record.input, str) else "",
        sample=Sample(
            image_id=record.image_id,
            gold=record.gold,
            labels=record.labels,
            positive=record.positive,
            clean=clean,
            variants=tuple(variants),
            upstream_clean=record.upstream_clean,
        ),
    )


def _readout(record: _Readout) -> Readout:
    parameters = tuple(sorted(record.parameters.items()))
    variant = Variant(record.variant, parameters, record.seed, record.family, record.control)
    return Readout(variant, *_FIELDS(record))


def check_agreement(record: _Row) -> None:
    """Check what metrics rely on between the fields of a row.

    Raises:
        ValueError: An answer or a key is none of the labels, or of fields that are there
            together one is missing.
    """
    if not record.readouts:
        raise ValueError("no readouts in it")
    labels = set(record.labels)
    for number, readout in enumerate(record.readouts):
        where = f"readout {number}: "
        answer, inside = readout.answer, readout.inside
        if answer is not None and answer not in labels:
            raise ValueError(f"{where}answer is {answer[:40]!a}, which is none of the labels")
        named = readout.overlay_label
        if named is not None and named not in labels:
            raise ValueError(f"{where}overlay_label is {named[:40]!a}, which is none of the labels")
        if (readout.confidence is None) != (answer is None or readout.probs is None):
            raise ValueError(f"{where}answer, probs and confidence do not fit together")
        if readout.position_unknown and readout.probs is not None:
            raise ValueError(f"{where}position_unknown and probs do not fit together")
        if (readout.option_logprob is None) != (readout.option_logprob_mean is None):
            raise ValueError(f"{where}option_logprob and option_logprob_mean do not fit together")
        for key in ("probs", "option_logprob", "option_logprob_mean"):
            _check_keys(f"{where}{key}", getattr(readout, key), labels)
        if inside is not None and inside.prior_probs is not None:
            _check_keys(f"{where}inside: prior_probs", inside.prior_probs, labels)
            if not all(0 <= share <= 1 for share in inside.prior_probs.values()):
                raise ValueError(f"{where}inside: prior_probs are not numbers from 0 to 1")


def _check_keys(what: str, held: Mapping[str, float] | None, labels: Iterable[str]) -> None:
    if held is not None and held.keys() != labels:
        raise ValueError(f"{what} has other keys than the labels")
