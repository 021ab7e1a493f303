from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from vlm_confidence_tasks.perturbations import perturb

from .strategies import noise_image, same


@pytest.mark.parametrize(("severity", "quality"), list(enumerate([25, 18, 15, 10, 7], 1)))
def test_quality(severity, quality):
    image = noise_image(33, 21)
    file = BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=2)
    assert same(perturb(image, "jpeg", severity=severity), Image.open(file))


def test_error_grows():
    ramp = np.add.outer(np.arange(96), np.arange(128)).astype(np.uint8)
    image = Image.fromarray(np.stack([ramp, ramp[::-1], 255 - ramp], axis=2))
    pixels = np.asarray(image, float)
    errors = [
        np.square(np.asarray(perturb(image, "jpeg", severity=s)) - pixels).mean()
        for s in range(1, 6)
    ]
    assert errors == sorted(errors)
