"""The sizes of a task's images: what results note, and a warning about large ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.types import Variant

Size = tuple[int, int]
# Models see images of 336 to about 1,500 pixels; of a larger one they see a smaller copy.
LARGE = 1500


def median_sizes(
    documents: Iterable[Sequence[Size]], max_side: int | None
) -> Mapping[str, list[float]] | None:
    """Return the median width and height in pixels of the images, as stored and as shown.

    Shown are clean images, resized as `max_side` says, before the model's own processor.

    Args:
        documents: Of each document the (width, height) of its stored images.
        max_side: Longest side in pixels to which images are resized first; None: as stored.

    Returns:
        None if no image has a known size.

    >>> median_sizes([[(4000, 3000)], [(2000, 1000), (3000, 2000)]], 1000)
    {'stored': [3000, 2000], 'shown': [1000, 667]}
    """
    stored = [size for sizes in documents for size in sizes]
    if not stored:
        return None
    shown = [perturbations.fitted_size(size, max_side) for size in stored]
    return {"stored": _medians(stored), "shown": _medians(shown)}


def _medians(sizes: Sequence[Size]) -> list[float]:
    return [median(side) for side in zip(*sizes, strict=True)]


def size_warning(
    sizes: Mapping[str, Sequence[float]] | None, variants: Iterable[Variant]
) -> str | None:
    """Say that a model may see less of a perturbation than its strength, since images are large.

    Args:
        sizes: What `median_sizes` returned.
        variants: The task's perturbed variants.

    Returns:
        None if the median image is shown at a longer side of at most `LARGE` pixels, or no
        strength is in pixels.
    """
    names = dict.fromkeys(variant.perturbation for variant in variants)
    weaker = [name for name in names if perturbations.get(name).in_pixels]
    if sizes is None or max(sizes["shown"]) <= LARGE or not weaker:
        return None
    width, height = sizes["shown"]
    return (
        f"the median image is {width:g} x {height:g} pixels: a model that sees it smaller sees "
        f"less of {', '.join(weaker)} than the strength says; max_side in the YAML makes images "
        "smaller first (docs/footguns.md)"
    )
