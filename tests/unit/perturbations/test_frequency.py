"""Spectra worked out by hand, and what the four families leave alone."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from PIL import Image

from vlm_confidence_tasks.metrics import BANDS, band_powers
from vlm_confidence_tasks.perturbations import perturb
from vlm_confidence_tasks.perturbations.frequency import turns, unit_noise
from vlm_confidence_tasks.perturbations.spectrum import band_mask, filtered, low_pass_mask

from .strategies import images, laws, noise_image, roomy

SIDE = 32
# The largest radius of 32 x 32: 16 cycles down and 16 across.
RMAX = 16 * math.sqrt(2)


def waves(*cycles, side=SIDE, mean=120):
    """An image of cosines across, 20 grey levels each, and the same down the other way."""
    across = np.arange(side)
    row = mean + sum(20 * np.cos(2 * np.pi * k * across / side) for k in cycles)
    return np.repeat(np.repeat(row[None, :, None], side, axis=0), 3, axis=2)


def image_of(pixels):
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def scrambled(pixels, rng, band):
    return filtered(pixels, turns(pixels.shape[:2], rng, band))


def power(pixels):
    return np.abs(np.fft.fft2(pixels, axes=(0, 1))) ** 2


def whole(mask, width):
    """The half plane of rfft2 -> the whole plane of fft2, by the symmetry of real images."""
    full = np.zeros((mask.shape[0], width), mask.dtype)
    full[:, : mask.shape[1]] = mask
    for down in range(full.shape[0]):
        for across in range(mask.shape[1], width):
            full[down, across] = mask[-down % full.shape[0], width - across]
    return full


@pytest.mark.parametrize("cycles", [1, 3, 7])
def test_an_ideal_filter_passes_a_wave_or_does_not(cycles):
    """A wave of k cycles lies at r = 0.5 k / rmax, the mean at 0."""
    image, at = image_of(waves(cycles)), 0.5 * cycles / RMAX
    flat = np.full((SIDE, SIDE, 3), 120)
    for name, cutoff, passes in (
        ("low_pass", at + 0.001, True),
        ("low_pass", at - 0.001, False),
        ("high_pass", at + 0.001, False),
        ("high_pass", at - 0.001, True),
    ):
        found = np.asarray(perturb(image, name, cutoff=cutoff)).astype(int)
        expected = np.asarray(image) if passes else flat
        assert np.abs(found - expected).max() <= 1, (name, cutoff)


def test_a_gaussian_filter_has_the_gain_of_its_formula():
    cycles = 4
    cutoff = 0.1
    gain = math.exp(-((0.5 * cycles / RMAX) ** 2) / (2 * cutoff**2))
    found = np.asarray(
        perturb(image_of(waves(cycles)), "low_pass", cutoff=cutoff, shape="gaussian")
    )
    amplitude = np.abs(np.fft.fft2(found[..., 0].astype(float)))[0, cycles] * 2 / SIDE**2
    assert amplitude == pytest.approx(20 * gain, abs=0.3)


def test_without_its_mean_half_of_a_wave_is_black():
    found = np.asarray(perturb(image_of(waves(4)), "high_pass", cutoff=0.01, keep_mean=False))
    assert np.mean(found == 0) >= 0.5
    assert found.max() == pytest.approx(20, abs=1)


@laws
@given(images, st.floats(0, 0.5), st.sampled_from(["ideal", "gaussian"]))
def test_low_and_high_add_up_to_the_image(image, cutoff, shape):
    pixels = np.asarray(image, float)
    low = np.asarray(perturb(image, "low_pass", cutoff=cutoff, shape=shape), float)
    high = np.asarray(perturb(image, "high_pass", cutoff=cutoff, shape=shape), float)
    inside = (low > 0) & (low < 255) & (high > 0) & (high < 255)
    sums = low + high - pixels.mean(axis=(0, 1))
    assert np.abs(sums - pixels)[inside].max(initial=0) <= 1.0 + 1e-6


@pytest.mark.parametrize("size", [(32, 32), (33, 20), (17, 40), (1, 24)])
def test_bands_are_those_of_the_spectra(size):
    """A wave in one band of ours has its power in that band of `metrics.band_powers`."""
    height, width = size
    masks = {}
    for band in BANDS:
        try:
            masks[band] = band_mask(height, width, band)
        except ValueError:
            assert band_powers(np.ones(size))[band] is None
    total = sum(mask.astype(int) for mask in masks.values())
    assert (total == 1).all()
    for band, mask in masks.items():
        impulse = np.fft.irfft2(mask.astype(float), s=size)
        powers = {k: v for k, v in band_powers(impulse).items() if v is not None}
        assert powers.pop(band) == pytest.approx(1.0)
        assert max(powers.values(), default=0.0) < 1e-20


@laws
@given(roomy, st.sampled_from(BANDS), st.integers(0, 5))
def test_band_noise_has_its_power_in_its_band_alone(image, band, seed):
    noise = unit_noise((image.height, image.width, 3), default_rng(seed), band)
    assert np.square(noise).mean() == pytest.approx(1.0)
    outside = ~whole(band_mask(image.height, image.width, band), image.width)
    spectrum = power(noise)
    assert spectrum[outside].sum() < 1e-12 * spectrum.sum()


@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("epsilon", [0.02, 0.1])
def test_band_noise_has_the_root_mean_square_of_epsilon(band, epsilon):
    grey = Image.new("RGB", (64, 48), (128, 128, 128))
    found = np.asarray(perturb(grey, "band_noise", epsilon=epsilon, band=band), float) - 128
    assert np.sqrt(np.square(found).mean()) == pytest.approx(255 * epsilon, rel=0.02)


def test_band_noise_of_several_strengths_is_one_draw():
    grey = Image.new("RGB", (64, 48), (128, 128, 128))
    small, large = (
        np.asarray(perturb(grey, "band_noise", epsilon=e, band="mid"), float) - 128
        for e in (0.02, 0.08)
    )
    assert np.abs(4 * small - large).max() <= 2.5


@laws
@given(roomy, st.sampled_from(BANDS), st.integers(0, 5))
def test_scrambled_phases_leave_every_power_and_all_other_bands(image, band, seed):
    pixels = np.asarray(image, float)
    found = scrambled(pixels, default_rng(seed), band)
    before, after = (np.fft.fft2(p, axes=(0, 1)) for p in (pixels, found))
    scale = np.abs(before).max()
    assert np.abs(np.abs(after) - np.abs(before)).max() < 1e-6 * scale
    mask = whole(band_mask(image.height, image.width, band), image.width)
    assert np.abs(after - before)[~mask].max() < 1e-6 * scale
    assert np.abs(after[0, 0] - before[0, 0]).max() < 1e-6 * scale
    # It is the band's phases that move, and the same way in all channels.
    moved = after[mask][1:] * np.conj(before[mask][1:])
    if band != "low":
        assert np.abs(np.angle(moved)).max() > 0.5
    alike = np.abs(np.angle(moved[:, :1] * np.conj(moved[:, 1:])))
    assert alike[np.abs(moved[:, 1:]) > 1e-3].max(initial=0) < 1e-6


def test_phases_are_uniform():
    turns = np.concatenate(
        [
            np.angle(np.fft.fft2(scrambled(waves(5), default_rng(seed), "mid")[..., 0])[0, [5]])
            for seed in range(400)
        ]
    )
    counts, _ = np.histogram(turns, bins=8, range=(-np.pi, np.pi))
    assert counts.min() > 25 and counts.max() < 80


@pytest.mark.parametrize("name", ["band_noise", "band_phase"])
def test_an_image_without_the_band_is_refused(name):
    parameters = {"epsilon": 0.1} if name == "band_noise" else {}
    message = "an image of 1 x 1 pixels has no frequency in band high"
    with pytest.raises(ValueError, match=re.escape(message)):
        perturb(noise_image(1, 1), name, band="high", **parameters)


def test_the_mean_passes_at_cutoff_zero_and_everything_at_a_half():
    for shape in ("ideal", "gaussian"):
        mask = low_pass_mask(9, 14, 0.0, shape)
        assert mask[0, 0] == 1 and mask.sum() == 1
    assert (low_pass_mask(9, 14, 0.5, "ideal") == 1).all()
