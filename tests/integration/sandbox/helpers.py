"""What the tests of the model share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vlm_confidence_tasks.benchmarks import Benchmark, parse_answer
from vlm_confidence_tasks.benchmarks.mmmu import ASK_FOR_WORD


def chat(prompt: str, images: int = 1) -> list[dict[str, Any]]:
    """Contents of a chat message as the harness makes them: images, then text."""
    return [{"type": "image"}] * images + [{"type": "text", "text": prompt}]


def accuracy(answers: Sequence[str], truths: Sequence[str]) -> float:
    pairs = zip(answers, truths, strict=True)
    return sum(a.lower() == t.lower() for a, t in pairs) / len(truths)


def clean_accuracy(
    ask: Any, benchmark: Benchmark, rows: Sequence[dict[str, Any]], between_words: bool = True
) -> float:
    """Accuracy on a benchmark's rows, asked as chat adapters do or with all images first."""
    kept = benchmark.select({name: [row[name] for row in rows] for name in rows[0]})
    shown, contents, questions = [], [], []
    post = f"\n{ASK_FOR_WORD}" if benchmark.name.startswith("amber") else ""
    for row in (rows[index] for index in kept):
        cells = [row[name] for name in benchmark.image_columns]
        images = [i for cell in cells if cell for i in (cell if isinstance(cell, list) else [cell])]
        question = benchmark.question(row, "", post)
        content = question.content if between_words else ()
        parts = content or (*range(len(images)), question.prompt)
        order = [part for part in parts if isinstance(part, int)]
        shown.append([images[part] for part in order])
        text = {i: {"type": "text", "text": p} for i, p in enumerate(parts) if isinstance(p, str)}
        contents.append([text.get(i, {"type": "image"}) for i in range(len(parts))])
        questions.append(question)
    texts = ask(shown, contents, 8)
    return float(
        np.mean(
            [
                benchmark.is_right(question, parse_answer(text, question.labels), text)
                for question, text in zip(questions, texts, strict=True)
            ]
        )
    )
