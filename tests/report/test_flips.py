"""The surest flips: whom they are, and in which order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from report.conftest import FAMILIES
from report.synthetic import Asked, answers, noise, questions, write_run
from vlm_confidence_tasks.report.inputs.rows import Rows, read_rows
from vlm_confidence_tasks.report.leaderboard.flipped_documents import merge, surest_flips


def rows(folder: Path) -> Rows:
    write_run(folder, {"t": answers(questions(50), FAMILIES, skill=0)})
    (file,) = folder.rglob("*.jsonl")
    return read_rows(file)


def test_flips_are_documents_that_changed_by_falling_confidence(tmp_path: Path) -> None:
    held = rows(tmp_path)
    found = surest_flips("t", held)
    sure = [flip.perturbed["confidence"] for flip in found]
    assert len(found) == 20 and sure == sorted(sure, reverse=True)
    assert len({flip.question_id for flip in found}) == 20
    for flip in found:
        row = next(row for row in held.rows if row.question_id == flip.question_id)
        others = [a for a in row.readouts[1:] if a.answer not in (None, row.clean.answer)]
        assert flip.clean["answer"] != flip.perturbed["answer"] is not None
        assert flip.perturbed["confidence"] == max(a.confidence for a in others)
    rest = [row for row in held.rows if row.question_id not in {f.question_id for f in found}]
    for row in rest:
        for answer in row.readouts[1:]:
            if answer.answer not in (None, row.clean.answer):
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
    asked = [Asked(str(n % 30), f"image{n % 3}", category="ab"[n // 30]) for n in range(60)]
    write_run(tmp_path, {"t": answers(asked, [noise(0.3)], skill=0)})
    (file,) = tmp_path.rglob("*.jsonl")
    found = surest_flips("t", read_rows(file), most=60)
    alike = [(flip.question_id, flip.image_sha256) for flip in found]
    assert len(set(alike)) < len(alike)
    assert merge(found, most=60) == found
