"""Reduces captured hidden states to the numbers that a task records."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from msgspec import structs

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.evaluation.blank_image import blank_request, is_blank
from vlm_confidence_tasks.evaluation.controls import (
    CleanVectors,
    OtherImages,
    Units,
    control_drifts,
    control_requests,
    with_controls,
)
from vlm_confidence_tasks.evaluation.request import Request, RequestKey
from vlm_confidence_tasks.metrics import cosine_drift, l2_distance
from vlm_confidence_tasks.types import CHANNELS, CLEAN, Inside

Spectrum = Mapping[str, float]
Vectors = Mapping[str, npt.NDArray[np.float32]]
# One mapping for all answers without controls, of which a run holds many.
_NO_CONTROL: Mapping[str, float] = {}


class Representations:
    """The hidden states of a run, reduced to numbers block by block.

    A block's vectors are held in float32 until its variants are compared with their clean
    images. Until the end of the run only unit vectors in float16 are held: those of each clean
    answer, for the control drift, which needs all images of the run, and the context of each
    blank image. Controls with the same question are compared as they come.
    """

    def __init__(self) -> None:
        """Start without hidden states."""
        self.compared = False
        self._captured: dict[RequestKey, tuple[probe.HiddenStates, Spectrum]] = {}
        self._units: dict[RequestKey, Units] = {}
        self._blanks: dict[RequestKey, RequestKey] = {}
        self._measured: dict[RequestKey, Inside] = {}
        # Stored apart, as four bytes per number, since large models have many layers.
        self._layers: dict[RequestKey, npt.NDArray[np.float32]] = {}
        self._controls: dict[tuple[str, int], Mapping[str, float]] = {}
        self._images: dict[str, OtherImages] = {}
        # Of each document: keys of the controls with its own question.
        self._same: dict[tuple[str, int], tuple[RequestKey, ...]] = {}
        self._askers: dict[RequestKey, set[RequestKey]] = {}
        # By control and the clean key that it is held against.
        self._same_drifts: dict[tuple[RequestKey, RequestKey], Mapping[str, float]] = {}

    def take(
        self,
        request: Request,
        captured: probe.HiddenStates,
        position: int | None,
        spectrum: Spectrum,
    ) -> None:
        """Add the hidden states of a response.

        Without a position of the answer among its label steps it has no layer entropies. The
        spectrum is the power of the images shown, by band; empty for blank ones.
        """
        vectors = _vectors(captured)
        if is_blank(request.variant):
            self._units[request.key] = _units({"context": vectors["context"]})
            return
        if request.other is not None:
            units = _units(vectors)
            for clean in self._askers[request.key] & self._units.keys():
                self._same_drifts[request.key, clean] = _drifts(self._units[clean], units)
            return
        # Copied, since a view would keep the entropies of all steps alive.
        chosen = [] if position is None else [position]
        layers = captured.layer_entropy[chosen].flatten()
        self._captured[request.key] = replace(captured, layer_entropy=layers), spectrum
        if request.variant == CLEAN:
            self._units[request.key] = _units(vectors)

    def blank_requests(
        self, clean: Iterable[tuple[Request, Sequence[tuple[int, int]]]]
    ) -> list[Request]:
        """Return the requests about blank images without a response, one for each key.

        They have the widths and heights of those clean images.
        """
        new: dict[RequestKey, Request] = {}
        for request, sizes in clean:
            blank = blank_request(request, sizes)
            self._blanks[request.key] = blank.key
            if blank.key not in self._units:
                new.setdefault(blank.key, blank)
        return list(new.values())

    def control_requests(self, requests: Iterable[Request]) -> list[Request]:
        """Return the controls that ask the same question about other images, one for each key.

        They must be answered after all requests of the tasks themselves. Where the task itself asks
        that question about the other image, its own request serves as the control.
        """
        new: dict[RequestKey, Request] = {}
        for request in with_controls(requests):
            task = request.task
            if task.name not in self._images:
                self._images[task.name] = OtherImages(task.documents)
            controls = control_requests(request, self._images[task.name])
            self._same[task.name, request.document] = tuple(one.key for one in controls)
            for control in controls:
                self._askers.setdefault(control.key, set()).add(request.key)
                if (control.key, request.key) not in self._same_drifts:
                    new.setdefault(control.key, control)
        return [control for key, control in new.items() if key not in self._units]

    def reduce(self, block: Iterable[Request]) -> None:
        """Compare a block's vectors with their clean ones, and drop them.

        Failed requests have no vectors and are left out.
        """
        for request in block:
            key = request.key
            if key in self._captured and self._blanks.get(request.clean) in self._units:
                self._measured[key] = self._compare(request)
                self._layers[key] = self._captured[key][0].layer_entropy
        self._captured.clear()

    def _compare(self, request: Request) -> Inside:
        captured, spectrum = self._captured[request.key]
        vectors = _vectors(captured)
        clean = {} if request.variant == CLEAN else _vectors(self._captured[request.clean][0])
        blank = self._units[self._blanks[request.clean]].get("context")
        return Inside(
            drift=_drifts(clean, vectors),
            distance={n: l2_distance(clean[n], v) for n, v in vectors.items() if n in clean},
            control=_NO_CONTROL,
            control_same=_NO_CONTROL,
            prior_drift=None if blank is None else cosine_drift(captured.context, blank),
            prior_probs=None,
            dirichlet_energy=captured.dirichlet_energy,
            layer_entropy=(),
            spectrum=spectrum,
        )

    def compare_images(self, requests: Iterable[Request]) -> None:
        """Compute the control drift of all documents; every process must call it with its requests.

        The clean vectors of all processes are gathered, so that the result does not depend on
        the number of processes.
        """
        self.compared = True
        local: dict[str, dict[int, CleanVectors]] = {}
        for request in requests:
            key = request.key
            if request.representations and request.variant == CLEAN and key in self._units:
                vectors = CleanVectors(
                    request.document, key.image.source, key.prompt, self._units[key]
                )
                local.setdefault(request.task.name, {})[request.document] = vectors
        gathered = probe.gather(local)
        for name, documents in local.items():
            vectors_of_all: dict[int, CleanVectors] = {}
            for part in gathered:
                vectors_of_all |= part.get(name, {})
            drifts = control_drifts(vectors_of_all.values(), documents)
            self._controls |= {(name, index): control for index, control in drifts.items()}

    def record(self, request: Request) -> Inside:
        """Return the record of a response, without the probabilities on the blank image."""
        layers = tuple(map(float, self._layers[request.key]))
        inside = structs.replace(self._measured[request.key], layer_entropy=layers)
        if request.variant != CLEAN:
            return inside
        control = self._controls[request.task.name, request.document]
        return structs.replace(inside, control=control, control_same=self._control_same(request))

    def _control_same(self, request: Request) -> dict[str, float]:
        """Return a document's mean drift to the same question about other images, by channel."""
        drifts = [self._drift_to(key, request.key) for key in self.controls(request)]
        found = {}
        for channel in CHANNELS:
            values = [drift[channel] for drift in drifts if channel in drift]
            if values:
                found[channel] = math.fsum(values) / len(values)
        return found

    def _drift_to(self, control: RequestKey, clean: RequestKey) -> Mapping[str, float]:
        if control in self._units:
            return _drifts(self._units[clean], self._units[control])
        return self._same_drifts[control, clean]

    def controls(self, request: Request) -> tuple[RequestKey, ...]:
        """Return the keys of the controls that ask the question of a request's document."""
        return self._same.get((request.task.name, request.document), ())

    def blank(self, request: Request) -> RequestKey | None:
        """Return the key of a clean request's blank request; None for other requests.

        Tasks that capture nothing may share the clean request's key; they need no blank image.
        """
        return self._blanks.get(request.key) if request.representations else None


def _vectors(captured: probe.HiddenStates) -> Vectors:
    named = ((name, getattr(captured, name)) for name in CHANNELS)
    return {name: vector for name, vector in named if vector is not None}


def _drifts(one: Units | Vectors, other: Units | Vectors) -> dict[str, float]:
    """Return the drift between two answers by channel, of the channels that both have."""
    drifts = {name: cosine_drift(one[name], other[name]) for name in one if name in other}
    return {name: drift for name, drift in drifts.items() if drift is not None}


def _units(vectors: Vectors) -> Units:
    """Normalise vectors to length 1; zero vectors are left out."""
    lengths = {name: float(np.linalg.norm(v.astype(np.float64))) for name, v in vectors.items()}
    return {
        name: (vectors[name] / length).astype(np.float16)
        for name, length in lengths.items()
        if length
    }
