"""Providers of masks by name."""

from collections.abc import Callable, Mapping

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.masks.boxes import Boxes
from vlm_confidence_tasks.masks.mask_provider import MaskProvider
from vlm_confidence_tasks.masks.sandbox import SandboxMasks


def provider(spec: str) -> MaskProvider:
    """Return the provider that a text names: NAME, or NAME:ARGUMENT,ARGUMENT.

    Args:
        spec: "sandbox"; "grounding_dino+sam", with hub ids or folders of both models if other
            than the usual are meant; "sam3" or "sam3:MODEL"; "boxes:FILE" of COCO's format.

    >>> provider("sandbox").name
    'sandbox/1'

    Raises:
        TaskError: There is no such provider, or it does not take these arguments.
    """
    name, _, rest = spec.partition(":")
    arguments = [argument.strip() for argument in rest.split(",")] if rest else []
    if name not in _PROVIDERS:
        raise TaskError(f"masks: unknown provider {name!r}; known: {', '.join(_PROVIDERS)}")
    make, counts, usage = _PROVIDERS[name]
    if len(arguments) not in counts or not all(arguments):
        raise TaskError(f"masks: {spec!r} is not understood: write {usage}")
    return make(*arguments)


def _grounding_dino_sam(*models: str) -> MaskProvider:
    from vlm_confidence_tasks.masks.grounding_dino_sam import GroundingDinoSam

    return GroundingDinoSam(*models)


def _sam3(*models: str) -> MaskProvider:
    from vlm_confidence_tasks.masks.sam3 import Sam3Masks

    return Sam3Masks(*models)


# name -> its maker, how many arguments that takes, and how it is written
_PROVIDERS: Mapping[str, tuple[Callable[..., MaskProvider], tuple[int, ...], str]] = {
    "sandbox": (SandboxMasks, (0,), "sandbox"),
    "grounding_dino+sam": (
        _grounding_dino_sam,
        (0, 2),
        "grounding_dino+sam or grounding_dino+sam:DETECTOR,SEGMENTER",
    ),
    "sam3": (_sam3, (0, 1), "sam3 or sam3:MODEL"),
    "boxes": (Boxes, (1,), "boxes:FILE"),
}
