"""The card of a data set: what it holds, and how it came about."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlm_confidence_tasks import __version__
from vlm_confidence_tasks.calibration.data import HELD_OUT, TRAIN, Counts

CARD = "README.md"

_TEXT = """---
pretty_name: Calibration by semantic perturbation
task_categories: [visual-question-answering]
tags: [calibration, vision-language]
configs:
- config_name: default
  data_files:
{files}
---
# Calibration by semantic perturbation

Images on which the things that a question names have been noised, the question how certain one
is of an answer, and the confidence that the noise leaves; made by
`vlm-confidence csp data` (vlm_confidence_tasks {version}) after arXiv 2504.14848.

| | train | test |
|---|---|---|
| images | {train_images} | {test_images} |
| examples | {train_examples} | {test_examples} |

- Source: {source}. Its licence holds for these images and questions too.
- Answers that are quoted: {answers}.
- Masks: {masks}. Of {questions} questions {no_mask} were left out, since none of the things that
  they name was found.
- `test`: images that are held out. No image is in both splits.
- Do not evaluate a model on images that it was trained on: `vlm-confidence csp evaluate`
  refuses to, by the digests in `image_sha256`. Another encoding of a photograph has another.

| column | |
|---|---|
| `image` | the noised image |
| `prompt` | a conversation of one message: the question how certain one is |
| `chosen` | the confidence as text: what SFT learns, and what is preferred |
| `rejected` | 100% less that; null at 50% |
| `confidence` | the same as a number in [0, 1] |
| `shown` | the confidence that the noise leaves: another one only if confidences were shuffled |
| `question`, `answer` | what is quoted in the prompt |
| `question_id`, `image_id` | of the source |
| `image_sha256` | digest of the image before the noise |

How it was made:

```json
{config}
```
"""


def write_card(
    output: Path,
    counts: Counts,
    config: Mapping[str, Any],
    *,
    source: str,
    answers: str,
    masks: str,
) -> None:
    """Write `README.md`, which the hub shows and `datasets.load_dataset` heeds.

    It tells what became of the questions, how examples were made, and from where questions with
    images, quoted answers and masks are.
    """
    files = [
        f"  - {{split: {split}, path: {split}-*.parquet}}"
        for split in (TRAIN, HELD_OUT)
        if counts.examples[split]
    ]
    text = _TEXT.format(
        files="\n".join(files),
        version=__version__,
        train_images=len(counts.images[TRAIN]),
        test_images=len(counts.images[HELD_OUT]),
        train_examples=counts.examples[TRAIN],
        test_examples=counts.examples[HELD_OUT],
        source=source,
        answers=answers,
        masks=masks,
        questions=counts.questions,
        no_mask=counts.no_mask,
        config=json.dumps(config, indent=2),
    )
    (output / CARD).write_text(text)
