"""Does noise make the tiny model surer? Write docs/studies/sandbox-pope.md from a run's samples.

    python scripts/studies/sandbox_table.py results    # the --output_path of a run of pope_eps

Accuracy, confidence, ECE and entropy at each epsilon, with 95% intervals
clustered by image.
"""

from __future__ import annotations

from collections.abc import Mapping

from page_parts import STUDIES, answers_of, cell, folders, table
from vlm_confidence_tasks.metrics import Number, measure

PAGE = STUDIES / "sandbox-pope.md"
EPSILONS = (0.1, 0.2, 0.3, 0.5)
COLUMNS = {
    "accuracy": "accuracy",
    "confidence": "confidence",
    "ece": "ECE",
    "entropy": "entropy (nats)",
    "invalid_rate": "answers without a label",
}
COMMAND = (
    "VLM_CONFIDENCE_DATA=sandbox lmms_eval --model tiny_llava --tasks pope_eps "
    "--output_path results --log_samples"
)
TEXT = """# The tiny model under noise

The embedded model on the sandbox's POPE questions ({questions} about {images} images), at each
strength of Gaussian noise. 95% intervals, clustered by image. Written by
`scripts/studies/sandbox_table.py`; to run it again:

```sh
{command}
python scripts/studies/sandbox_table.py results
```

{table}
"""


def row(title: str, numbers: Mapping[str, Number], side: str = "") -> list[str]:
    """Return the row of one strength."""
    *shown, invalid = (numbers[f"{name}{side}"] for name in COLUMNS)
    return [title, *map(cell, shown), f"{invalid.value:.3f}"]


def main() -> None:
    """Write the page."""
    (results,) = folders(__doc__, results="folder of the run")
    answers = {epsilon: answers_of(results, f"pope_eps{epsilon}") for epsilon in EPSILONS}
    measured = {
        str(e): measure(a, [*COLUMNS, *(f"{n}_clean" for n in COLUMNS)]) for e, a in answers.items()
    }
    clean = answers[EPSILONS[0]].documents
    rows = [row("clean", measured[str(EPSILONS[0])], "_clean")]
    rows += [row(epsilon, numbers) for epsilon, numbers in measured.items()]
    text = TEXT.format(
        questions=len(clean),
        images=len(set(clean.image)),
        command=COMMAND,
        table="\n".join(table(["epsilon", *COLUMNS.values()], rows)),
    )
    PAGE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
