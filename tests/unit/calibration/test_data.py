"""Examples: noise on what is named, the confidence that it leaves, images apart by split."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import datasets
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from calibration.making import ABSENT, asked, finder, scenes
from vlm_confidence_tasks.benchmarks import PROMPTS
from vlm_confidence_tasks.calibration import data
from vlm_confidence_tasks.calibration.card import write_card
from vlm_confidence_tasks.calibration.config import DataConfig, read_config, to_mapping
from vlm_confidence_tasks.calibration.data import (
    FINISHED,
    Counts,
    draw_confidences,
    examples,
    load_examples,
    preference,
    split_of,
    write_examples,
)
from vlm_confidence_tasks.calibration.sources import Asked
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.perturbations import image_digest
from vlm_confidence_tasks.sandbox.render import pale

ALL = DataConfig(held_out=0.0)
LEVELS = tuple(round(0.1 * k, 1) for k in range(1, 11))


@given(st.integers(0, 100))
def test_the_rejected_is_the_rest_to_100_and_none_at_50(c: int) -> None:
    chosen, rejected = preference(c / 100)
    assert chosen == f"{c}%"
    assert rejected == (None if c == 50 else f"{100 - c}%")


def _made(drawn, config):
    counts = Counts()
    return list(examples(asked(drawn), finder(drawn).of, config, counts)), counts


def _pixels(row) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])))


def test_each_question_is_shown_at_each_confidence_and_asked_in_the_third_person() -> None:
    drawn = scenes(3)
    made, counts = _made(drawn, ALL)
    assert (counts.questions, counts.no_mask, len(made)) == (3, 0, 30)
    for index, scene in enumerate(drawn):
        rows = [row for _, row in made if row["question_id"] == str(index)]
        assert sorted(row["confidence"] for row in rows) == list(LEVELS)
        question = f"Is there a {scene.names[0]} in the image?"
        for row in rows:
            assert row["prompt"] == [
                {
                    "role": "user",
                    "content": PROMPTS["third"].format(question=question, answer="Yes"),
                }
            ]
            assert row["chosen"][0]["content"] == f"{round(100 * row['confidence'])}%"
            assert (row["rejected"] is None) == (row["confidence"] == 0.5)
            assert row["image_sha256"] == image_digest(pale(scene))


def test_noise_lies_on_the_thing_grows_as_confidence_falls_and_is_none_at_1() -> None:
    drawn = scenes(2)
    (mask,) = finder(drawn).of(next(asked(drawn)).question, pale(drawn[0])).values()
    clean = np.asarray(pale(drawn[0])).astype(int)
    changed = {}
    for _, row in _made(drawn, ALL)[0]:
        if row["question_id"] == "0":
            off = _pixels(row).astype(int) - clean
            assert not off[~mask].any()
            changed[row["confidence"]] = np.abs(off[mask]).mean()
    amounts = [changed[level] for level in sorted(changed, reverse=True)]
    assert amounts[0] == 0 and amounts == sorted(amounts) and amounts[-1] > 30


def test_global_noise_is_everywhere_about_the_same_questions() -> None:
    drawn = scenes(2)
    wide = msgspec.structs.replace(ALL, where="global", confidences=(0.3,))
    clean = np.asarray(pale(drawn[0])).astype(int)
    made, _ = _made(drawn, wide)
    assert (np.abs(_pixels(made[0][1]).astype(int) - clean).any(-1)).mean() > 0.95


def test_shuffled_confidences_are_the_same_numbers_on_other_images() -> None:
    drawn = scenes(20)
    made, _ = _made(drawn, msgspec.structs.replace(ALL, shuffled=True))
    shown = np.array([row["shown"] for _, row in made])
    stated = np.array([row["confidence"] for _, row in made])
    assert sorted(shown) == sorted(stated)
    assert abs(np.corrcoef(shown, stated)[0, 1]) < 0.25
    chosen = [row["chosen"][0]["content"] for _, row in made]
    assert chosen == [f"{round(100 * c)}%" for c in stated]
    plain, _ = _made(drawn, ALL)
    assert all(row["shown"] == row["confidence"] for _, row in plain)


def test_copies_are_drawn_and_differ_between_questions() -> None:
    one = msgspec.structs.replace(ALL, copies=2)
    drawn = [draw_confidences("ab", f"question {n}", one) for n in range(40)]
    assert all(len({shown for shown, _ in each}) == 2 for each in drawn)
    assert {shown for each in drawn for shown, _ in each} == set(LEVELS)


@given(st.binary(min_size=4, max_size=8).map(bytes.hex), st.integers(0, 5))
def test_a_larger_share_holds_out_the_same_images_and_more(digest: str, seed: int) -> None:
    splits = [split_of(digest, share, seed) for share in (0.0, 0.3, 0.6, 0.999999)]
    assert splits[0] == "train" and splits == sorted(splits, reverse=True)


def test_no_image_is_in_both_splits_and_all_rows_of_a_held_out_image_are_named() -> None:
    drawn = scenes(60)
    counts = Counts()
    config = DataConfig(held_out=0.4, copies=1)
    twice = [*asked(drawn), *asked(drawn, ABSENT)]
    made = list(examples(twice, finder(drawn).of, config, counts))
    by_split = {s: {r["image_sha256"] for t, r in made if t == s} for s in ("train", "test")}
    assert not by_split["train"] & by_split["test"]
    assert 10 < len(by_split["test"]) < 40
    assert by_split == counts.images
    held = {row for row, scene in enumerate(drawn) if image_digest(pale(scene)) in by_split["test"]}
    # Once for each of the two questions on it, also where nothing that it names was found.
    assert sorted(counts.held_out_rows) == sorted([*held, *held])
    assert counts.no_mask == 60


def test_a_question_that_comes_again_makes_no_second_example() -> None:
    drawn = scenes(2)
    counts = Counts()
    made = list(examples([*asked(drawn), *asked(drawn)], finder(drawn).of, ALL, counts))
    assert (len(made), counts.questions) == (20, 2)


def test_an_example_depends_on_no_other_question() -> None:
    drawn = scenes(4)

    def made(kept) -> dict[tuple[str, str, float], bytes]:
        rows = [row for _, row in examples(kept, finder(drawn).of, ALL, Counts())]
        return {(r["question"], r["image_sha256"], r["shown"]): r["image"]["bytes"] for r in rows}

    whole = list(asked(drawn))
    assert made(reversed(whole)) == made(whole)
    last = made(whole[-1:])
    assert last and last.items() <= made(whole).items()


def test_files_are_read_by_datasets_as_the_card_says(tmp_path: Path) -> None:
    drawn = scenes(30)
    config = DataConfig(held_out=0.3, copies=3)
    counts = write_examples(asked(drawn), finder(drawn).of, config, tmp_path)
    write_card(
        tmp_path,
        counts,
        to_mapping(read_config("csp"))["data"],
        source="scenes",
        answers="the data set's",
        masks="sandbox/1",
    )
    read = datasets.load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in read.items()} == counts.examples
    assert counts.examples["train"] + counts.examples["test"] == 90
    assert read["train"][0]["image"].size == (64, 64)
    assert load_examples(tmp_path)[0]["prompt"] == read["train"][0]["prompt"]
    text = (tmp_path / "README.md").read_text()
    assert f"| images | {len(counts.images['train'])} |" in text


def test_an_empty_mask_set_is_refused(tmp_path: Path) -> None:
    drawn = scenes(3)
    with pytest.raises(TaskError, match="no mask was found for any of 3 questions: name another"):
        write_examples(asked(drawn, ABSENT), finder(drawn).of, ALL, tmp_path)
    assert not list(tmp_path.glob("*.parquet"))


def test_nothing_left_to_train_on_is_refused(tmp_path: Path) -> None:
    drawn = scenes(1)
    all_held = DataConfig(held_out=0.999999)
    with pytest.raises(TaskError, match="no image is left to train on"):
        write_examples(asked(drawn), finder(drawn).of, all_held, tmp_path)


def test_a_folder_with_data_is_not_written_to(tmp_path: Path) -> None:
    drawn = scenes(1)
    write_examples(asked(drawn), finder(drawn).of, ALL, tmp_path)
    with pytest.raises(TaskError, match="holds data already"):
        write_examples(asked(drawn), finder(drawn).of, ALL, tmp_path)


def test_a_folder_without_examples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"no file train-\*.parquet in it"):
        load_examples(tmp_path)
    datasets.Dataset.from_dict({"image": ["x"]}).to_parquet(str(tmp_path / "train-0.parquet"))
    (tmp_path / FINISHED).write_text('{"train": 1}')
    with pytest.raises(TaskError, match="has no column 'answer'"):
        load_examples(tmp_path)


def test_a_folder_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    drawn = scenes(2)
    with patch.object(data, "SHARD", 8):
        write_examples(asked(drawn), finder(drawn).of, ALL, tmp_path)
    first, second, third = sorted(tmp_path.glob("train-*.parquet"))
    assert len(load_examples(tmp_path)) == 20
    held = second.read_bytes()
    second.write_bytes(b"")
    with pytest.raises(TaskError, match=f"{second}: no parquet file .*: copy or make the data"):
        load_examples(tmp_path)
    second.unlink()
    with pytest.raises(TaskError, match=f"{tmp_path}: 12 of 20 train examples in it: copy or"):
        load_examples(tmp_path)
    second.write_bytes(held)
    (tmp_path / FINISHED).unlink()
    with pytest.raises(TaskError, match=f"{tmp_path}/{FINISHED}: cannot be read .*make it again"):
        load_examples(tmp_path)


def test_examples_that_were_killed_between_files_are_none_and_are_made_again(
    tmp_path: Path,
) -> None:
    drawn = scenes(3)

    def killed() -> Iterator[Asked]:
        yield from list(asked(drawn))[:2]
        os.kill(os.getpid(), signal.SIGKILL)

    if (child := os.fork()) == 0:
        with patch.object(data, "SHARD", 8):
            write_examples(killed(), finder(drawn).of, ALL, tmp_path)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert [path.name for path in tmp_path.glob("*/*")] == [
        "train-00000.parquet",
        "train-00001.parquet",
    ]
    with pytest.raises(TaskError, match=r"no file train-\*.parquet in it"):
        load_examples(tmp_path)
    write_examples(asked(drawn), finder(drawn).of, ALL, tmp_path)
    assert len(load_examples(tmp_path)) == 30 and not list(tmp_path.glob("*/*"))


def test_a_models_own_answer_is_quoted() -> None:
    drawn = scenes(1)
    mine = [replace(next(asked(drawn)), answer="No")]
    ((_, row), *_) = examples(mine, finder(drawn).of, ALL, Counts())
    assert "Model's answer was: No." in row["prompt"][0]["content"]
