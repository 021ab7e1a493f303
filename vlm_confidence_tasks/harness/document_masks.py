"""Which documents have masks of what their questions name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from loguru import logger

from vlm_confidence_tasks import perturbations, probe
from vlm_confidence_tasks.benchmarks.dataset import Documents, strict_decoding
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.masks import Mask, QuestionMasks
from vlm_confidence_tasks.types import Question, Variant


class DocumentMasks:
    """Looks for masks while a task builds its requests, and counts the documents without."""

    def __init__(self, masks: QuestionMasks, documents: Documents, max_side: int | None) -> None:
        """Take the documents.

        Args:
            masks: Finds what a question names, and keeps it for the run.
            documents: The task's.
            max_side: Longest side in pixels to which images are resized first; None: as stored.
        """
        self._masks = masks
        self._documents = documents
        self._max_side = max_side
        self._found: dict[int, bool] = {}
        # Of the last document alone, whose variants are asked about one after another.
        self._last: tuple[int, tuple[Mapping[str, Mask], ...]] = (-1, ())

    def can_show(self, variant: Variant, document: int, question: Question) -> bool:
        """Whether a variant can be made of each of a document's images.

        Raises:
            TaskError: The provider cannot be used.
        """
        if self._last[0] != document:
            self._last = (document, self._look(document, question))
            self._found[document] = all(self._last[1])
        return all(perturbations.can_show(variant, masks) for masks in self._last[1])

    def _look(self, document: int, question: Question) -> tuple[Mapping[str, Mask], ...]:
        try:
            with strict_decoding():
                images = self._documents.images(document)
        except Exception:
            # The run makes the same images, and names or counts the document that fails.
            return ()
        fitted = (perturbations.fit(image, self._max_side) for image in images)
        return tuple(self._masks.of(question, image) for image in fitted)

    def report(self, task: str) -> None:
        """Say how many documents have no masks; every process must call this.

        Raises:
            TaskError: None has.
        """
        counts = [Counter(part) for part in probe.gather(list(self._found.values()))]
        found, missing = (sum(count[kind] for count in counts) for kind in (True, False))
        if missing and not found:
            raise TaskError(
                f"task {task}: the mask set is empty: {self._masks.name} found nothing that any "
                f"of {missing} questions names: ask more of them, set on_missing: global, or name "
                "another provider in VLM_CONFIDENCE_MASKS (docs/masks.md)"
            )
        if missing:
            logger.info(
                f"task {task}: {missing} of {found + missing} documents have no mask; their "
                "perturbed images are left out"
            )
