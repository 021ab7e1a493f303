"""The images that a run of attacks showed, as data of their own, to be asked about again.

    python scripts/studies/attacked_data.py attacks kept ninth again

`attacks` is the --output_path of a run of pope_pgd and pope_drift, `kept` its --use_cache, which
holds the attacked pixels, `ninth` its VLM_CONFIDENCE_DATA. In `again` are the same questions about
the images of each row of `attack_tables.py` about the defence: what is the clean image of a task
there is what the model was shown.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
from PIL import Image

from attack_tables import asked, shown
from page_parts import folders, samples_of
from vlm_confidence_tasks.evaluation.response_cache.cache import SUBFOLDER
from vlm_confidence_tasks.evaluation.response_cache.serialization import unpack_images
from vlm_confidence_tasks.perturbations import image_digest, perturb
from vlm_confidence_tasks.types import Readout

TABLE = Path("pope", "test.parquet")


def kept_images(folder: Path) -> dict[str, Image.Image]:
    """Return the images that a --use_cache folder keeps, by digest."""
    found = {}
    for path in sorted((folder / SUBFOLDER).glob("*.sqlite")):
        with closing(sqlite3.connect(path)) as file:
            for (packed,) in file.execute("SELECT answer FROM answers"):
                # A PNG file after its length; answers are packed otherwise.
                if packed[4:8] == b"\x89PNG":
                    found.update((image_digest(image), image) for image in unpack_images(packed))
    return found


def pixels(readout: Readout, clean: Image.Image, kept: dict[str, Image.Image]) -> Image.Image:
    """Return the image that was shown: a kept one, or one that needs no model, made again.

    Raises:
        ValueError: What was made is not what was shown.
    """
    if readout.image_sha256 in kept:
        return kept[readout.image_sha256]
    variant = readout.variant
    made = perturb(clean, variant.perturbation, seed=variant.seed, **dict(variant.parameters))
    if image_digest(made) != readout.image_sha256:
        raise ValueError(f"{variant}: other pixels than the run showed; was the data another?")
    return made


def questions_again(attacks: Path, kept: Path, data: Path) -> Iterator[dict[str, Any]]:
    """Yield each question with each image of a row about the defence, the clean one first."""
    table = datasets.Dataset.from_parquet(str(data / TABLE))
    documents = {(row["category"], row["question_id"]): row for row in table}
    attacking, noisy = samples_of(attacks, "pope_pgd"), samples_of(attacks, "pope_drift")
    images = kept_images(kept)
    done = set()
    pairs = [(sample, sample.clean) for sample in attacking]
    for samples in shown(attacking, noisy).values():
        pairs += [(sample, readout) for sample in samples for readout in sample.variants]
    for sample, readout in pairs:
        key = asked(sample, readout.image_sha256)
        if key not in done:
            done.add(key)
            document = documents[sample.category, sample.question_id]
            stored = document["image"].convert("RGB")
            again = stored if readout is sample.clean else pixels(readout, stored, images)
            file = BytesIO()
            again.save(file, "PNG")
            yield {**document, "image": {"bytes": file.getvalue(), "path": None}}


def main() -> None:
    """Write the data."""
    attacks, kept, data, out = folders(
        __doc__,
        attacks="folder of the run of pope_pgd and pope_drift",
        kept="its --use_cache",
        data="its VLM_CONFIDENCE_DATA",
        out="folder to write to",
    )
    rows = list(questions_again(attacks, kept, data))
    features = datasets.Dataset.from_parquet(str(data / TABLE)).features
    (out / TABLE).parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(rows, features=features).to_parquet(str(out / TABLE))
    print(f"{out / TABLE}: {len(rows)} questions")


if __name__ == "__main__":
    main()
