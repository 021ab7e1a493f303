"""Running a perturbation on an image."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image

from vlm_confidence_tasks.perturbations.perturbation import Perturbation
from vlm_confidence_tasks.perturbations.registry import get
from vlm_confidence_tasks.perturbations.seeding import generator, image_digest, require_rgb
from vlm_confidence_tasks.types import CLEAN, Scalar, Variant


def perturb(
    image: Image.Image,
    name: str,
    *,
    seed: int = 0,
    phrase: str | None = None,
    digest: str | None = None,
    **parameters: object,
) -> Image.Image:
    """Return a perturbed copy of an RGB image; the image itself is left alone.

    Args:
        image: What to perturb. Convert other modes to RGB first.
        name: A registered perturbation (`names()`).
        seed: The number of the draw; 0 where the perturbation draws nothing.
        phrase: What a text overlay says; None for every other perturbation.
        digest: The image's `image_digest`, where the caller has it already.
        **parameters: The perturbation's own.

    >>> perturb(Image.new("RGB", (4, 2)), "pad_crop", n=1).size
    (6, 4)

    Raises:
        ValueError: The image is not RGB, the name or a parameter is unknown, a
            parameter is missing or bad, or the perturbation leaves no image.
    """
    perturbation = get(name)
    values = perturbation.complete(parameters)
    return _run(image, perturbation, values, check_seed(perturbation, seed), phrase, digest)


def apply(
    image: Image.Image, variant: Variant, *, phrase: str | None = None, digest: str | None = None
) -> Image.Image:
    """Return the image as a variant shows it: `perturb` with the variant's values.

    The clean variant gives a copy. `phrase` is what the function of that
    name returns for it; None where the variant needs no answer (`needs_answer`).

    Raises:
        ValueError: As `perturb` does.
    """
    if variant.perturbation == CLEAN.perturbation:
        require_rgb(image)
        return image.copy()
    perturbation = get(variant.perturbation)
    values = perturbation.complete(dict(variant.parameters))
    return _run(image, perturbation, values, check_seed(perturbation, variant.seed), phrase, digest)


def check_seed(perturbation: Perturbation, seed: object) -> int:
    """Return the seed if this perturbation can use it.

    Raises:
        ValueError: It is no integer of at least 0, or not 0 where nothing is drawn:
            such runs would be counted as independent, and are the same.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"{perturbation.name}: seed must be an int of at least 0, got {seed!r}")
    if seed and not perturbation.draws:
        raise ValueError(f"{perturbation.name} draws nothing: seed must be 0, got {seed}")
    return seed


def _run(
    image: Image.Image,
    perturbation: Perturbation,
    values: Mapping[str, Scalar],
    seed: int,
    phrase: str | None,
    digest: str | None,
) -> Image.Image:
    require_rgb(image)
    if perturbation.needs_answer != (phrase is not None):
        wanted = "needs a phrase" if perturbation.needs_answer else "takes no phrase"
        raise ValueError(f"{perturbation.name} {wanted}, got {phrase!r}")
    extras: list[object] = []
    if perturbation.draws:
        digest = image_digest(image) if digest is None else digest
        extras.append(generator(digest, perturbation.name, values, seed, perturbation.strength))
    if perturbation.needs_answer:
        extras.append(phrase)
    result = perturbation.function(image, *extras, **values)
    require_rgb(result)
    return result
