"""From vectors captured in the model to the numbers that a task records of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.harness.blanks import ask_blank, is_blank
from vlm_confidence_tasks.harness.controls import Shown, Units, control_drifts
from vlm_confidence_tasks.harness.plan import Ask, Key
from vlm_confidence_tasks.metrics import cosine_drift, l2_distance
from vlm_confidence_tasks.types import CLEAN, Inside

CHANNELS = ("context", "answer", "vision")

Sizes = Sequence[tuple[int, int]]
Spectrum = Mapping[str, float]
Vectors = Mapping[str, npt.NDArray[np.float32]]


class Insides:
    """What was captured of a run's answers, reduced to numbers block by block.

    A block's vectors are held in float32 until its variants are compared with their clean
    images. What stays is, of each clean answer, vectors of length 1 in two bytes a number,
    for the control drift, which needs all images of the run; and one of each blank image.

    Attributes:
        compared: Whether the images of the run have been compared with each other.
    """

    def __init__(self) -> None:
        """Start with nothing captured."""
        self.compared = False
        self._captured: dict[Key, tuple[probe.Captured, Spectrum]] = {}
        self._units: dict[Key, Units] = {}
        self._blanks: dict[Key, Key] = {}
        self._found: dict[Key, Inside] = {}
        # Apart from the rest, four bytes a number: large models have many layers.
        self._layers: dict[Key, npt.NDArray[np.float32]] = {}
        self._controls: dict[tuple[str, int], Mapping[str, float]] = {}

    def take(self, ask: Ask, captured: probe.Captured, spectrum: Spectrum) -> None:
        """Take in what was captured of an answer.

        Args:
            ask: What was asked.
            captured: In the model.
            spectrum: Of the images shown; of a blank one, empty.
        """
        vectors = _vectors(captured)
        if is_blank(ask.variant):
            self._units[ask.key] = _units({"context": vectors["context"]})
            return
        self._captured[ask.key] = captured, spectrum
        if ask.variant == CLEAN:
            self._units[ask.key] = _units(vectors)

    def blanks(self, asked: Iterable[tuple[Ask, Sizes]]) -> list[Ask]:
        """Return what is to be asked about blank images, each thing once in the run.

        Args:
            asked: Asks of clean images, and the sizes of these.
        """
        new: dict[Key, Ask] = {}
        for ask, sizes in asked:
            blank = ask_blank(ask, sizes)
            self._blanks[ask.key] = blank.key
            if blank.key not in self._units:
                new.setdefault(blank.key, blank)
        return list(new.values())

    def reduce(self, block: Iterable[Ask]) -> None:
        """Compare the answers of a block with their clean ones, and let the vectors go.

        Of an answer that failed nothing was captured, and nothing is compared with it.
        """
        for ask in block:
            if ask.key in self._captured and self._blanks.get(ask.clean) in self._units:
                self._found[ask.key] = self._compared(ask)
                self._layers[ask.key] = self._captured[ask.key][0].layer_entropy
        self._captured.clear()

    def _compared(self, ask: Ask) -> Inside:
        captured, spectrum = self._captured[ask.key]
        vectors = _vectors(captured)
        clean = {} if ask.variant == CLEAN else _vectors(self._captured[ask.clean][0])
        pairs = {name: (clean[name], vectors[name]) for name in vectors if name in clean}
        drifts = {name: cosine_drift(*pair) for name, pair in pairs.items()}
        blank = self._units[self._blanks[ask.clean]].get("context")
        return Inside(
            drift={name: drift for name, drift in drifts.items() if drift is not None},
            distance={name: l2_distance(*pair) for name, pair in pairs.items()},
            control={},
            prior_drift=None if blank is None else cosine_drift(captured.context, blank),
            prior_probs=None,
            dirichlet_energy=captured.dirichlet_energy,
            layer_entropy=(),
            spectrum=spectrum,
        )

    def compare_images(self, asks: Iterable[Ask]) -> None:
        """Work out the control drift of all documents; every process must call it.

        Which other images a document is held against does not depend on processes: the
        clean vectors of all are gathered.

        Args:
            asks: All asks of this process.
        """
        self.compared = True
        mine: dict[str, dict[int, Shown]] = {}
        for ask in asks:
            key = ask.key
            if ask.task.plan.representations and ask.variant == CLEAN and key in self._units:
                shown = Shown(ask.document, key.shown.source, key.prompt, self._units[key])
                mine.setdefault(str(ask.task.task_name), {})[ask.document] = shown
        gathered = probe.gather(mine)
        for name, documents in mine.items():
            everywhere: dict[int, Shown] = {}
            for theirs in gathered:
                everywhere |= theirs.get(name, {})
            found = control_drifts(everywhere.values(), documents)
            self._controls |= {(name, index): drifts for index, drifts in found.items()}

    def record(self, ask: Ask) -> Inside:
        """Return what a task records of an answer; the blank's probabilities are not in it."""
        layers = tuple(map(float, self._layers[ask.key]))
        inside = replace(self._found[ask.key], layer_entropy=layers)
        if ask.variant != CLEAN:
            return inside
        return replace(inside, control=self._controls[str(ask.task.task_name), ask.document])

    def blank(self, ask: Ask) -> Key | None:
        """Return the key of the blank image that a clean ask is held against, if it is one."""
        return self._blanks.get(ask.key)


def _vectors(captured: probe.Captured) -> Vectors:
    named = ((name, getattr(captured, name)) for name in CHANNELS)
    return {name: vector for name, vector in named if vector is not None}


def _units(vectors: Vectors) -> Units:
    """Divide vectors by their length; one of length 0 has no direction and is left out."""
    return dict(_unit_items(vectors))


def _unit_items(vectors: Vectors) -> Iterator[tuple[str, npt.NDArray[np.float16]]]:
    for name, vector in vectors.items():
        length = float(np.linalg.norm(vector.astype(np.float64)))
        if length:
            yield name, (vector / length).astype(np.float16)
