"""What each step of The Confidence Trap's code contributes: docs/studies/confidence-trap-audit.md.

    python scripts/studies/trap_audit.py trap    # the --output_path of "caption_trap*,caption_eps"

Each number is a mean over images with its 95% interval.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from page_parts import STUDIES, answers_of, cell, folders, mean_of, samples_file, table
from vlm_confidence_tasks.metrics import rate_interval
from vlm_confidence_tasks.metrics.functional.checks import Floats

PAGE = STUDIES / "confidence-trap-audit.md"
EPSILONS = (0.1, 0.2, 0.3, 0.5)

HEADS = (
    *("task", "what is done", "H(clean)", "H(noisy)", "H(noisy) - H(clean)"),
    "share that falls",
)

COMMAND = (
    "lmms_eval --model llava --model_args pretrained=llava-hf/llava-1.5-7b-hf "
    '--tasks "caption_trap*,caption_eps" --output_path trap --log_samples'
)
TEXT = """# What the code of "The Confidence Trap" measures

The paper says that the entropy of a model's *generated tokens* falls when Gaussian noise of epsilon
is added to the image. Its repository does something else at five places, and the tasks
`caption_trap_eps*` do the same, step by step:

1. The noise is added behind the processor, to normalised pixel values; its standard deviation is
   0.1 epsilon (0.03 at "0.3"), and it is not cut at epsilon.
2. `clamp(x + noise, 0, 1)` is applied there, to the noisy side alone. In normalised values 0 is the
   processor's mean, so that every pixel darker than the mean is cut, whatever the noise.
3. The entropy is the mean over all positions of the prompt in one forward pass, nearly all of them
   image tokens; nothing is generated.
4. The prompt has no chat template.
5. Nothing is seeded. (Here the draw is that of the image; it is the same for all epsilons.)

Its projected gradient descent is never called; at its start, where the image is the clean one, its
gradient is 0. Its log at epsilon 0.3 holds a mean of -0.0231 over 5 runs and +0.0026 at 0.1, none
at 0.2 and 0.5; the text says -0.028.

The controls leave one step out at a time, so that what makes the difference is seen.

## The tiny model

{images} images of the sandbox, "Describe this image in detail.", nats, 95% intervals over images.
Written by `scripts/studies/trap_audit.py` from the run in `docs/studies/sandbox-attacks.sh`.

{rows}

{verdict}

The tiny model has never seen a prompt without its template: how large its entropies are says
nothing; which step moves them does.

## LLaVA-1.5-7B

The same, by one command on a GPU (not run here):

```sh
{command}
```

and `scripts/studies/trap_audit.py trap` writes this page from it.
"""

ROWS = (
    ("caption_trap_clamponly", "no noise; the noisy side is clamped"),
    *(
        (f"caption_trap_eps{e}", "as the repository: noise, clamp, prompt positions")
        for e in EPSILONS
    ),
    *((f"caption_trap_eps{e}_noclamp", "without the clamp") for e in EPSILONS),
    *(
        (f"caption_trap_eps{e}_generated", "the repository's pixels, generated tokens")
        for e in EPSILONS
    ),
    *(
        (f"caption_eps{e}", "the text: noise of epsilon on the image, template, generated tokens")
        for e in EPSILONS
    ),
)


def read(folder: Path, task: str) -> Floats:
    """Read clean and noisy entropy of each image, in the order of the data, [images, 2]."""
    if task.startswith("caption_trap"):
        rows = map(json.loads, samples_file(folder, task).read_text().splitlines())
        pairs = [(r["doc_id"], r["trap_entropy_clean"], r["trap_entropy"]) for r in rows]
        return np.array(sorted(pairs))[:, 1:]
    view = answers_of(folder, task).perturbed
    order = np.argsort(view.position)
    return np.column_stack([view.counterpart.entropy, view.entropy])[order]


def change(pairs: Floats) -> Floats:
    """Return the change of each image's entropy."""
    return pairs[:, 1] - pairs[:, 0]


def mean(numbers: Floats) -> str:
    """Return a mean over images with its interval."""
    return cell(mean_of(numbers, np.arange(numbers.size)), digits=".4f")


def row(task: str, text: str, pairs: Floats) -> list[str]:
    """Return a task's row."""
    moved = change(pairs)
    falls = mean_of((moved < 0).astype(float), np.arange(moved.size), rate_interval)
    return [f"`{task}`", text, *map(mean, (*pairs.T, moved)), cell(falls, digits=".2f")]


def verdict(found: dict[str, Floats]) -> str:
    """Return what the clamp, and what the noise beside it, contributes at each epsilon."""
    clamp = found["caption_trap_clamponly"]
    rows = (
        [
            str(epsilon),
            mean(found[f"caption_trap_eps{epsilon}"][:, 1] - clamp[:, 1]),
            mean(change(found[f"caption_trap_eps{epsilon}_noclamp"])),
        ]
        for epsilon in EPSILONS
    )
    return "\n".join(
        [
            f"**The clamp alone, with no noise at all, moves the mean by {mean(change(clamp))} "
            "nats.** What the noise adds to it, paired by image:",
            "",
            *table(("epsilon", "with clamp, less the clamp alone", "without clamp"), rows),
        ]
    )


def main() -> None:
    """Write the page."""
    (folder,) = folders(__doc__, trap="folder of the run")
    found = {task: read(folder, task) for task, _ in ROWS}
    page = TEXT.format(
        images=len(found["caption_trap_clamponly"]),
        rows="\n".join(table(HEADS, (row(task, text, found[task]) for task, text in ROWS))),
        verdict=verdict(found),
        command=COMMAND,
    )
    PAGE.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
