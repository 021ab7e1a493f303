import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from vlm_confidence_tasks.metrics import task_metrics

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


def pixels(sample, *digests):
    """The sample with these digests of its variants' images."""
    shown = zip(sample.variants, digests, strict=True)
    return replace(sample, variants=tuple(replace(r, image_sha256=d) for r, d in shown))


def test_variants_with_the_same_pixels_count_once():
    second, third = (replace(EMPTY, parameters=(("index", n),)) for n in (1, 2))
    same = pixels(document(NOISE, TEXT, NOISE_1, EMPTY, second, third), *"aaabbb")
    assert shown(same.perturbed) == [NOISE]
    assert {name: shown(found) for name, found in same.families.items()} == {
        "noise": [NOISE],
        "textoverlay": [TEXT],
        "textoverlay_empty": [EMPTY],
    }
    assert shown(pixels(document(EMPTY, second, third), *"aba").perturbed) == [EMPTY, second]


def test_one_flip_that_is_shown_three_times_is_one_flip():
    noises = [(replace(NOISE, seed=n), "No") for n in range(3)]
    sample = pixels(yes_no_document("Yes", ("Yes",), [*noises, (TEXT, "Yes")]), *"aaab")
    numbers = task_metrics([sample])
    assert (numbers["ifr"], numbers["ifr_noise"], numbers["accuracy"]) == (0.5, 1.0, 0.5)
    assert numbers["visual_entropy"] == pytest.approx(math.log(3) - math.log(4) / 3)


def test_a_control_with_the_pixels_of_another_variant_takes_nothing_from_it():
    same = pixels(document(EMPTY, TEXT), "a", "a")
    assert shown(same.perturbed) == [TEXT]
    assert shown(same.families["textoverlay_empty"]) == [EMPTY]


def test_the_pixels_of_the_clean_image_are_a_variant_too():
    sample = pixels(document(NOISE), "a")
    sample = replace(sample, clean=replace(sample.clean, image_sha256="a"))
    assert shown(sample.perturbed) == [NOISE]


@given(st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=6))
def test_each_digest_counts_once_and_each_readout_without_one(digests):
    sample = pixels(document(*[replace(NOISE, seed=n) for n in range(len(digests))]), *digests)
    expected = [n for n, d in enumerate(digests) if not d or d not in digests[:n]]
    assert [r.variant.seed for r in sample.perturbed] == expected
    assert sample.families.get("noise", ()) == sample.perturbed


def test_what_would_be_scored_silently_raises():
    good = document(NOISE)
    with pytest.raises(ValueError, match="'Maybe' is not one of the labels"):
        replace(good, gold="Maybe")
    unmarked = replace(good.variants[0], correct=None)
    with pytest.raises(ValueError, match=r"gaussian_noise\(epsilon=0.3, seed=0\): gold is 'Yes'"):
        replace(good, variants=(unmarked,))
