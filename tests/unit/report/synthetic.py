"""Runs of the harness made up from random answers, files and all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from metrics.making import values
from msgspec.structs import replace

from vlm_confidence_tasks.types import CLEAN, Readout, Sample, Variant

LABELS = ("Yes", "No")


def noise(epsilon: float) -> Variant:
    return Variant("gaussian_noise", (("epsilon", epsilon),), family="noise")


class Asked(msgspec.Struct, frozen=True):
    """A question of a made-up benchmark."""

    question_id: str
    image_id: str
    gold: str | None = "Yes"
    digests: Mapping[Variant, str] = {}
    text: str = "Is it there?"
    category: str = "made up"

    def digest(self, variant: Variant) -> str:
        """Digest of the image as the variant shows it."""
        made_up = sha256(f"{self.image_id} {variant}".encode()).hexdigest()
        return self.digests.get(variant, made_up)


def questions(count: int, images: int = 7) -> list[Asked]:
    return [
        Asked(str(n), f"image{n % images}", LABELS[n % 2], text=f"Is thing {n} there?")
        for n in range(count)
    ]


def answer(asked: Asked, variant: Variant, rng: np.random.Generator, skill: float) -> Readout:
    """Make up one answer; noise makes it worse, and surer."""
    epsilon = float(dict(variant.parameters).get("epsilon", 0.0))
    log_odds = rng.normal(skill * (1.0 - epsilon), 1.5)
    right = 1 / (1 + math.exp(-log_odds))
    gold = asked.gold or "Yes"
    probs = {gold: right, "No" if gold == "Yes" else "Yes": 1 - right}
    said = max(probs, key=probs.__getitem__)
    entropy = float(rng.gamma(2.0, 0.3 * (1 - epsilon / 2)))
    return Readout.of(
        variant=variant,
        image_sha256=asked.digest(variant),
        text=f"{said}.",
        answer=said if rng.random() > 0.03 else None,
        correct=None,
        entropy=entropy,
        token_entropy=(entropy,),
        logprob=math.log(max(probs.values())),
        probs=probs,
        answer_mass=0.9,
        answer_step=0,
        entropy_answer=entropy,
        confidence=probs[said],
        margin=abs(log_odds),
        gold_margin=log_odds,
    )


def marked(readout: Readout, gold: str | None) -> Readout:
    """Mark an answer right or wrong; one that cannot be read has no confidence."""
    return replace(
        readout,
        correct=None if gold is None else readout.answer == gold,
        confidence=None if readout.answer is None else readout.confidence,
    )


Answers = list[tuple[Asked, Sample]]


def answers(
    asked: Sequence[Asked], variants: Sequence[Variant], seed: int = 0, skill: float = 1.0
) -> Answers:
    rng = np.random.default_rng(seed)
    held = []
    for question in asked:
        clean, *others = (
            marked(answer(question, variant, rng, skill), question.gold)
            for variant in (CLEAN, *variants)
        )
        document = Sample(
            image_id=question.image_id,
            gold=question.gold,
            labels=LABELS,
            positive="Yes",
            clean=clean,
            variants=tuple(others),
            upstream_clean=float(bool(clean.correct)),
        )
        held.append((question, document))
    return held


def captions(asked: Sequence[Asked], variants: Sequence[Variant]) -> Answers:
    """Make up answers to an open question that has no right answer."""
    left_out = (
        "entropy_answer",
        "answer",
        "correct",
        "probs",
        "answer_mass",
        "confidence",
        "margin",
        "gold_margin",
    )
    nothing = dict.fromkeys(left_out)

    def caption(readout: Readout) -> Readout:
        return replace(readout, text="Two shapes.", **nothing)

    return [
        (
            replace(question, gold=None),
            replace(
                document,
                gold=None,
                labels=(),
                positive=None,
                clean=caption(document.clean),
                variants=tuple(map(caption, document.variants)),
                upstream_clean=None,
            ),
        )
        for question, document in answers(asked, variants)
    ]


def row(asked: Asked, document: Sample, number: int) -> dict[str, Any]:
    """Lay a document out as a samples file has it, without the metrics' values."""
    return {
        "doc_id": number,
        "target": document.gold or "",
        "filtered_resps": [r.text for r in (document.clean, *document.variants)],
        **document.to_dict(),
        "question_id": asked.question_id,
        "category": asked.category,
        "input": asked.text,
    }


def task_config(task: str, variants: Sequence[Variant]) -> dict[str, Any]:
    return {
        "task": task,
        "generation_kwargs": {"max_new_tokens": 4},
        "benchmark": "pope",
        "perturbations": [str(variant) for variant in variants],
        "max_side": None,
        "vlm_confidence_tasks": "1.0",
        "versions": {"torch": "2.9", "transformers": "5.1"},
    }


def write_run(
    folder: Path,
    tasks: Mapping[str, Answers],
    *,
    args: str = "pretrained=org/model",
    model: str = "llava",
    date: str = "20260101_000000",
    limit: float | None = None,
    change: Callable[[dict[str, Any]], None] = lambda record: None,
) -> Path:
    """Write a results file and its samples; returns the results file."""
    folder = folder / sha256(args.encode()).hexdigest()[:6]
    folder.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {
        "results": {},
        "configs": {},
        "config": {"model": model, "model_args": args, "limit": limit},
        "lmms_eval_version": "0.7.3",
        "date": date,
    }
    for task, held in tasks.items():
        documents = [document for _, document in held]
        variants = list(dict.fromkeys(r.variant for d in documents for r in d.variants))
        record["results"][task] = {"alias": task} | {
            f"{name}{key}": value
            for name, number in values(documents).items()
            for key, value in ((",none", number), ("_stderr,none", "N/A"))
        }
        record["configs"][task] = task_config(task, variants)
        rows = (row(*pair, n) for n, pair in enumerate(held))
        lines = [json.dumps(one, ensure_ascii=False) for one in rows]
        samples = folder / f"{date}_samples_{task}.jsonl"
        samples.write_text("\n".join(lines) + "\n", encoding="utf-8")
    change(record)
    results = folder / f"{date}_results.json"
    results.write_text(json.dumps(record))
    return results
