"""Which other images drift is held against, and the blank image."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.evaluation.blank_image import blank_images, blank_variant
from vlm_confidence_tasks.evaluation.controls import (
    CONTROLS,
    OTHERS,
    CleanVectors,
    OtherImages,
    control_drifts,
    draw_other_images,
)
from vlm_confidence_tasks.evaluation.representations import Representations
from vlm_confidence_tasks.evaluation.request import Request
from vlm_confidence_tasks.metrics import control_drift
from vlm_confidence_tasks.probe import HiddenStates

from . import making

digests = st.lists(st.binary(min_size=2, max_size=2), min_size=2, max_size=60, unique=True)


@given(digests, st.integers(0, 59), st.integers(1, 30))
def test_other_images_are_drawn_without_repetition(images, which, count):
    images.sort()
    own = images[which % len(images)]
    found = draw_other_images(own, images, count)
    assert own not in found and set(found) <= set(images)
    assert len(set(found)) == len(found) == min(count, len(images) - 1)
    assert draw_other_images(own, images, count) == found


def test_the_draw_depends_on_the_image_and_is_uniform():
    images = sorted(n.to_bytes(2, "big") for n in range(40))
    draws = [draw_other_images(image, images, 10) for image in images]
    assert len(set(map(tuple, draws))) == 40
    counts = [sum(image in draw for draw in draws) for image in images]
    # 10 of 39 others, 40 times over: 10 each, give or take.
    assert sum(counts) == 400 and 2 <= min(counts) and max(counts) <= 20


def test_one_image_alone_has_no_others():
    assert draw_other_images(b"a", [b"a"]) == []
    alone = [CleanVectors(n, b"a", f"{n}", {"context": np.ones(2, np.float16)}) for n in range(2)]
    assert control_drifts(alone, [0, 1]) == {0: {}, 1: {}}


def unit(angle: float) -> np.ndarray:
    return np.array([np.cos(angle), np.sin(angle)], dtype=np.float16)


def run_of(images: int, questions: int) -> list[CleanVectors]:
    rng = np.random.default_rng(0)
    angles = iter(rng.uniform(0, 6, size=images * questions))
    return [
        CleanVectors(q * images + i, bytes([i]), f"question {q}", {"context": unit(next(angles))})
        for i in range(images)
        for q in range(questions)
    ]


def test_the_mean_is_over_25_other_images_at_the_same_rank():
    run = run_of(images=30, questions=2)
    by_document = {one.document: one for one in run}
    found = control_drifts(run, by_document)
    images = [bytes([i]) for i in range(30)]
    for document, drifts in found.items():
        others = draw_other_images(by_document[document].image, images, OTHERS)
        assert len(others) == 25
        place = document // 30
        rows = [by_document[place * 30 + other[0]].units["context"] for other in others]
        own = by_document[document].units["context"]
        assert drifts["context"] == pytest.approx(control_drift(own, rows))


@given(st.permutations(range(12)), st.integers(1, 3))
def test_control_drift_does_not_depend_on_order_or_processes(order, processes):
    run = run_of(images=4, questions=3)
    whole = control_drifts(run, range(12), count=2)
    shuffled = [run[n] for n in order]
    parts = [range(rank, 12, processes) for rank in range(processes)]
    pieces = [control_drifts(shuffled, part, count=2) for part in parts]
    assert {k: v for piece in pieces for k, v in piece.items()} == whole


def test_ranks_are_modulo_the_number_of_questions():
    run = [
        CleanVectors(0, b"a", "q", {"context": unit(0)}),
        CleanVectors(1, b"a", "r", {"context": unit(0)}),
        CleanVectors(2, b"b", "q", {"context": unit(np.pi)}),
    ]
    assert control_drifts(run, [1])[1]["context"] == pytest.approx(2, abs=1e-3)


def test_other_images_without_a_channel_are_left_out():
    run = [
        CleanVectors(0, b"a", "q", {"context": unit(0), "answer": unit(0)}),
        CleanVectors(1, b"b", "q", {"context": unit(0)}),
        CleanVectors(2, b"c", "q", {"context": unit(0), "answer": unit(np.pi / 2)}),
    ]
    found = control_drifts(run, [0])[0]
    assert found == {"context": pytest.approx(0), "answer": pytest.approx(1, abs=1e-3)}
    assert set(control_drifts(run[:2], [0])[0]) == {"context"}


def test_blank_images_are_white_and_of_the_given_sizes():
    images = blank_images(blank_variant([(5, 3), (2, 2)]))
    assert [image.size for image in images] == [(5, 3), (2, 2)]
    assert all(set(image.get_flattened_data()) == {(255, 255, 255)} for image in images)
    assert blank_variant([(5, 3)]) == blank_variant([(5, 3)]) != blank_variant([(3, 5)])


def clean(image: bytes, prompt: str) -> Request:
    return making.request(image, prompt=prompt, labels=(), representations=True)


def test_each_blank_request_is_made_once_in_a_run() -> None:
    measured = Representations()
    first, second = clean(b"a", "Is it?"), clean(b"b", "Is it?")
    (blank,) = measured.blank_requests([(first, [(4, 2)]), (second, [(4, 2)])])
    assert measured.blank(first) == measured.blank(second) == blank.key
    one = np.ones(3, dtype=np.float32)
    measured.take(blank, HiddenStates(one, None, None, None, one[None]), 0, {})
    # In a later block: nothing new, unless the size or the prompt is.
    assert measured.blank_requests([(second, [(4, 2)])]) == []
    others = [(clean(b"c", "Is it?"), [(2, 4)]), (clean(b"d", "Was it?"), [(4, 2)])]
    assert len(measured.blank_requests(others)) == 2


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
