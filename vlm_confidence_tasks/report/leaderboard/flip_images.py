"""The images of flipped documents, made again from the data set.

A perturbed image is a function of the stored image, the perturbation, its parameters
and the seed. So none needs to be stored: it is made again, and its digest must be the one
in the samples file. An image whose digest differs is left out, with a note.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.report.inputs.stored_images import stored_images
from vlm_confidence_tasks.report.leaderboard.leaderboard import Leaderboard, Record
from vlm_confidence_tasks.sandbox import SANDBOX, data_folder
from vlm_confidence_tasks.types import Variant

# Shown images are no larger, so that twenty documents make a page that still opens.
MOST_SIDE = 480
# Up to this side, PNG shows the pixels as they are.
EXACT_SIDE = 256

ABSENT = "images left out: the data set is not here; name its folder with --data"
OTHER_DATA = "images left out: the data set has no such document with this image"


@dataclass(frozen=True)
class FlipImages:
    """A flip's images as data URIs, or the reason why there are none."""

    clean: tuple[str, ...] = ()
    perturbed: tuple[str, ...] = ()
    note: str = ""


def make_flip_images(leaderboard: Leaderboard, model: str, root: Path | None) -> list[FlipImages]:
    """Make the images of a model's flips from the data sets in a folder.

    Without one they are made from the folder of each run's data, if it is still there.
    """
    entries = {entry["task"]: entry for entry in leaderboard["entries"] if entry["model"] == model}
    max_sides = {column["id"]: column["max_side"] for column in leaderboard["columns"]}
    flips: list[Record] = leaderboard["flips"].get(model, [])
    shown = []
    for flip in flips:
        entry = entries[flip["task"]]
        folder = root or _folder(entry)
        if folder is None:
            shown.append(FlipImages(note=ABSENT))
            continue
        try:
            shown.append(_find(flip, folder, entry["benchmark"], max_sides[entry["column"]]))
        except (ValueError, OSError, KeyError, SyntaxError) as error:
            shown.append(FlipImages(note=f"images left out: {error}"))
    return shown


def _folder(entry: Record) -> Path | None:
    source = (entry.get("data") or {}).get("source")
    return data_folder(source) if source == SANDBOX or Path(source or "").is_absolute() else None


def _find(flip: Record, folder: Path, benchmark: str, max_side: int | None) -> FlipImages:
    for stored in stored_images(folder, benchmark, flip["question_id"]):
        clean = [perturbations.fit(image, max_side) for image in stored]
        if clean and perturbations.images_digest(clean) == flip["image_sha256"]:
            return _make(flip, clean)
    return FlipImages(note=OTHER_DATA)


def _make(flip: Record, clean: Sequence[Image.Image]) -> FlipImages:
    perturbed = flip["perturbed"]
    parameters = tuple(sorted(perturbed["parameters"].items()))
    variant = Variant(perturbed["perturbation"], parameters, perturbed["seed"])
    given = {}
    if "clean_answer" in perturbations.needs_of(variant):
        phrase = perturbations.phrase(variant, flip["labels"], flip["clean"]["answer"])
        given["clean_answer"] = phrase
    again = [perturbations.apply(image, variant, given=given) for image in clean]
    if perturbations.images_digest(again) != perturbed["image_sha256"]:
        note = "perturbed image left out: made again, it is not the one that the model saw"
        return FlipImages(tuple(map(_data_uri, clean)), (), note)
    return FlipImages(tuple(map(_data_uri, clean)), tuple(map(_data_uri, again)))


def _data_uri(image: Image.Image) -> str:
    shown = perturbations.fit(image, MOST_SIDE)
    exact = max(shown.size) <= EXACT_SIDE
    file = io.BytesIO()
    shown.save(file, format="PNG" if exact else "JPEG", quality=92)
    kind = "png" if exact else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
