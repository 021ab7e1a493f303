"""What is computed a few rows at a time does not depend on how many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.perturbations import image_digest, perturb, row_blocks

from .strategies import laws, noise_image

CASES = [
    ("gaussian_noise", {"epsilon": 0.3}),
    ("motion_blur", {"severity": 5}),
    ("low_pass", {"cutoff": 0.1}),
    ("band_noise", {"epsilon": 0.1, "band": "mid"}),
    ("band_phase", {"band": "high"}),
    ("object_noise", {"confidence": 0.4, "given": {"masks": {"a": np.tri(41, 33, dtype=bool)}}}),
]


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_pixels_do_not_depend_on_blocks(name, parameters, monkeypatch):
    image = noise_image(33, 41)
    digests = []
    # An odd number of values in a block leaves half of a drawn word for the next one.
    for values in (1, 5 * 33 * 3, 2**18):
        monkeypatch.setattr(row_blocks, "VALUES", values)
        digests.append(image_digest(perturb(image, name, **parameters)))
    assert len(set(digests)) == 1


@laws
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 30))
def test_blocks_cover_all_rows_once(height, width, values):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_blocks, "VALUES", values)
        blocks = list(row_blocks.row_blocks((height, width)))
    rows = np.concatenate([np.arange(height)[block] for block in blocks])
    assert rows.tolist() == list(range(height))
