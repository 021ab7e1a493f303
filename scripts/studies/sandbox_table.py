"""Does noise make the tiny model surer? Write docs/studies/sandbox-pope.md from a run's samples.

    python scripts/studies/sandbox_table.py results    # the --output_path of a run of pope_eps

Accuracy, confidence, ECE and entropy at each epsilon, with 95% intervals
clustered by image.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from page_parts import STUDIES, entropy, samples_of
from vlm_confidence_tasks.metrics import (
    Interval,
    calibration_error_interval,
    expected_calibration_error,
    mean_interval,
    rate_interval,
)
from vlm_confidence_tasks.types import Readout

PAGE = STUDIES / "sandbox-pope.md"
EPSILONS = (0.1, 0.2, 0.3, 0.5)
COMMAND = (
    "VLM_CONFIDENCE_DATA=sandbox lmms_eval --model tiny_llava --tasks pope_eps "
    "--output_path results --log_samples"
)
HEAD = """# The tiny model under noise

The embedded model on the sandbox's POPE questions ({questions} about {images} images), at each
strength of Gaussian noise. 95% intervals, clustered by image. Written by
`scripts/studies/sandbox_table.py`; to run it again:

```sh
{command}
python scripts/studies/sandbox_table.py results
```

| epsilon | accuracy | confidence | ECE | entropy (nats) | answers without a label |
|---|---|---|---|---|---|
"""


def cell(found: Interval | None) -> str:
    """Return a number with its interval."""
    if found is None:
        raise ValueError("an interval needs at least 5 images whose answers differ")
    return f"{found.estimate:.3f} [{found.low:.3f}, {found.high:.3f}]"


def line(epsilon: str, readouts: Sequence[Readout], images: Sequence[str]) -> str:
    """Return the row of one strength."""
    parsed = [(r, image) for r, image in zip(readouts, images, strict=True) if r.answer]
    confidence = np.array([r.confidence for r, _ in parsed])
    correct = np.array([r.correct for r, _ in parsed])
    clusters = [image for _, image in parsed]
    ece = expected_calibration_error(confidence, correct)
    one, answered = np.ones(len(readouts)), np.ones(len(parsed))
    cells = [
        epsilon,
        cell(rate_interval([bool(r.correct) for r in readouts], one, images)),
        cell(mean_interval(confidence, answered, clusters, within=(0.0, 1.0))),
        cell(calibration_error_interval(confidence, correct, clusters, ece)),
        cell(mean_interval([entropy(r) for r in readouts], one, images)),
        f"{np.mean([r.answer is None for r in readouts]):.3f}",
    ]
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="folder of the run")
    results = parser.parse_args().results
    documents = {epsilon: samples_of(results, f"pope_eps{epsilon}") for epsilon in EPSILONS}
    clean = documents[EPSILONS[0]]
    images = [document.image_id for document in clean]
    text = HEAD.format(command=COMMAND, questions=len(clean), images=len(set(images)))
    text += line("clean", [document.clean for document in clean], images)
    for epsilon, found in documents.items():
        perturbed = [document.variants[0] for document in found]
        text += line(str(epsilon), perturbed, [document.image_id for document in found])
    PAGE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
