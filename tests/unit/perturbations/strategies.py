"""Random images, and one valid set of parameters for each perturbation."""

from pathlib import Path

import numpy as np
import yaml
from hypothesis import settings
from hypothesis import strategies as st
from PIL import Image

from vlm_confidence_tasks.perturbations import Judgement, perturb

SUFFIXES = Path(__file__).parents[3] / "task_yamls" / "suffixes"


def answering(phrase):
    """What satisfies the need for a clean answer."""
    return {"clean_answer": phrase}


class Brightness:
    """An objective of numpy alone: how bright an image is, weighed from left to right.

    The gradient is 255 of what one grey level changes, since pixels of gradients are in 0..1.
    """

    def __init__(self, start, allowed=lambda image: True):
        self.start, self.allowed = start, allowed
        self.judged = []

    @staticmethod
    def weights(image):
        across = np.where(np.arange(image.width) % 3 == 0, -1.0, 1.0)[None, :, None]
        return np.broadcast_to(across, (image.height, image.width, 3)).astype(np.float32)

    def value(self, image):
        return float((self.weights(image) * np.asarray(image, float)).mean())

    def __call__(self, image):
        self.judged.append(image)
        return Judgement(self.allowed(image), self.value(image), 255 * self.weights(image))


def needed(image, name):
    """What satisfies the needs of a perturbation that are about the image."""
    if name == "object_noise":
        return {"given": {"masks": {"thing": left_half(image)}}}
    return {"given": {"objective": Brightness(image)}} if name.startswith("pgd") else {}


def left_half(image):
    """A mask of the left half of an image, and of its middle column."""
    mask = np.zeros((image.height, image.width), bool)
    mask[:, : (image.width + 1) // 2] = True
    return mask


laws = settings(max_examples=40)

# Those of the suffixes' files, the first of each list, but where the laws want others.
EXAMPLES = {
    entry.pop("name"): {key: v[0] if isinstance(v, list) else v for key, v in entry.items()}
    for file in sorted(SUFFIXES.glob("*.yaml"))
    for entry in yaml.safe_load(file.read_text()).get("perturbations", ())
} | {
    "gaussian_noise": {"epsilon": 0.3},
    "object_noise": {"confidence": 0.5},
    "pad_crop": {"n": 4},
    "pgd": {"epsilon": 0.05, "goal": "flip", "steps": 3, "step_size": 0.004},
    "pgd_hi": {"epsilon": 0.05, "mode": "noise"},
    "text_overlay": {"content": "random", "given": answering("Answer is Yes")},
}

ZEROS = {
    "band_noise": {"epsilon": 0, "band": "low"},
    "gaussian_noise": {"epsilon": 0},
    "high_pass": {"cutoff": 0},
    "low_pass": {"cutoff": 0.5},
    "object_noise": {"confidence": 1},
    "pad_crop": {"n": 0},
    "pgd": {"epsilon": 0, "goal": "flip"},
    "pgd_hi": {"epsilon": 0},
    "rotate": {"degrees": 0},
    "scale": {"factor": 1},
    "scale_pad": {"factor": 1},
    "translate": {"dx": 0},
}

NEED_ROOM = ("text_overlay", "band_noise", "band_phase")

sides = st.one_of(st.integers(1, 40), st.sampled_from([1, 300]))


def noise_image(width, height, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def flat_image(width, height, value):
    return Image.new("RGB", (width, height), (value,) * 3)


images = st.one_of(
    st.builds(noise_image, sides, sides, st.integers(0, 999)),
    st.builds(flat_image, sides, sides, st.sampled_from([0, 128, 255])),
)


# Images on which every overlay fits, and that have frequencies in every band.
roomy = st.builds(noise_image, st.integers(64, 300), st.integers(40, 300), st.integers(0, 999))


def example(image, name, **changes):
    return perturb(image, name, **{**EXAMPLES[name], **needed(image, name), **changes})


def same(one, other):
    return one.size == other.size and one.tobytes() == other.tobytes()
