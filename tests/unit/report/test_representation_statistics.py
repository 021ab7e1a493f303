"""Entropies by layer and correlations of a samples file, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace
from scipy.stats import pearsonr

from vlm_confidence_tasks.metrics import Answers, Sample
from vlm_confidence_tasks.report import representation_statistics
from vlm_confidence_tasks.types import CLEAN, Inside, Readout, Variant

NOISE = Variant("gaussian_noise", family="noise")
# Change of energy, drift, relative change of power in the low band, flip, p(right) after.
CHANGES = [(1.0, 0.1, 0.5, 0, 0.9), (2.0, 0.4, -0.5, 1, 0.3), (0.0, 0.1, 1.5, 0, 0.8)]


def answer(variant, said, right, inside) -> Readout:
    probs = {"Yes": right, "No": 1 - right}
    return Readout.of(variant, "", said, said, said == "Yes", probs=probs, inside=inside)


def document(n: int, energy, drift, power, flip, right) -> Sample:
    clean = Inside({}, {}, {"context": 0.5 + n / 10}, None, None, 5.0, (2.0, 1.0 + n), {"low": 2.0})
    moved = replace(
        clean,
        drift={"context": drift},
        control={},
        dirichlet_energy=5.0 + energy,
        layer_entropy=(3.0, n),
        spectrum={"low": 2.0 * (1 + power)},
    )
    return Sample(
        image_id=str(n),
        gold="Yes",
        labels=("Yes", "No"),
        positive="Yes",
        clean=answer(CLEAN, "Yes", 0.9, clean),
        variants=(answer(NOISE, "No" if flip else "Yes", right, moved),),
    )


def inside_numbers(documents: list[Sample]) -> dict[str, float]:
    return representation_statistics.inside_numbers(Answers.of(documents))


DOCUMENTS = [document(n, *row) for n, row in enumerate(CHANGES)]


def test_answers_of_unknown_position_are_not_in_entropies_by_layer():
    (lost,) = DOCUMENTS[0].variants
    lost = replace(lost, inside=replace(lost.inside, layer_entropy=()))
    found = inside_numbers([replace(DOCUMENTS[0], variants=(lost,)), *DOCUMENTS[1:]])
    rest = inside_numbers(DOCUMENTS[1:])
    assert found["layer_entropy_2"] == rest["layer_entropy_2"]


def test_numbers_by_hand():
    found = inside_numbers(DOCUMENTS)
    energy, drift, power, flip, right = np.array(CHANGES).T
    expected = {
        "layer_entropy_1": 3.0,
        "layer_entropy_2": 1.0,
        "layer_entropy_1_clean": 2.0,
        "layer_entropy_2_clean": 2.0,
        "pearson_dirichlet_drift": pearsonr(energy, drift).statistic,
        "pearson_spectral_low_flip": pearsonr(power, flip).statistic,
        "pearson_spectral_low_score": pearsonr(power, right - 0.9).statistic,
    }
    assert {name: found.pop(name) for name in expected} == pytest.approx(expected)
    # Three images are too few for intervals.
    assert found == {f"{name}_n": 3 for name in expected if "pearson" in name}


def test_correlations_have_intervals_that_hold_them():
    rng = np.random.default_rng(0)
    changes = [(e, e + n, 0.5 * e, n > 0, 0.5) for e, n in rng.normal(size=(30, 2))]
    found = inside_numbers([document(n, *row) for n, row in enumerate(changes)])
    name = "pearson_dirichlet_drift"
    assert -1 < found[f"{name}_low"] < found[name] < found[f"{name}_high"] < 1
    z, width = np.arctanh([found[f"{name}_low"], found[f"{name}_high"]]), 2 * 1.96 / np.sqrt(27)
    assert z[1] - z[0] == pytest.approx(width, rel=0.5)


def test_nothing_without_an_inside():
    plain = [
        replace(
            d,
            clean=replace(d.clean, inside=None),
            variants=(replace(d.variants[0], inside=None),),
        )
        for d in DOCUMENTS
    ]
    assert inside_numbers(plain) == {}
