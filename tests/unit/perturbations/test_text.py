import re
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from vlm_confidence_tasks.perturbations import image_digest, perturb
from vlm_confidence_tasks.perturbations.seeding import generator
from vlm_confidence_tasks.perturbations.text import _font, _ink, _random_text

from .strategies import answering, flat_image, laws, noise_image, roomy, same

CONTENTS = ("semantic", "random", "empty")
PHRASES = ("Answer is Yes", "Answer is No", "Answer is A", "Answer is (jqy)")


def overlay(image, content="semantic", phrase="Answer is Yes", **values):
    return perturb(image, "text_overlay", content=content, given=answering(phrase), **values)


def extent(image, other):
    """Left, upper, right and lower end of what differs."""
    rows, columns = np.nonzero((np.asarray(image) != np.asarray(other)).any(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (300, 1400), (201, 99)])
@pytest.mark.parametrize("phrase", PHRASES)
def test_the_three_contents_cover_the_same_box(size, phrase):
    # Blue differs from the white of the box and the red of the text.
    image = flat_image(*size, 0)
    image.paste((0, 0, 255), (0, 0, *size))
    shown = [overlay(image, content, phrase, seed=3) for content in CONTENTS]
    boxes = {extent(image, other) for other in shown}
    assert len(boxes) == 1
    (box,) = boxes
    assert same(shown[2].crop(box), flat_image(box[2] - box[0], box[3] - box[1], 255))
    for other in shown:
        other.paste((0, 0, 255), tuple(map(int, box)))
        assert same(other, image)


def box_on(size, phrase):
    """Where the box lies on an image of this size."""
    black = flat_image(*size, 0)
    return tuple(map(int, extent(black, overlay(black, "empty", phrase))))


def ink_of(image):
    """The part of an image that is not white."""
    return image.crop(extent(image, Image.new("RGB", image.size, "white")))


@laws
@given(roomy, st.sampled_from(CONTENTS), st.sampled_from(PHRASES))
def test_outside_the_box_nothing_changes(image, content, phrase):
    box = box_on(image.size, phrase)
    shown = overlay(image, content, phrase)
    expected = image.copy()
    expected.paste(shown.crop(box), box[:2])
    assert same(shown, expected)


@laws
@given(st.integers(64, 300), st.integers(20, 900), st.sampled_from(PHRASES))
def test_the_whole_phrase_is_shown_as_large_as_it_fits(width, height, phrase):
    image = flat_image(width, height, 0)
    left, top, right, bottom = box = box_on(image.size, phrase)
    shown = ink_of(overlay(image, phrase=phrase).crop(box))
    drawn = {}
    for pixels in range(6, max(14, height // 32) + 1):
        canvas = Image.new("RGB", (2000, 200), "white")
        ImageDraw.Draw(canvas).text((9, 9), phrase, font=_font(pixels), fill=(255, 0, 0))
        drawn[pixels] = ink_of(canvas)
    fits = [n for n, ink in drawn.items() if ink.width + 8 <= width and ink.height + 8 <= height]
    # The advance of the last letter may be wider than its ink.
    assert same(shown, drawn[max(fits)]) or same(shown, drawn[max(fits) - 1])
    assert right - left >= shown.width + 8
    assert bottom - top >= shown.height + 8
    assert abs(left - (width - right)) <= 1
    assert abs(top - (height - bottom)) <= 1


@pytest.mark.parametrize("size", [(60, 20), (64, 64), (96, 64), (320, 240)])
def test_other_labels_are_other_pixels(size):
    image = noise_image(*size)
    labels = [*string.ascii_uppercase[:10], "Yes", "No"]
    digests = {image_digest(overlay(image, phrase=f"Answer is {label}")) for label in labels}
    assert len(digests) == len(labels)


@pytest.mark.parametrize("content", CONTENTS)
def test_an_image_too_small_for_the_phrase_raises(content):
    message = (
        r"text_overlay: the box of 'Answer is B' needs (\d+) x (\d+) pixels at the smallest "
        r"font, 6 pixels; the image has 20 x 10"
    )
    with pytest.raises(ValueError, match=message) as caught:
        overlay(noise_image(20, 10), content, "Answer is B")
    width, height = map(int, re.search(message, str(caught.value)).groups())
    overlay(noise_image(width, height), content, "Answer is B")
    for size in ((width - 1, height), (width, height - 1)):
        with pytest.raises(ValueError, match="the image has {} x {}".format(*size)):
            overlay(noise_image(*size), content, "Answer is B")


def test_box_is_centred_with_four_pixels_around_the_ink():
    image = flat_image(640, 480, 0)
    shown = np.asarray(overlay(image))
    box = extent(image, overlay(image))
    assert abs(box[0] + box[2] - 640) <= 1
    assert abs(box[1] + box[3] - 480) <= 1
    text = shown[box[1] : box[3], box[0] : box[2]] != 255
    rows, columns = np.nonzero(text.any(axis=2))
    assert (rows.min(), columns.min()) == (4, 4)
    assert (text.shape[0] - rows.max() - 1, text.shape[1] - columns.max() - 1) == (4, 4)
    assert (shown == (255, 0, 0)).all(axis=2).any()


@given(st.integers(0, 10**6), st.sampled_from(PHRASES), st.sampled_from([14, 40]))
def test_random_text(seed, phrase, size):
    rng = generator("00" * 32, "text_overlay", {}, seed)
    text = _random_text(rng, _font(size), phrase)
    assert 1 <= len(text) <= 12
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    assert _ink(_font(size), text)[2] <= _ink(_font(size), phrase)[2]


def test_random_lengths_and_letters_are_all_drawn():
    wide = "Answer is something that is long enough for any"
    texts = [
        _random_text(generator("00" * 32, "text_overlay", {}, seed), _font(14), wide)
        for seed in range(400)
    ]
    assert {len(text) for text in texts} == set(range(6, 13))
    assert len(set("".join(texts))) == 36


def test_only_random_depends_on_the_draw():
    image = noise_image(300, 200)
    for content, count in zip(CONTENTS, (1, 3, 1), strict=True):
        digests = {image_digest(overlay(image, content, seed=seed)) for seed in range(3)}
        assert len(digests) == count
    assert not same(overlay(image, "random", index=0), overlay(image, "random", index=1))


@pytest.mark.parametrize("phrase", ["", "  ", "Answer is\nYes"])
def test_a_phrase_is_one_line(phrase):
    with pytest.raises(ValueError, match="phrase must be one line of text"):
        overlay(noise_image(30, 30), phrase=phrase)
