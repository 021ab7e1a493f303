import numpy as np
import pytest

from vlm_confidence_tasks.perturbations import perturb

from .strategies import noise_image


@pytest.mark.parametrize(("severity", "gain"), list(enumerate([0.6, 0.5, 0.4, 0.3, 0.2], 1)))
def test_formula(severity, gain):
    image = noise_image(64, 64)
    exact = 255 * gain * (np.asarray(image) / 255) ** 2
    dark = np.asarray(perturb(image, "low_light", severity=severity))
    assert np.abs(dark - exact).max() <= 0.5 + 1e-9
    assert dark.max() == np.floor(255 * gain + 0.5)
