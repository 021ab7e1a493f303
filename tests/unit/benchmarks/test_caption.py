"""Captions of POPE's images."""

from vlm_confidence_tasks.benchmarks import get

from .making import rows

CAPTION = get("caption")
ROWS = rows("pope/test")


def test_each_image_is_asked_once():
    names = [row["image_source"] for row in ROWS]
    kept = CAPTION.select({"image_source": names})
    assert [names[row] for row in kept] == list(dict.fromkeys(names))
    assert all(names[row] not in names[:row] for row in kept)


def test_question_has_no_right_answer():
    asked = CAPTION.question(ROWS[0], "", "")
    assert asked.prompt == "Describe this image in detail."
    assert (asked.labels, asked.gold, asked.positive) == ((), None, None)
    assert asked.question_id == asked.image_id == ROWS[0]["image_source"]
    assert CAPTION.upstream_score is None
