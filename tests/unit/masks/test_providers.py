"""Providers by name."""

from __future__ import annotations

import pytest

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.masks import provider


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("sam", "unknown provider 'sam'; known: sandbox, grounding_dino.sam, sam3, boxes"),
        ("sandbox:x", "'sandbox:x' is not understood: write sandbox"),
        ("boxes", "write boxes:FILE"),
        ("boxes:", "write boxes:FILE"),
        ("grounding_dino+sam:one", "write grounding_dino.sam or .*:DETECTOR,SEGMENTER"),
        ("grounding_dino+sam:one,", "write grounding_dino.sam or"),
        ("sam3:a,b", "write sam3 or sam3:MODEL"),
    ],
)
def test_other_names_are_refused(spec: str, said: str) -> None:
    with pytest.raises(TaskError, match=said):
        provider(spec)


@pytest.mark.parametrize("spec", ["sam3:{0}", "grounding_dino+sam:{0},{0}"])
def test_a_model_that_is_missing_is_named_in_one_line(spec: str, tmp_path) -> None:
    found = provider(spec.format(tmp_path / "none"))
    said = f"cannot load {tmp_path / 'none'} .*: download it, or name another hub id or a folder"
    with pytest.raises(TaskError, match=said) as caught:
        _ = found.name
    assert "\n" not in str(caught.value)
