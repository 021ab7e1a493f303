"""Image -> image: perturbations by name, the same pixels wherever they are made.

A perturbed image is a function of the image's content, the perturbation, its
parameters and the seed, and of nothing else. Strength zero gives back the image
byte for byte. A perturbation that fails raises.

Add one of your own with `register`; importing the file that holds it is enough.
"""

from vlm_confidence_tasks.perturbations import (
    blur,
    compression,
    light,
    noise,
    occlusion,
    resize,
    rotation,
    shift,
    text,
)
from vlm_confidence_tasks.perturbations.answers import applies, needs_answer, overlay_labels, phrase
from vlm_confidence_tasks.perturbations.expansion import variants
from vlm_confidence_tasks.perturbations.parameters import Parameter, Range, Severity
from vlm_confidence_tasks.perturbations.perturbation import Perturbation
from vlm_confidence_tasks.perturbations.registry import get, names, register
from vlm_confidence_tasks.perturbations.resize import fit
from vlm_confidence_tasks.perturbations.running import apply, perturb
from vlm_confidence_tasks.perturbations.seeding import image_digest, images_digest

# Importing a family registers it.
FAMILIES = (noise, shift, resize, rotation, text, blur, light, occlusion, compression)

__all__ = [
    "Parameter",
    "Perturbation",
    "Range",
    "Severity",
    "applies",
    "apply",
    "fit",
    "get",
    "image_digest",
    "images_digest",
    "names",
    "needs_answer",
    "overlay_labels",
    "perturb",
    "phrase",
    "register",
    "variants",
]
