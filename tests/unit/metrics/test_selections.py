"""What is fitted to several selections of answers at once is what each alone gives."""

from __future__ import annotations

import numpy as np
import pytest

from vlm_confidence_tasks.metrics.functional.conformal import conformal_threshold
from vlm_confidence_tasks.metrics.functional.error_detection import logistic_pair
from vlm_confidence_tasks.metrics.functional.recalibration import fit_temperature
from vlm_confidence_tasks.metrics.functional.selective import acceptance_threshold
from vlm_confidence_tasks.metrics.inference.jackknife import deletions

RNG = np.random.default_rng(0)
IMAGE = np.repeat(np.arange(60), 5)
# Some are equal.
SURE = RNG.integers(1, 200, IMAGE.size) / 200
WRONG = RNG.random(IMAGE.size) < 0.8 - 0.6 * SURE
PROBS, GOLD = np.column_stack([SURE, 1.0 - SURE]), WRONG.astype(int)
SIGNALS = np.column_stack([SURE, RNG.normal(size=IMAGE.size)])


def chances(rows, kept=True):
    found = logistic_pair(SIGNALS[rows], WRONG[rows], (0, 1), kept=kept)
    return None if found is None else found.chance(SIGNALS)


FITS = {
    "conformal": lambda rows, **kept: conformal_threshold(SURE[rows], IMAGE[rows], **kept),
    "acceptance": lambda rows, **kept: acceptance_threshold(SURE[rows], **kept),
    "temperature": lambda rows, **kept: fit_temperature(PROBS[rows], GOLD[rows], **kept),
    "pair": chances,
}


@pytest.mark.parametrize("name", FITS)
def test_selections_are_fitted_as_each_alone(name):
    kept = deletions(IMAGE)
    alone = [FITS[name](np.flatnonzero(rows)) for rows in kept]
    found = FITS[name](slice(None), kept=kept)
    np.testing.assert_allclose(found, alone, rtol=0, atol=1e-12)
    assert len({repr(each) for each in alone}) > 1


@pytest.mark.parametrize("name", ["conformal", "temperature", "pair"])
def test_there_is_no_fit_if_one_selection_has_none(name):
    few = np.array([np.ones(IMAGE.size, bool), (IMAGE < 8) & ~WRONG & (SURE > 0.5)])
    assert FITS[name](slice(None), kept=few) is None
