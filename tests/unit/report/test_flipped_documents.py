"""The surest flips: whom they are, and in which order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from report.conftest import FAMILIES
from report.synthetic import Asked, answers, noise, questions, write_run
from vlm_confidence_tasks.report.inputs.samples import SamplesFile, read_samples
from vlm_confidence_tasks.report.leaderboard.flipped_documents import merge, surest_flips


def rows(folder: Path) -> SamplesFile:
    write_run(folder, {"t": answers(questions(50), FAMILIES, skill=0)})
    (file,) = folder.rglob("*.jsonl")
    return read_samples(file)


def test_flips_are_documents_that_changed_by_falling_confidence(tmp_path: Path) -> None:
    held = rows(tmp_path)
    found = surest_flips("t", held)
    sure = [flip.perturbed["confidence"] for flip in found]
    assert len(found) == 20 and sure == sorted(sure, reverse=True)
    assert len({flip.question_id for flip in found}) == 20
    for flip in found:
        sample = next(one for one in held.samples if one.question_id == flip.question_id)
        others = [a for a in sample.variants if a.answer not in (None, sample.clean.answer)]
        assert flip.clean["answer"] != flip.perturbed["answer"] is not None
        assert flip.perturbed["confidence"] == max(a.confidence for a in others)
    flipped = {flip.question_id for flip in found}
    rest = [sample for sample in held.samples if sample.question_id not in flipped]
    for sample in rest:
        for answer in sample.variants:
            if answer.answer not in (None, sample.clean.answer):
                assert answer.confidence <= sure[-1]


def test_merging_keeps_each_question_once(tmp_path: Path) -> None:
    found = surest_flips("t", rows(tmp_path))
    weaker = [
        replace(flip, task="u", perturbed=flip.perturbed | {"confidence": 0.1}) for flip in found
    ]
    assert merge([*weaker, *found]) == found
    assert len(merge(found, most=3)) == 3


def test_categories_that_number_their_questions_alike_do_not_hide_each_other(
    tmp_path: Path,
) -> None:
    asked = [
        Asked(str(n % 30), f"image{n % 3}", category="ab"[n // 30], text=f"Is thing {n} there?")
        for n in range(60)
    ]
    write_run(tmp_path, {"t": answers(asked, [noise(0.3)], skill=0)})
    (file,) = tmp_path.rglob("*.jsonl")
    found = surest_flips("t", read_samples(file), most=60)
    alike = [(flip.question_id, flip.image_sha256) for flip in found]
    assert len(set(alike)) < len(alike)
    assert merge(found, most=60) == found


@pytest.mark.parametrize("most", [60, 3])
def test_a_question_in_several_categories_is_shown_once_with_its_surest_flip(
    tmp_path: Path, most: int
) -> None:
    """POPE asks the same of an image among its random, popular and adversarial questions."""
    asked = [
        Asked(f"{k}{n}", f"image{n % 4}", category=category, text=f"Is thing {n} there?")
        for k, category in enumerate(("random", "popular", "adversarial"))
        for n in range(20)
    ]
    write_run(tmp_path, {"t": answers(asked, [noise(0.3)], skill=0)})
    (file,) = tmp_path.rglob("*.jsonl")
    held = read_samples(file)
    surest: dict[str, tuple[float, set[str]]] = {}
    for sample in held.samples:
        (perturbed,) = sample.variants
        if perturbed.answer not in (None, sample.clean.answer):
            best, categories = surest.get(sample.prompt, (0.0, set()))
            surest[sample.prompt] = max(best, perturbed.confidence), categories | {sample.category}
    assert max(len(categories) for _, categories in surest.values()) == 3
    expected = sorted(surest.items(), key=lambda item: -item[1][0])[:most]
    found = surest_flips("t", held, most=most)
    assert [(f.question, f.perturbed["confidence"], f.categories) for f in found] == [
        (prompt, best, sorted(categories)) for prompt, (best, categories) in expected
    ]


def test_questions_without_a_plain_prompt_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    (one,) = surest_flips("t", rows(tmp_path), most=1)
    two = replace(one, question="", question_id="a"), replace(one, question="", question_id="b")
    assert len(merge(two)) == 2
