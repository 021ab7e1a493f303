from io import BytesIO

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
