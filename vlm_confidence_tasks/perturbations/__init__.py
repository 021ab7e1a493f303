"""Image -> image: perturbations by name, with the same pixels on every machine.

A perturbed image is a function of the image's content, the perturbation, its parameters,
the seed and what the perturbation declares that it needs (`NEEDS`), and of nothing else.
Strength zero gives back the image byte for byte. A perturbation that fails raises.

Add one of your own with `register`; importing the file that holds it is enough.
"""

from importlib import import_module

from vlm_confidence_tasks.perturbations.applying import apply, perturb
from vlm_confidence_tasks.perturbations.expansion import variants
from vlm_confidence_tasks.perturbations.needs import NEEDS, Judgement, Need, Objective
from vlm_confidence_tasks.perturbations.overlay_phrases import (
    applies,
    named_label,
    overlay_labels,
    phrase,
)
from vlm_confidence_tasks.perturbations.parameters import Parameter, Range, Severity
from vlm_confidence_tasks.perturbations.perturbation import Perturbation
from vlm_confidence_tasks.perturbations.regions import can_show
from vlm_confidence_tasks.perturbations.registry import families, get, names, needs_of, register
from vlm_confidence_tasks.perturbations.seeding import image_digest, images_digest
from vlm_confidence_tasks.perturbations.sizing import fit, fitted_size

# Importing a module registers its families, in the order in which tables list them.
for _module in (
    "noise",
    "shift",
    "resize",
    "rotation",
    "text",
    "blur",
    "light",
    "occlusion",
    "compression",
    "frequency",
    "attack",
    "object_noise",
):
    import_module(f"{__name__}.{_module}")

__all__ = [
    "NEEDS",
    "Judgement",
    "Need",
    "Objective",
    "Parameter",
    "Perturbation",
    "Range",
    "Severity",
    "applies",
    "apply",
    "can_show",
    "families",
    "fit",
    "fitted_size",
    "get",
    "image_digest",
    "images_digest",
    "named_label",
    "names",
    "needs_of",
    "overlay_labels",
    "perturb",
    "phrase",
    "register",
    "variants",
]
