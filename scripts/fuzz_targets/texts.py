"""Texts of a model: an answer names one of the labels, a certainty lies in [0, 1]."""

from __future__ import annotations

from hypothesis import strategies as st

from vlm_confidence_tasks.benchmarks import find_answer, parse_answer, parse_certainty, refuses

LABELS = (("Yes", "No"), ("A", "B", "C", "D"), ())
WORDS = [
    *("Yes", "no", "(A)", " b.", "the answer is", "The best option: ", "85%", "0.5", "-1", "."),
    *("\\boxed{B}", "<answer>A</answer>", "**Answer**: **C**", "A)", "Both A and B", "\n", "\nA\n"),
    *("so", "actually,", "not", "is wrong", "maybe", "I choose", "if", "A or B", "No image was"),
    *("答案是", "B", "是", "不是A", "选", "\uff21", "\uff05", "1e-2", "I cannot answer"),
    *("certainty", "?"),
]
phrases = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=9).map(" ".join)
INPUTS = (phrases | st.text(), st.sampled_from(LABELS))


def check(text: str, labels: tuple[str, ...]) -> None:
    """An answer names one of the labels, where it stands, or none; a certainty is in [0, 1]."""
    found = find_answer(text, labels)
    assert parse_answer(text, labels) == (None if found is None else found.label)
    if found is not None:
        assert found.label in labels and text[found.start : found.end].strip()
    assert refuses(text) in (True, False)
    certainty = parse_certainty(text)
    assert certainty is None or 0 <= certainty <= 1
