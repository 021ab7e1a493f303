"""A samples file, read fast: only what tables, figures and pages show.

`samples.read_samples` reads the same files into `Document`s for the metrics themselves.
A leaderboard reads millions of rows, so this reader decodes straight into typed
records and skips the rest of the line (msgspec: an eighth of the time of `json`).
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from vlm_confidence_tasks.report.inputs.samples import SamplesError
from vlm_confidence_tasks.types import Variant


class Answer(msgspec.Struct, gc=False, frozen=True):
    """One of a row's readouts; the fields are those of `types.Readout`."""

    variant: str
    parameters: dict[str, bool | int | float | str]
    seed: int
    family: str
    control: bool
    image_sha256: str
    text: str
    answer: str | None
    correct: bool | None
    entropy: float | None
    confidence: float | None
    margin: float | None

    def as_variant(self) -> Variant:
        """Return what was shown."""
        parameters = tuple(sorted(self.parameters.items()))
        return Variant(self.variant, parameters, self.seed, self.family, self.control)


class Row(msgspec.Struct, gc=False, frozen=True):
    """One document: the question and the answers to it, the clean one first."""

    question_id: str
    image_id: str
    image_sha256: str
    gold: str | None
    labels: list[str]
    readouts: list[Answer]
    category: str = ""
    input: Any = ""
    failed: str | None = None

    @property
    def clean(self) -> Answer:
        """The answer to the clean image."""
        return self.readouts[0]

    @property
    def perturbed(self) -> list[Answer]:
        """The answers that pooled metrics count: not the controls, unless all are."""
        variants = self.readouts[1:]
        return [answer for answer in variants if not answer.control] or variants


class Rows:
    """The rows of a samples file.

    Attributes:
        rows: Those that were measured.
        failed: How many documents were not, and are in no number.
    """

    def __init__(self, rows: list[Row], failed: int = 0) -> None:
        """Keep the rows."""
        self.rows = rows
        self.failed = failed

    @cached_property
    def pairs(self) -> list[tuple[Row, Answer]]:
        """Every instance: a row and one of its counted perturbed answers."""
        return [(row, answer) for row in self.rows for answer in row.perturbed]

    @cached_property
    def clean(self) -> list[tuple[Row, Answer]]:
        """Every row and its clean answer."""
        return [(row, row.clean) for row in self.rows]

    @property
    def digest(self) -> str:
        """Digest of the questions and images asked and of the right answers, in any order."""
        asked = sorted(
            msgspec.json.encode((row.question_id, row.category, row.image_sha256, row.gold))
            for row in self.rows
        )
        return hashlib.sha256(b"\n".join(asked)).hexdigest()


_DECODER = msgspec.json.Decoder(Row)


def read_rows(path: Path) -> Rows:
    """Read a samples file.

    Raises:
        SamplesError: It cannot be read, is empty, or a line is torn or is not from a
            perturbed task.
    """
    rows: list[Row] = []
    try:
        with path.open("rb") as lines:
            for line in lines:
                rows.append(_DECODER.decode(line))
                if not rows[-1].readouts and rows[-1].failed is None:
                    raise SamplesError(f"{path}, line {len(rows)}: no readouts in it")
    except msgspec.ValidationError as error:
        raise SamplesError(
            f"{path}, line {len(rows) + 1}: {error}; is it from a task of this package?"
        ) from error
    except msgspec.DecodeError as error:
        where = f"{path}, line {len(rows) + 1}"
        raise SamplesError(f"{where}: not JSON ({error}); was its run interrupted?") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SamplesError(f"{path}: cannot be read: {error}") from error
    if not rows:
        raise SamplesError(f"{path}: no line in it")
    whole = [row for row in rows if row.failed is None]
    if not whole:
        raise SamplesError(f"{path}: every document in it failed")
    return Rows(whole, len(rows) - len(whole))
