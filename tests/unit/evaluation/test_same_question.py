"""Which other images a document's own question is asked about."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.evaluation.representations import Representations
from vlm_confidence_tasks.evaluation.same_question import (
    CONTROLS,
    OtherImages,
)
from vlm_confidence_tasks.probe import HiddenStates
from vlm_confidence_tasks.types import CLEAN, Variant

from . import making

# Documents by their image and how many images that is.
data = st.lists(st.integers(0, 30).map(lambda n: (bytes([n]), 1 + n % 3)), min_size=1, max_size=60)


def documents(rows):
    digests, counts = [list(column) for column in zip(*rows, strict=True)]
    return SimpleNamespace(digests=lambda: digests, image_counts=lambda: counts)


@given(data, st.randoms(use_true_random=False))
def test_others_are_distinct_have_as_many_images_and_do_not_depend_on_order(rows, random):
    shuffled = random.sample(rows, len(rows))
    one, other = OtherImages(documents(rows)), OtherImages(documents(shuffled))
    for image, count in rows:
        alike = {digest for digest, own in rows if own == count and digest != image}
        drawn = [digest for digest, _ in one.draw(image)]
        assert set(drawn) <= alike and len(set(drawn)) == len(drawn) == min(CONTROLS, len(alike))
        assert drawn == [digest for digest, _ in other.draw(image)]
        for images, source in ((one, rows), (other, shuffled)):
            for digest, document in images.draw(image):
                assert source[document][0] == digest


def clean(image: bytes, prompt: str, task=None, index: int = 0, variant: Variant = CLEAN):
    return making.request(
        image, variant, prompt, index, task or TASK, labels=(), representations=True
    )


IMAGES = [bytes([n]) for n in range(3)]
TASK = making.spec(
    "t", control="same_question", documents=documents([(image, 1) for image in IMAGES])
)


def states(angle: float, answer: float | None = None) -> HiddenStates:
    def vector(turned: float) -> np.ndarray:
        return np.array([math.cos(turned), math.sin(turned)], dtype=np.float32)

    ends = None if answer is None else vector(answer)
    return HiddenStates(vector(angle), ends, None, None, np.ones((1, 1), np.float32))


def test_the_mean_is_over_the_controls_that_have_the_channel():
    measured = Representations()
    (own,) = asked = [clean(IMAGES[0], "?")]
    measured.take(own, states(0.0, 0.0), 0, {})
    first, second = measured.control_requests(asked)
    measured.take(first, states(math.pi / 2), 0, {})
    measured.take(second, states(math.pi, math.pi / 2), 0, {})
    found = measured._control_same(own)
    assert found == {
        "context": pytest.approx((1 + 2) / 2, abs=1e-3),
        "answer": pytest.approx(1, abs=1e-3),
    }
    # They are not kept: only the clean answer's directions are.
    assert set(measured._units) == {own.key} and not set(measured._captured) - {own.key}
