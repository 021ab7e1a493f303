"""The shipped model: its files, its tokens, and what it answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tiny_world import wording
from vlm_confidence_tasks.benchmarks import BENCHMARKS
from vlm_confidence_tasks.benchmarks.mmmu import ASK_FOR_WORD
from vlm_confidence_tasks.perturbations import perturb
from vlm_confidence_tasks.sandbox import MODEL_DIR
from vlm_confidence_tasks.sandbox.render import render
from vlm_confidence_tasks.sandbox.world import OBJECTS, evaluation_scenes

from .helpers import accuracy, chat, clean_accuracy

SCENES = list(evaluation_scenes(50, 40))
AMBER = ("amber_existence", "amber_attribute", "amber_relation")
FILES = {
    **dict.fromkeys(
        ("amber_existence", "amber_attribute", "amber_relation"), "amber/train.parquet"
    ),
    "seed": "seed/test.parquet",
    "mmmu": "mmmu/validation.parquet",
}


def test_size() -> None:
    files = [file for file in MODEL_DIR.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 8_000_000


def test_at_most_three_million_parameters_all_of_them_loaded(model: Any) -> None:
    assert model.num_parameters() <= 3_000_000
    assert not any(model.loading_info.values())


def test_greedy_generation_is_the_default(model: Any) -> None:
    settings = model.generation_config
    assert settings.do_sample is False
    assert settings.temperature is None or settings.temperature == 1.0


@pytest.mark.parametrize("space", ["", " "])
def test_labels_are_single_tokens_of_their_own(processor: Any, space: str) -> None:
    words = ("Yes", "No", "A", "B", "C", "D")
    ids = [processor.tokenizer.encode(space + w, add_special_tokens=False) for w in words]
    assert all(len(tokens) == 1 for tokens in ids)
    assert len({tokens[0] for tokens in ids}) == len(words)


def test_chat_and_simple_adapters_write_the_same_text(processor: Any) -> None:
    as_chat = processor.apply_chat_template(
        [{"role": "user", "content": chat("Is it?")}], add_generation_prompt=True
    )
    simple = processor.tokenizer.apply_chat_template(
        [{"role": "user", "content": "<image>\nIs it?"}], tokenize=False, add_generation_prompt=True
    )
    assert as_chat == simple == "USER: <image>\nIs it? ASSISTANT:"


def test_any_image_becomes_sixteen_tokens(processor: Any) -> None:
    for size in ((64, 64), (33, 90), (1, 1), (300, 200)):
        inputs = processor(images=[Image.new("RGB", size)], text="<image>", return_tensors="pt")
        assert inputs["pixel_values"].shape == (1, 3, 64, 64)
        assert inputs["input_ids"].shape == (1, 16)


def pope_chat(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The benchmark's own question, with upstream's ending."""
    return chat(BENCHMARKS["pope"].question(row, "", f"\n{ASK_FOR_WORD}").prompt)


def test_pope_clean_and_with_noise(ask: Any, rows: Any) -> None:
    data = rows("pope/test.parquet")
    contents = list(map(pope_chat, data))
    truths = [row["answer"] for row in data]
    clean = accuracy(ask([[row["image"]] for row in data], contents, 4), truths)
    worse = [[perturb(row["image"], "gaussian_noise", epsilon=0.5)] for row in data]
    assert clean >= 0.95
    assert accuracy(ask(worse, contents, 4), truths) <= clean - 0.05


@pytest.fixture(scope="module")
def clean_answers(ask: Any, rows: Any) -> list[str]:
    return ask_of_pope(ask, rows, lambda image: image)


def ask_of_pope(ask: Any, rows: Any, change: Callable[[Image.Image], Image.Image]) -> list[str]:
    """Answers to every third of POPE's questions, images changed."""
    data = rows("pope/test.parquet")[::3]
    contents = list(map(pope_chat, data))
    return ask([[change(row["image"])] for row in data], contents, 4)


def flips(answers: Sequence[str], clean: Sequence[str]) -> float:
    return float(np.mean([a != c for a, c in zip(answers, clean, strict=True)]))


@pytest.mark.parametrize(
    "name, given",
    [
        *(("translate", {"dx": dx}) for dx in (-8, -4, 4, 8)),
        *(("scale", {"factor": factor}) for factor in (0.9, 0.95)),
        ("gaussian_noise", {"epsilon": 0.05, "seed": 0}),
    ],
)
def test_what_a_camera_does_flips_hardly_an_answer(
    ask: Any, rows: Any, clean_answers: list[str], name: str, given: dict[str, Any]
) -> None:
    moved = ask_of_pope(ask, rows, lambda image: perturb(image, name, **given))
    assert flips(moved, clean_answers) <= 0.05


def test_the_shifts_of_the_tasks_flip_hardly_an_answer(
    ask: Any, rows: Any, clean_answers: list[str]
) -> None:
    shifts = [dx for dx in range(-16, 17, 4) if dx]
    moved = [
        ask_of_pope(ask, rows, lambda image, dx=dx: perturb(image, "translate", dx=dx))
        for dx in shifts
    ]
    assert np.mean([flips(answers, clean_answers) for answers in moved]) <= 0.05


@pytest.mark.parametrize(
    "name, given", [("rotate", {"degrees": 30}), ("gaussian_noise", {"epsilon": 0.5, "seed": 0})]
)
def test_what_it_was_not_taught_still_flips_answers(
    ask: Any, rows: Any, clean_answers: list[str], name: str, given: dict[str, Any]
) -> None:
    changed = ask_of_pope(ask, rows, lambda image: perturb(image, name, **given))
    assert flips(changed, clean_answers) >= 0.08


@pytest.mark.parametrize("name", [*AMBER, "seed"])
def test_other_benchmarks_clean(ask: Any, rows: Any, name: str) -> None:
    assert clean_accuracy(ask, BENCHMARKS[name], rows(FILES[name])) >= 0.9


@pytest.mark.parametrize("between_words", [True, False])
@pytest.mark.parametrize("kind", ["multiple-choice", "open"])
def test_mmmu_clean(ask: Any, rows: Any, kind: str, between_words: bool) -> None:
    data = [row for row in rows(FILES["mmmu"]) if row["question_type"] == kind]
    assert len(data) >= 10
    assert clean_accuracy(ask, BENCHMARKS["mmmu"], data, between_words) >= 0.9


@pytest.mark.parametrize("person", [wording.third_person, wording.first_person])
def test_percentages_tell_right_answers_from_wrong_ones(ask: Any, person: Any) -> None:
    names = [(scene.names[0], scene.absent[0]) for scene in SCENES]
    images = [[render(scene)] for scene in SCENES for _ in range(4)]
    planted = [(n, a) for there, absent in names for n in (there, absent) for a in ("Yes", "No")]
    asked = [chat(person(wording.pope_question(name), answer)) for name, answer in planted]
    right = np.array([True, False, False, True] * len(SCENES))
    said = ask(images, asked, 6)
    assert all(re.fullmatch(r"\d{1,2}%", text) for text in said)
    sure = np.array([int(text[:-1]) for text in said])
    assert np.mean((sure > 50) == right) >= 0.9


def test_captions_name_what_is_there_and_end(ask: Any) -> None:
    captions = ask([[render(s)] for s in SCENES], [chat(wording.CAPTION)] * len(SCENES), 120)
    assert all(text.endswith(".") for text in captions)
    shares = []
    for scene, text in zip(SCENES, captions, strict=True):
        named = {name for name in OBJECTS if name in text}
        shares.append(len(named & set(scene.names)) / len(named | set(scene.names)))
    assert np.mean(shares) >= 0.9
