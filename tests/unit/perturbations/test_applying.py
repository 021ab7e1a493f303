import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vlm_confidence_tasks.perturbations import apply, get, image_digest, names, perturb, variants
from vlm_confidence_tasks.types import CLEAN

from .strategies import (
    EXAMPLES,
    NEED_ROOM,
    ZEROS,
    answering,
    example,
    flat_image,
    images,
    laws,
    needed,
    noise_image,
    roomy,
    same,
)

HERE = Path(__file__)
PATH = os.pathsep.join(map(str, [HERE.parents[1], HERE.parents[2]]))

PROGRAM = """
import json
from perturbations.strategies import EXAMPLES, example, noise_image
from vlm_confidence_tasks.perturbations import image_digest
image = noise_image(64, 48)
print(json.dumps({name: image_digest(example(image, name)) for name in EXAMPLES}))
"""


@laws
@given(st.data(), st.sampled_from(sorted(EXAMPLES)))
def test_any_image_gives_rgb_and_stays_as_it_was(data, name):
    image = data.draw(roomy if name in NEED_ROOM else images)
    before = image.tobytes()
    result = example(image, name)
    assert result.mode == "RGB"
    assert min(result.size) >= 1
    assert image.tobytes() == before
    result.paste((1, 2, 3), (0, 0, *result.size))
    assert image.tobytes() == before


@laws
@given(images, st.sampled_from(sorted(ZEROS)))
def test_strength_zero_is_the_identity(image, name):
    result = perturb(image, name, **ZEROS[name], **needed(image, name))
    assert same(result, image)
    assert result is not image


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_strength_above_zero_is_not(name):
    image = noise_image(64, 48)
    assert not same(example(image, name), image)


def test_the_same_in_another_process_with_other_threads():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": PATH, "PYTHONHASHSEED": "1", "OPENCV_FOR_THREADS_NUM": "3"},
    )
    image = noise_image(64, 48)
    here = {name: image_digest(example(image, name)) for name in EXAMPLES}
    assert json.loads(done.stdout) == here


def test_the_same_in_any_order_and_in_threads():
    pictures = [noise_image(64, 48, seed) for seed in range(4)]
    jobs = [(image, name) for image in pictures for name in EXAMPLES]
    alone = {(id(image), name): image_digest(example(image, name)) for image, name in jobs}
    random.Random(0).shuffle(jobs)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: image_digest(example(*job)), jobs))
    assert together == [alone[id(image), name] for image, name in jobs]


@pytest.mark.parametrize("name", ["gaussian_blur", "motion_blur"])
def test_the_same_with_any_number_of_opencv_threads(name):
    image, before = noise_image(640, 480), cv2.getNumThreads()
    digests = set()
    for threads in (1, 2, 7):
        cv2.setNumThreads(threads)
        digests.add(image_digest(example(image, name)))
    cv2.setNumThreads(before)
    assert len(digests) == 1


@pytest.mark.parametrize("name", [name for name in EXAMPLES if get(name).draws])
def test_seeds_give_other_draws(name):
    image = noise_image(64, 48)
    assert len({example(image, name, seed=seed).tobytes() for seed in range(5)}) == 5


@pytest.mark.parametrize("name", names())
def test_apply_is_perturb(name):
    image, values = noise_image(64, 48), dict(EXAMPLES[name])
    given = values.pop("given", {}) or needed(image, name).get("given", {})
    variant = variants([{"name": name, **values, "seed": 2 if get(name).draws else 0}])[0]
    expected = perturb(image, name, seed=variant.seed, given=given, **values)
    assert same(apply(image, variant, given=given), expected)
    assert same(apply(image, variant, given=given, digest=image_digest(image)), expected)


def test_clean_is_a_copy():
    image = noise_image(3, 3)
    assert same(apply(image, CLEAN), image)
    assert apply(image, CLEAN) is not image
    with pytest.raises(ValueError, match="clean does not need clean_answer"):
        apply(image, CLEAN, given=answering("x"))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("name", names())
def test_other_modes_are_the_callers_to_convert(name, mode):
    with pytest.raises(ValueError, match=f"got mode {mode}: convert it to RGB first"):
        example(Image.new(mode, (4, 4)), name)
    with pytest.raises(ValueError, match="convert it to RGB first"):
        apply(Image.new(mode, (4, 4)), CLEAN)


def test_what_is_no_image_raises():
    with pytest.raises(ValueError, match="got ndarray: convert it first"):
        perturb(np.zeros((4, 4, 3), np.uint8), "translate", dx=1)
    with pytest.raises(ValueError, match="size \\(0, 4\\)"):
        perturb(flat_image(0, 4, 0), "translate", dx=1)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("blur", {}, "unknown perturbation 'blur'; known: .*gaussian_blur, "),
        ("gaussian_noise", {}, r"gaussian_noise needs the parameter epsilon \(float in \[0, 1\]\)"),
        ("gaussian_noise", {"epsilon": None}, r"gaussian_noise: epsilon must be .* got None"),
        ("gaussian_noise", {"epsilon": 2}, r"epsilon must be float in \[0, 1\], got 2"),
        ("gaussian_noise", {"eps": 0.3}, r"no parameter 'eps' \(given: 0.3\).*: epsilon"),
        ("translate", {"dx": 1.0}, r"translate: dx must be int, got 1.0"),
        ("scale_pad", {"fill": "red"}, "fill must be one of 'black', 'white', got 'red'"),
        ("jpeg", {"severity": 0}, r"jpeg: severity must be int in \[1, 5\], got 0"),
        ("translate", {"dx": 1, "seed": 1}, "translate draws nothing: seed must be 0, got 1"),
        ("occlusion", {"severity": 1, "seed": -1}, "seed must be an int of at least 0, got -1"),
        ("occlusion", {"severity": 1, "seed": True}, "seed must be an int .* got True"),
        ("text_overlay", {}, "text_overlay needs clean_answer: pass given="),
        (
            "translate",
            {"dx": 1, "given": answering("x")},
            "translate does not need clean_answer: leave it out of given",
        ),
    ],
)
def test_bad_requests_are_named(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        perturb(noise_image(4, 4), name, **parameters)
