"""What earlier runs answered, and where this one's answers are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lmms_eval.api.instance import GenerationResult, TokenCounts, unwrap_generation_output
from loguru import logger

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.harness.cache import CacheFolder
from vlm_confidence_tasks.harness.identity import UnknownWeights, ask_key, captured, model_identity
from vlm_confidence_tasks.harness.journal import Entry, Journal
from vlm_confidence_tasks.harness.packing import Given, pack, unpack
from vlm_confidence_tasks.harness.plan import Ask

SUBFOLDER = "vlm_confidence"

Answer = tuple[Any, probe.Reading | None]


class Kept:
    """Answers by what was asked, in a journal; without one there are none.

    Attributes:
        folder: That the user named; None: nothing is kept.
        reused: How many answers were taken from the journal.
        added: How many were put into it.
    """

    def __init__(self, folder: Path | None = None, model: str = "", rank: int = 0) -> None:
        """Open the journal of a folder.

        Args:
            folder: What `--use_cache` names.
            model: Identity of the model.
            rank: Of this process.
        """
        self.folder = folder
        self.reused = self.added = 0
        self._model = model
        self._journal = None if folder is None else Journal(folder / SUBFOLDER, rank)

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    def find(self, ask: Ask, image_sha256: Callable[[], str]) -> Answer | None:
        """Return what the adapter returned when this was asked before, and its reading.

        Args:
            ask: What is asked.
            image_sha256: Makes the image and gives its digest.
        """
        if not self._journal:
            return None
        packed = self._journal.find(ask_key(self._model, ask, image_sha256()), captured(ask))
        if packed is None:
            return None
        self.reused += 1
        given = unpack(packed)
        counts = None if given.token_counts is None else TokenCounts(**given.token_counts)
        return GenerationResult(given.text, counts), given.reading

    def add(self, answers: Iterable[tuple[Ask, str, Answer]]) -> None:
        """Keep answers, each with the digest of the image that was shown."""
        if self._journal is None:
            return
        entries = [self._entry(*answer) for answer in answers]
        if entries:
            self._journal.add(entries)
            self.added += len(entries)

    def _entry(self, ask: Ask, image_sha256: str, answer: Answer) -> Entry:
        returned, reading = answer
        text, counts = unwrap_generation_output(returned)
        given = Given(text, None if counts is None else vars(counts), reading)
        return Entry(ask_key(self._model, ask, image_sha256), captured(ask), pack(given))

    def summary(self, rank: int, ranks: int) -> str | None:
        """Return what is to be said at the end, None if nothing is kept."""
        if self._journal is None:
            return None
        whose = f"rank {rank}: " if ranks > 1 else ""
        line = f"{whose}reused {self.reused} of {self.reused + self.added} answers"
        damaged = self._journal.damaged
        return line if not damaged else f"{line}; damaged and asked again: {damaged}"


def open_kept(lm: Any, model: Any, cache: CacheFolder | None, rank: int) -> Kept:
    """Open the journal that a run is to use.

    Args:
        lm: The adapter.
        model: The transformers model in it, or None.
        cache: What the harness was told to use; None if `--use_cache` was not given.
        rank: Of this process.
    """
    if cache is None:
        return Kept()
    try:
        identity = model_identity(lm, model, cache.model_args)
    except UnknownWeights as error:
        logger.warning(
            f"--use_cache: answers of {type(lm).__name__} are not kept, for they could not be "
            f"told from those of other weights: {error}"
        )
        return Kept()
    return Kept(cache.folder, identity, rank)
