"""Peak memory and time of the command on large photographs.

    python scripts/benchmarks/photographs.py [--images 30] [--side 4000] [--task pope_eps0.3]

The photographs are gradients under noise, stored as JPEG, one question about each; the embedded
model answers. A run on images of the same number and 100 pixels is subtracted for the time of a
perturbed image.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import datasets
import numpy as np
from PIL import Image


def photograph(side: int, seed: int) -> bytes:
    """Return a square JPEG: a gradient of its own under the noise of a sensor."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[:side, :side].astype(np.float32) / side
    tone = rng.uniform(0, 255, (3, 3)).astype(np.float32)
    grain = rng.standard_normal((side, side), np.float32) * 6
    channels = [a + (b - a) * down + (c - a) * across + grain for a, b, c in tone]
    file = io.BytesIO()
    pixels = np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def write(folder: Path, images: int, side: int) -> None:
    """Write local data in POPE's schema."""
    rows = [
        {
            "question_id": str(number),
            "question": "Is there a red circle in the image?",
            "answer": "yes",
            "image_source": f"image{number}",
            "category": "random",
            "image": {"bytes": photograph(side, number), "path": None},
        }
        for number in range(images)
    ]
    (folder / "pope").mkdir(parents=True)
    features = datasets.Features(
        {name: datasets.Value("string") for name in rows[0]} | {"image": datasets.Image()}
    )
    written = datasets.Dataset.from_list(rows, features=features)
    written.to_parquet(str(folder / "pope" / "test.parquet"))


def run(task: str, data: Path, output: Path) -> tuple[float, float]:
    """Run the command, and return its seconds and the largest MiB of any command so far."""
    command = ["-m", "lmms_eval", "--model", "tiny_llava", "--tasks", task]
    command += ["--output_path", str(output), "--log_samples"]
    environment = os.environ | {"VLM_CONFIDENCE_DATA": str(data), "HF_HUB_OFFLINE": "1"}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *command], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    seconds = time.perf_counter() - start
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10


def main() -> None:
    """Print both runs, and the difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--side", type=int, default=4000)
    parser.add_argument("--task", default="pope_eps0.3")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        seconds = []
        for side in (100, options.side):
            data = Path(name) / str(side)
            write(data, options.images, side)
            taken, memory = run(options.task, data, Path(name) / "results")
            print(f"{options.images} images of {side} pixels: {taken:.0f} s, {memory:.0f} MiB")
            seconds.append(taken)
        print(f"{(seconds[1] - seconds[0]) / options.images:.2f} s more for each image")


if __name__ == "__main__":
    main()
