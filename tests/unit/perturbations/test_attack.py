"""PGD against objectives whose answer is known."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.perturbations import applies, perturb, variants
from vlm_confidence_tasks.perturbations.spectrum import BANDS, band_mask, radii

from .strategies import Brightness, flat_image, laws, noise_image, roomy, same


def attack(image, objective=None, **parameters):
    parameters = {"epsilon": 8 / 255, "goal": "flip", **parameters}
    objective = objective or Brightness(image)
    return perturb(image, "pgd", given={"objective": objective}, **parameters)


def change(one, other):
    return np.asarray(other).astype(int) - np.asarray(one).astype(int)


@laws
@given(
    roomy,
    st.floats(0, 1),
    st.sampled_from(["own", "signs", "other"]),
    st.sampled_from(["all", *BANDS]),
    st.integers(0, 3),
)
def test_the_bound_is_exact(image, epsilon, delta, band, seed):
    objective = Brightness(noise_image(*image.size, 1000) if delta == "other" else image)
    found = attack(image, objective, epsilon=epsilon, steps=2, delta=delta, band=band, seed=seed)
    largest = np.abs(change(image, found)).max()
    assert largest <= 255 * epsilon
    assert largest <= math.floor(255 * Fraction(epsilon) + Fraction(1, 10**12))


@pytest.mark.parametrize("k", [1, 2, 8, 25])
def test_a_linear_objective_is_solved(k):
    """The best image in the ball is x - k sign(w), cut at black and white."""
    image = noise_image(20, 9)
    found = attack(image, epsilon=k / 255, steps=10)
    best = np.clip(np.asarray(image) - k * Brightness.weights(image), 0, 255)
    assert (np.asarray(found) == best).all()


def test_the_judged_images_are_those_that_could_be_shown():
    image, k = noise_image(16, 16), 4
    objective = Brightness(image)
    found = attack(image, objective, epsilon=k / 255, steps=5, restarts=2)
    assert len(objective.judged) == 2 * (5 + 1)
    for judged in objective.judged:
        assert judged.mode == "RGB" and np.abs(change(image, judged)).max() <= k
    assert any(same(found, judged) for judged in objective.judged)
    assert objective.value(found) == min(map(objective.value, objective.judged))


def test_an_image_that_the_goal_does_not_allow_is_taken_only_if_all_are():
    image = noise_image(16, 16)
    start = Brightness(image).value(image)
    halfway = Brightness(image, lambda shown: Brightness(image).value(shown) > start - 3)
    found = attack(image, halfway, steps=20)
    assert start - 3 < halfway.value(found) < start - 2
    never = Brightness(image, lambda shown: False)
    assert same(attack(image, never, steps=20), attack(image, steps=20))


def test_the_random_start_is_seeded_scaled_and_cut():
    image = flat_image(32, 32, 128)

    def starts(**parameters):
        objective = Brightness(image)
        attack(image, objective, steps=1, **parameters)
        return change(image, objective.judged[0])

    assert (starts() == starts()).all()
    assert (starts() != starts(seed=1)).any()
    small, large = starts(epsilon=8 / 255), starts(epsilon=80 / 255)
    assert np.abs(large - 10 * small).max() <= 5.5
    assert np.abs(small).max() == 8 and np.abs(np.mean(small)) < 0.5


def test_a_given_step_size_is_heeded():
    image = flat_image(16, 16, 128)
    objective = Brightness(image)
    attack(image, objective, epsilon=40 / 255, steps=1, step_size=10 / 255)
    before, after = (change(image, judged) for judged in objective.judged)
    expected = np.clip(before - 10 * Brightness.weights(image), -40, 40)
    assert np.abs(after - expected).max() <= 1


def test_random_signs_have_the_whole_size_and_ask_nothing():
    image = flat_image(64, 64, 128)
    objective = Brightness(image)
    found = change(image, attack(image, objective, delta="signs"))
    assert set(np.unique(found)) == {-8, 8} and abs(np.mean(found)) < 0.5
    assert not objective.judged
    larger = change(image, attack(image, delta="signs", epsilon=16 / 255))
    assert (larger == 2 * found).all()


def test_the_other_control_adds_what_was_found_on_the_other_image():
    image, other = noise_image(16, 16, 0), flat_image(16, 16, 128)
    found = attack(image, Brightness(other), steps=10, delta="other")
    step = -8 * Brightness.weights(image)
    assert (np.asarray(found) == np.clip(np.asarray(image) + step, 0, 255)).all()


@pytest.mark.parametrize("band", BANDS)
def test_a_band_limited_attack_stays_in_its_band_but_for_clipping_and_rounding(band):
    image = flat_image(64, 64, 128)
    found = attack(image, epsilon=25 / 255, steps=10, step_size=2 / 255, band=band)
    power = np.abs(np.fft.rfft2(change(image, found), axes=(0, 1))) ** 2
    inside = band_mask(64, 64, band)
    assert power[inside].sum() > 0.9 * power.sum()


def test_an_attack_exists_where_there_are_two_answers():
    (variant,) = variants([{"name": "pgd", "epsilon": 0.1, "goal": "flip"}])
    assert applies(variant, ("Yes", "No")) and applies(variant, ("A", "B", "C"))
    assert not applies(variant, ()) and not applies(variant, ("A",))


def test_controls_have_families_of_their_own():
    deltas = ["own", "signs", "other"]
    found = variants([{"name": "pgd", "epsilon": 0.1, "goal": "flip", "delta": deltas}])
    assert [(v.family, v.control) for v in found] == [
        ("pgd", False),
        ("pgd_signs", True),
        ("pgd_other", True),
    ]


class Wrong(Brightness):
    """Judges by a number or a gradient that is none."""

    def __init__(self, start, **parts):
        super().__init__(start)
        self.parts = parts

    def __call__(self, image):
        return super().__call__(image)._replace(**self.parts)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (Wrong(flat_image(4, 4, 0), value=math.nan), "pgd: the objective's value is nan"),
        (
            Wrong(flat_image(4, 4, 0), gradient=np.full((4, 4, 3), np.nan, np.float32)),
            "pgd: the gradient is not finite",
        ),
        (
            Wrong(flat_image(4, 4, 0), gradient=np.zeros((4, 4), np.float32)),
            "pgd: gradient must give",
        ),
        (Brightness(flat_image(5, 4, 0)), r"must start from an RGB image of size \(4, 4\), got"),
        (lambda image: None, "pgd: objective cannot be function"),
    ],
)
def test_objectives_that_cannot_be_used_are_named(objective, message):
    with pytest.raises(ValueError, match=message):
        attack(flat_image(4, 4, 0), objective)


@laws
@given(roomy, st.floats(0, 0.2), st.sampled_from(["pixel", "low", "high", "noise"]))
def test_the_other_attacks_bound_is_exact_too(image, epsilon, mode):
    objective = Brightness(image)
    found = perturb(
        image, "pgd_hi", epsilon=epsilon, mode=mode, steps=2, given={"objective": objective}
    )
    assert np.abs(change(image, found)).max() <= 255 * epsilon


def test_the_other_attack_starts_at_the_image_and_shows_the_last_step():
    image = flat_image(16, 16, 128)
    objective = Brightness(image)
    given = {"objective": objective}
    found = perturb(image, "pgd_hi", steps=3, epsilon=8 / 255, given=given)
    assert same(objective.judged[0], image) and len(objective.judged) == 3
    assert (change(image, found) == -3 * Brightness.weights(image)).all()


@pytest.mark.parametrize("mode", ["low", "high"])
def test_the_other_attack_keeps_to_one_side_of_its_cutoff_but_for_clipping(mode):
    image = flat_image(64, 64, 128)
    given = {"objective": Brightness(image)}
    found = change(image, perturb(image, "pgd_hi", mode=mode, epsilon=0.1, given=given))
    power = np.abs(np.fft.rfft2(found, axes=(0, 1))) ** 2
    share = radii(64, 64) / radii(64, 64).max()
    inside = share <= 0.25 if mode == "low" else share > 0.25
    assert power[inside].sum() > 0.9 * power.sum() > 0


def test_the_other_attacks_noise_reaches_its_size_once():
    image = flat_image(64, 64, 128)
    given = {"objective": Brightness(image)}
    found = np.abs(
        change(image, perturb(image, "pgd_hi", mode="noise", epsilon=16 / 255, given=given))
    )
    assert found.max() == 16 and np.sum(found == 16) < 20
