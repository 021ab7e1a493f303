"""Applying a perturbation to an image."""

from collections.abc import Mapping

from PIL import Image

from vlm_confidence_tasks.perturbations.needs import satisfy
from vlm_confidence_tasks.perturbations.perturbation import Perturbation
from vlm_confidence_tasks.perturbations.registry import get
from vlm_confidence_tasks.perturbations.seeding import generator, image_digest, require_rgb
from vlm_confidence_tasks.types import CLEAN, Variant


def perturb(
    image: Image.Image,
    name: str,
    *,
    seed: int = 0,
    given: Mapping[str, object] = {},
    digest: str | None = None,
    **parameters: object,
) -> Image.Image:
    """Return a perturbed copy of an RGB image; the image itself does not change.

    Args:
        image: What to perturb. Convert other modes to RGB first.
        name: A registered perturbation (`names()`).
        seed: The number of the draw; 0 where the perturbation draws nothing.
        given: The value of each of the perturbation's needs, by need (`NEEDS`).
        digest: The image's `image_digest`, if the caller has already computed it.
        **parameters: The perturbation's own.

    >>> perturb(Image.new("RGB", (4, 2)), "pad_crop", n=1).size
    (6, 4)

    Raises:
        ValueError: The image is not RGB, the name, a parameter or a need is unknown,
            missing, superfluous or bad, or the perturbation leaves no image.
    """
    return _run(image, get(name), parameters, seed, given, digest)


def apply(
    image: Image.Image,
    variant: Variant,
    *,
    given: Mapping[str, object] = {},
    digest: str | None = None,
) -> Image.Image:
    """Return the image as a variant shows it: `perturb` with the variant's values.

    The clean variant gives a copy and needs nothing; `needs_of` tells what others need.
    """
    if variant.perturbation == CLEAN.perturbation:
        require_rgb(image)
        satisfy(variant.perturbation, (), given, image)
        return image.copy()
    perturbation = get(variant.perturbation)
    return _run(image, perturbation, dict(variant.parameters), variant.seed, given, digest)


def _run(
    image: Image.Image,
    perturbation: Perturbation,
    parameters: Mapping[str, object],
    seed: int,
    given: Mapping[str, object],
    digest: str | None,
) -> Image.Image:
    values = perturbation.complete(parameters)
    seed = perturbation.check_seed(seed)
    require_rgb(image)
    extras = satisfy(perturbation.name, perturbation.needs, given, image)
    if perturbation.draws:
        digest = image_digest(image) if digest is None else digest
        rng = generator(digest, perturbation.name, values, seed, perturbation.strength)
        extras.insert(0, rng)
    result = perturbation.function(image, *extras, **values)
    require_rgb(result)
    return result
