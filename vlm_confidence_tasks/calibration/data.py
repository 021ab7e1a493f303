"""Questions become examples: a noised image, the question how sure one is, and the confidence."""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import msgspec
import numpy as np
import pyarrow.parquet
from PIL import Image
from tqdm import tqdm

from vlm_confidence_tasks.benchmarks import second_turn
from vlm_confidence_tasks.calibration.config import DataConfig
from vlm_confidence_tasks.calibration.sources import Asked
from vlm_confidence_tasks.errors import TaskError, one_line
from vlm_confidence_tasks.perturbations import image_digest, perturb
from vlm_confidence_tasks.report.formats.whole import replacing
from vlm_confidence_tasks.types import Question

Masks = Mapping[str, Any]
MasksOf = Callable[[Question, Image.Image], Masks]
Example = dict[str, Any]

TRAIN, HELD_OUT = "train", "test"
# How many examples of each split there are: what is read must be all of them.
FINISHED = "finished.json"
# Rows in a file, and in memory at once.
SHARD = 2000

_MESSAGES = [{"role": datasets.Value("string"), "content": datasets.Value("string")}]
FEATURES = datasets.Features(
    {
        "image": datasets.Image(),
        # Conversations, as TRL reads them: of one message each.
        "prompt": _MESSAGES,
        "chosen": _MESSAGES,
        # None where the confidence is its own opposite.
        "rejected": _MESSAGES,
        "confidence": datasets.Value("float64"),
        "shown": datasets.Value("float64"),
        "question": datasets.Value("string"),
        "answer": datasets.Value("string"),
        "question_id": datasets.Value("string"),
        "image_id": datasets.Value("string"),
        "image_sha256": datasets.Value("string"),
    }
)


@dataclass
class Counts:
    """What became of the questions.

    Attributes:
        no_mask: Of how many none of the things was found: these are left out.
        images: Digests of the images, by split.
        held_out_rows: Rows of the source about images that are held out.
    """

    questions: int = 0
    no_mask: int = 0
    examples: dict[str, int] = field(default_factory=lambda: {TRAIN: 0, HELD_OUT: 0})
    images: dict[str, set[str]] = field(default_factory=lambda: {TRAIN: set(), HELD_OUT: set()})
    held_out_rows: list[int] = field(default_factory=list)


def percent(confidence: float) -> str:
    """Return a confidence as the model is to state it.

    >>> percent(0.7)
    '70%'
    """
    return f"{round(100 * confidence)}%"


def preference(confidence: float) -> tuple[str, str | None]:
    """Return what is chosen, c%, and rejected, (100 - c)%; nothing is rejected at 50%.

    Source: arXiv 2504.14848.

    >>> preference(0.7), preference(0.5)
    (('70%', '30%'), ('50%', None))
    """
    chosen, rejected = percent(confidence), percent(1 - confidence)
    return chosen, rejected if rejected != chosen else None


def split_of(digest: str, held_out: float, seed: int) -> str:
    """Return the split of an image: a function of its digest, the share held out and the seed."""
    drawn = _generator("split", digest, seed).random()
    return HELD_OUT if drawn < held_out else TRAIN


def draw_confidences(digest: str, question: str, config: DataConfig) -> list[tuple[float, float]]:
    """Draw the confidences of a question's copies: (that the noise leaves, that is stated).

    They are the same unless `config.shuffled`: then both are drawn on their own.
    """
    rng = _generator("confidences", digest, config.seed, question)
    count = min(config.copies or len(config.confidences), len(config.confidences))
    shown = rng.choice(config.confidences, count, replace=False)
    stated = rng.choice(config.confidences, count, replace=False) if config.shuffled else shown
    return [(float(a), float(b)) for a, b in zip(shown, stated, strict=True)]


def _generator(purpose: str, digest: str, seed: int, question: str = "") -> np.random.Generator:
    text = "\n".join((purpose, digest, str(seed), question))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest(), "big"))


def examples(
    asked: Iterable[Asked], masks_of: MasksOf, config: DataConfig, counts: Counts
) -> Iterator[tuple[str, Example]]:
    """Yield (split, example) of each question about an image, and keep the counts up to date.

    One that came before, or of whose things no mask is found, is left out.
    """
    seen: set[tuple[str, str]] = set()
    for one in asked:
        digest = image_digest(one.image)
        split = split_of(digest, config.held_out, config.seed)
        if split == HELD_OUT and one.row is not None:
            counts.held_out_rows.append(one.row)
        text = one.question.asked or one.question.prompt
        if (digest, text) in seen:
            continue
        seen.add((digest, text))
        counts.questions += 1
        masks = masks_of(one.question, one.image)
        if not masks:
            counts.no_mask += 1
            continue
        counts.images[split].add(digest)
        # Each question has noise of its own, of which its copies show more and more.
        noise = int(_generator("noise", digest, config.seed, text).integers(2**32))
        for shown, stated in draw_confidences(digest, text, config):
            image = perturb(
                one.image,
                "object_noise",
                seed=noise,
                given={"masks": masks},
                digest=digest,
                confidence=shown,
                where=config.where,
                gamma=config.gamma,
                t_max=config.t_max,
                schedule=config.schedule,
            )
            counts.examples[split] += 1
            yield split, _row(one, digest, image, shown, stated, config.person)


