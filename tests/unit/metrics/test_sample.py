from dataclasses import replace

import pytest

from .making import EMPTY, NOISE, NOISE_1, TEXT, yes_no_document


def document(*variants):
    return yes_no_document("Yes", ("Yes",), [(variant, "No") for variant in variants])


def shown(readouts):
    return [readout.variant for readout in readouts]


def test_controls_are_pooled_only_where_nothing_else_is():
    assert shown(document(NOISE, EMPTY, TEXT).perturbed) == [NOISE, TEXT]
    assert shown(document(EMPTY).perturbed) == [EMPTY]
    assert document().perturbed == ()


def test_families_hold_their_variants_and_the_controls():
    families = document(NOISE, EMPTY, NOISE_1, TEXT).families
    assert shown(families["noise"]) == [NOISE, NOISE_1]
    assert shown(families["textoverlay_empty"]) == [EMPTY]
    assert set(families) == {"noise", "textoverlay", "textoverlay_empty"}


def test_what_would_be_scored_silently_raises():
    good = document(NOISE)
    with pytest.raises(ValueError, match="'Maybe' is not one of the labels"):
        replace(good, gold="Maybe")
    unmarked = replace(good.variants[0], correct=None)
    with pytest.raises(ValueError, match=r"gaussian_noise\(epsilon=0.3, seed=0\): gold is 'Yes'"):
        replace(good, variants=(unmarked,))
