"""Configurations are read as they are written, and bad ones refused with the key's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlm_confidence_tasks.calibration.config import names, read_config, to_mapping
from vlm_confidence_tasks.errors import TaskError

ABLATIONS = {
    "sft_only": {("train", "simpo")},
    "simpo_only": {("train", "sft")},
    "global_noise": {("data", "where")},
    "first_person": {("data", "person")},
    "shuffled_confidence": {("data", "shuffled")},
}


def test_each_ablation_changes_one_thing() -> None:
    whole = to_mapping(read_config("csp"))
    assert set(names()) == {"csp", *ABLATIONS}
    for name, changed in ABLATIONS.items():
        other = to_mapping(read_config(name))
        differing = {
            (part, key)
            for part in whole
            for key in whole[part]
            if whole[part][key] != other[part][key]
        }
        assert differing == changed


def test_a_file_replaces_values_of_the_one_that_it_includes(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("include: csp\ntrain: {seed: 3, sft: {learning_rate: 1e-3}}\n")
    found, whole = read_config(str(file)), read_config("csp")
    assert (found.train.seed, found.train.sft.learning_rate) == (3, 1e-3)
    assert found.train.sft.batch_size == whole.train.sft.batch_size
    assert found.data == whole.data


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("include: csp\ntrain: {sft: {lr: 1}}", r"unknown field `lr` - at `\$.train.sft`"),
        ("include: csp\ndata: {held_out: 1}", r"`float` < 1.0 - at `\$.data.held_out`"),
        ("include: csp\ndata: {confidences: [1.2]}", r"<= 1.0 - at `\$.data.confidences"),
        ("data: {}", "missing required field `train`"),
        ("- 1", "expected keys and values"),
        ("include: csp\ndata: [", "cannot be read"),
        ("include: nothing", "no configuration nothing: name one of csp, first_person"),
        ("include: {file}", "includes itself"),
    ],
)
def test_a_bad_one_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text.replace("{file}", str(file)))
    with pytest.raises(TaskError, match=said) as caught:
        read_config(str(file))
    assert "\n" not in str(caught.value)