def _row(
    one: Asked, digest: str, image: Image.Image, shown: float, stated: float, person: str
) -> Example:
    chosen, rejected = preference(stated)
    return {
        "image": {"bytes": _png(image), "path": None},
        "prompt": _message("user", second_turn(person, one.question, one.answer, one.answer)),
        "chosen": _message("assistant", chosen),
        "rejected": None if rejected is None else _message("assistant", rejected),
        "confidence": stated,
        "shown": shown,
        "question": one.question.asked or one.question.prompt,
        "answer": one.answer,
        "question_id": one.question.question_id,
        "image_id": one.question.image_id,
        "image_sha256": digest,
    }


def _message(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def write_examples(
    asked: Iterable[Asked],
    masks_of: MasksOf,
    config: DataConfig,
    output: Path,
    quiet: bool = True,
) -> Counts:
    """Write examples as parquet files, `<split>-00000.parquet` and so on, and how many there are.

    The folder must be new or hold no parquet file; it holds none before all are written.

    Raises:
        TaskError: There is no example to train on, or the folder holds data.
    """
    if any(output.glob("*.parquet")):
        raise TaskError(f"{output}: holds data already: name another folder, or delete it")
    counts = Counts()
    shards: dict[str, int] = {TRAIN: 0, HELD_OUT: 0}
    waiting: dict[str, list[Example]] = {TRAIN: [], HELD_OUT: []}

    def write(split: str, folder: Path) -> None:
        file = folder / f"{split}-{shards[split]:05d}.parquet"
        datasets.Dataset.from_list(waiting[split], features=FEATURES).to_parquet(str(file))
        shards[split] += 1
        waiting[split] = []

    made = examples(asked, masks_of, config, counts)
    with replacing(output) as new:
        for split, row in tqdm(made, desc="Examples", unit=" examples", disable=quiet):
            waiting[split].append(row)
            if len(waiting[split]) == SHARD:
                write(split, new)
        if not counts.examples[TRAIN]:
            raise TaskError(_nothing(counts))
        for split, rows in waiting.items():
            if rows:
                write(split, new)
        (new / FINISHED).write_text(json.dumps(counts.examples) + "\n")
    return counts


def _nothing(counts: Counts) -> str:
    if counts.no_mask == counts.questions:
        return (
            f"no mask was found for any of {counts.questions} questions: name another provider "
            "with --masks, or questions that name things in their images"
        )
    return (
        f"no image is left to train on: those of all {counts.questions - counts.no_mask} "
        "questions with masks are held out; give more images, or a lower data.held_out"
    )


def load_examples(folder: Path, split: str = TRAIN) -> datasets.Dataset:
    """Read the examples of a split, or raise TaskError."""
    files: Sequence[Path] = sorted(folder.glob(f"{split}-*.parquet"))
    if not files:
        raise TaskError(
            f"{folder}: no file {split}-*.parquet in it: make it with vlm-confidence csp data"
        )
    if (there := sum(map(_rows, files))) != (written := _finished(folder)[split]):
        raise TaskError(
            f"{folder}: {there} of {written} {split} examples in it: copy or make the data again"
        )
    rows = datasets.Dataset.from_parquet([str(file) for file in files])
    if lacking := sorted(set(FEATURES) - set(rows.column_names)):
        raise TaskError(f"{files[0]}: has no column {lacking[0]!r}: not of vlm-confidence csp data")
    return rows


def _rows(file: Path) -> int:
    try:
        return int(pyarrow.parquet.read_metadata(file).num_rows)
    except (pyarrow.ArrowException, OSError) as error:
        what = f"no parquet file ({one_line(error)})"
        raise TaskError(f"{file}: {what}: copy or make the data again") from error


def _finished(folder: Path) -> dict[str, int]:
    """Return how many examples of each split were written."""
    file = folder / FINISHED
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, int])
    except (OSError, msgspec.MsgspecError) as error:
        raise TaskError(
            f"{file}: cannot be read ({one_line(error)}): the data is not whole, or of an earlier "
            "release; make it again with vlm-confidence csp data"
        ) from error
