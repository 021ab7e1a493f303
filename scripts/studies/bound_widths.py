"""How wide the bounds of an entropy are that the k likeliest tokens leave: docs/engines.md.

    .venv/bin/python scripts/studies/bound_widths.py

Of the steps of the embedded model's answers to POPE's questions, clean and under noise, and of
made-up distributions over 32,000 tokens: the logit of the token of rank n is -a ln n, with normal
noise of 1, where a larger a makes a surer model.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.probe.top_k import entropy_bounds

KS = (5, 20, 100)
VOCABULARY = 32_000
# Zipf's exponents of distributions from doubtful to sure.
EXPONENTS = (1.5, 2.0, 3.0, 4.0)
NEAR = 1e-3


def of_the_tiny_model(questions: int) -> list[NDArray[np.float64]]:
    """Return ln p of every token at each step of the embedded model's answers."""
    import datasets
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from vlm_confidence_tasks.sandbox import DATA_DIR, MODEL_DIR

    model = AutoModelForImageTextToText.from_pretrained(MODEL_DIR, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(MODEL_DIR)
    rows = datasets.Dataset.from_parquet(str(DATA_DIR / "pope" / "test.parquet"))
    steps = []
    for row in rows.select(range(0, len(rows), len(rows) // questions)):
        clean = row["image"].convert("RGB")
        noisy = perturbations.perturb(clean, "gaussian_noise", epsilon=0.5, seed=0)
        text = f"{row['question']}\nAnswer the question using a single word or phrase."
        content = [{"type": "image"}, {"type": "text", "text": text}]
        prompt = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        for image in (clean, noisy):
            inputs = processor(images=image, text=prompt, return_tensors="pt")
            output = model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=8,
                output_logits=True,
                return_dict_in_generate=True,
            )
            # The last step is that of the end token.
            for logits in output.logits[:-1]:
                steps.append(torch.log_softmax(logits[0].double(), dim=-1).numpy())
    return steps


def made_up(exponent: float, count: int = 200) -> Iterator[NDArray[np.float64]]:
    """Yield made-up distributions over `VOCABULARY` tokens, as ln p."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        logits = -exponent * np.log(np.arange(1, VOCABULARY + 1)) + rng.normal(size=VOCABULARY)
        yield logits - np.logaddexp.reduce(logits)


def row(name: str, steps: Sequence[NDArray[np.float64]]) -> str:
    """Return a row of the table: median width, and how many are near enough for one value."""
    ranked = [np.sort(step)[::-1] for step in steps]
    entropy = np.median([-np.sum(np.exp(step) * step) for step in ranked])
    cells = [name, f"{entropy:.2g}"]
    for k in (*KS, None):
        widths = []
        for step in ranked:
            low, high = entropy_bounds(step[:k], len(step))
            exact = -float(np.sum(np.exp(step) * step))
            assert low - 1e-9 <= exact <= high + 1e-9
            widths.append(high - low)
        share = np.mean(np.array(widths) < NEAR)
        cells.append(f"{np.median(widths):.2g}, {share:.0%}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=60, help="of the sandbox's POPE")
    options = parser.parse_args()
    print(f"| distributions | median H | {' | '.join(f'k = {k}' for k in KS)} | all |")
    print("|---|---|---|---|---|---|")
    tiny = of_the_tiny_model(options.questions)
    print(row(f"tiny model, {len(tiny[0])} tokens, {len(tiny)} steps", tiny))
    for exponent in EXPONENTS:
        name = f"made up, {VOCABULARY:,} tokens, a = {exponent:g}"
        print(row(name, list(made_up(exponent))))


if __name__ == "__main__":
    main()
