"""Exact masks of the sandbox's images, which are drawn anew from their scenes."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from PIL import Image

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.masks.mask_provider import Mask, union
from vlm_confidence_tasks.perturbations import image_digest
from vlm_confidence_tasks.sandbox.render import pale
from vlm_confidence_tasks.sandbox.world import Scene, evaluation_scenes

# Packaged data sets (POPE, AMBER, SEED-Bench, MMMU), and how many scenes at most they have, also
# where `scripts/sandbox/generate_sandbox_data.py` was asked for more images.
_ROOMS = (1, 2, 3, 4)
_SCENES = 200


def thing_mask(scene: Scene, name: str) -> Mask | None:
    """Return the pixels, [H, W], that change when things are taken out of a scene; None without.

    Their name is colour and shape, or a shape alone; the scene is drawn as by `pale`.
    """
    left = tuple(thing for thing in scene.things if name not in (thing.name, thing.shape))
    if len(left) == len(scene.things):
        return None
    drawn, without = (np.asarray(pale(each)) for each in (scene, replace(scene, things=left)))
    changed: Mask = (drawn != without).any(axis=-1)
    return changed


class SandboxMasks:
    """Knows the scene of each image by its pixels."""

    name = "sandbox/1"

    def __init__(self, scenes: Iterable[Scene] | None = None) -> None:
        """Take the scenes whose images may be asked about; None: those of the packaged data."""
        packaged = (scene for room in _ROOMS for scene in evaluation_scenes(room, _SCENES))
        self._given = packaged if scenes is None else scenes

    @cached_property
    def _scenes(self) -> dict[str, Scene]:
        return {image_digest(pale(scene)): scene for scene in self._given}

    def mask(self, image: Image.Image, phrases: Sequence[str], image_id: str = "") -> Mask | None:
        """Return where any of the named things is drawn; None if none of them is."""
        scene = self._scenes.get(image_digest(image))
        if scene is None:
            raise TaskError(
                f"masks: the provider sandbox knows no such image of {image.size}: it serves the "
                "sandbox's own data at their own size; name another in VLM_CONFIDENCE_MASKS"
            )
        return union(thing_mask(scene, phrase) for phrase in phrases)
