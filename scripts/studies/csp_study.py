"""Does calibration by semantic perturbation hold on the sandbox? Write docs/studies/csp.md.

    python scripts/studies/csp_study.py csp_study    # a folder; what it holds is not made again

Trains the tiny model in every way that the page names, with three seeds each, evaluates it on
images that it was not trained on, and writes the page.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import yaml

# What makes the sandbox lies beside this folder.
sys.path.append(str(Path(__file__).resolve().parents[1] / "sandbox"))

from csp_page import BEFORE, MAIN, page
from generate_sandbox_data import build
from page_parts import STUDIES, is_evaluated
from tiny_world.questions import near_miss, pick
from tiny_world.wording import pope_question
from vlm_confidence_tasks.calibration.config import read_config
from vlm_confidence_tasks.calibration.data import write_examples
from vlm_confidence_tasks.calibration.evaluate import check_held_out, run_tasks
from vlm_confidence_tasks.calibration.sources import folder_questions
from vlm_confidence_tasks.calibration.train import MODEL, train
from vlm_confidence_tasks.cli.options import positive
from vlm_confidence_tasks.masks import QuestionMasks, provider
from vlm_confidence_tasks.sandbox import MODEL_DIR
from vlm_confidence_tasks.sandbox.render import pale, png
from vlm_confidence_tasks.sandbox.world import evaluation_scenes

PAGE = STUDIES / "csp.md"
# Scenes whose masks are known: what is trained on, and what is evaluated on.
ROOMS, HELD_OUT = (1, 3, 4), 2
# Conditions of one data set, each trained from the one before it in its row.
CHAINS = (
    ("sft_only", "csp"),
    ("simpo_only",),
    ("global_noise",),
    ("first_person",),
    ("shuffled_confidence",),
)
PERSONS = ("pope_verbal3", "pope_verbal1")
TRANSFER = (
    *("pope_blur_verbal3", "pope_lowlight_verbal3", "pope_occlusion_verbal3"),
    "amber_relation_verbal3",
)
TASKS = {
    BEFORE: (MAIN, *PERSONS, *TRANSFER),
    "csp": (MAIN, *PERSONS, *TRANSFER),
    "first_person": (MAIN, *PERSONS),
}


@dataclass(frozen=True)
class Size:
    """How large the study is.

    Attributes:
        scenes: Scenes of each room to train on, with a question about each thing.
        sft: Steps of 16 examples.
        simpo: Steps of 16 pairs.
        images: Images to evaluate on.
        seeds: Of data and training.
        chains: Which of `CHAINS`.
        tasks: What is evaluated, by condition; of others `MAIN`.
    """

    scenes: int = 200
    sft: int = 300
    simpo: int = 60
    images: int = 60
    seeds: tuple[int, ...] = (0, 1, 2)
    chains: Sequence[tuple[str, ...]] = CHAINS
    tasks: Any = None


WHOLE = Size(tasks=TASKS)
SMALL = Size(4, 3, 2, 4, (0,), CHAINS[:1], {})


def write_questions(folder: Path, size: Size) -> None:
    """Write the folder of images and questions to train on: POPE's, about what is there."""
    folder.mkdir(parents=True)
    lines = []
    for room in ROOMS:
        for index, scene in enumerate(evaluation_scenes(room, size.scenes)):
            name = f"{room}_{index}.png"
            pale(scene).save(folder / name)
            for thing in scene.names:
                line = {"image": name, "question": pope_question(thing), "answer": "Yes"}
                lines.append(f"{json.dumps(line)}\n")
    (folder / "questions.jsonl").write_text("".join(lines))


def write_held_out(folder: Path, size: Size) -> None:
    """Write local data to evaluate on: of POPE a yes and a no about each image, and AMBER."""
    made = build(size.images)
    rows = []
    for index, scene in enumerate(evaluation_scenes(HELD_OUT, size.images)):
        rng, source = np.random.default_rng([HELD_OUT, index]), f"held_out_{index}"
        for answer, thing in (("yes", pick(rng, scene.names)), ("no", near_miss(rng, scene))):
            number = str(len(rows))
            rows.append(
                {
                    "id": number,
                    "question_id": number,
                    "question": pope_question(thing),
                    "answer": answer,
                    "image_source": source,
                    "image": {"bytes": png(scene), "path": f"{source}.png"},
                    "category": "random",
                }
            )
    pope = datasets.Dataset.from_list(rows, features=made["pope/test.parquet"].features)
    for path, data in (("pope/test", pope), ("amber/train", made["amber/train.parquet"])):
        file = folder / f"{path}.parquet"
        file.parent.mkdir(parents=True)
        data.to_parquet(file)


def configuration(name: str, based: bool, seed: int, size: Size) -> dict[str, Any]:
    """Return a condition's configuration: the packaged one, at the size of the tiny model."""
    config: dict[str, Any] = {
        "include": "simpo_only" if based else name,
        "data": {"held_out": 0.0, "copies": 4, "seed": seed},
        "train": {
            "dtype": "float32",
            "gradient_checkpointing": False,
            "lora": None,
            "seed": seed,
        },
    }
    step = {"batch_size": 16, "accumulation": 1}
    if name != "simpo_only" and not based:
        config["train"]["sft"] = {**step, "steps": size.sft, "learning_rate": 5e-5}
    if name != "sft_only":
        config["train"]["simpo"] = {**step, "steps": size.simpo, "learning_rate": 2e-5}
    return config


def run_chain(root: Path, chain: Sequence[str], seed: int, size: Size) -> None:
    """Make data, train and evaluate the conditions of a chain, as far as they are not there."""
    base: Path | None = None
    for name in chain:
        folder = root / f"{name}-{seed}"
        folder.mkdir(exist_ok=True)
        file, data, output = (folder / part for part in ("config.yaml", "data", "trained"))
        file.write_text(yaml.safe_dump(configuration(name, base is not None, seed, size)))
        config = read_config(str(file))
        model = output / MODEL
        if not (model / "csp.json").exists():
            started = time.monotonic()
            if base is None:
                asked = folder_questions(root / "questions")
                if not list(data.glob("*.parquet")):
                    write_examples(asked, QuestionMasks(provider("sandbox")).of, config.data, data)
            else:
                data = root / f"{chain[0]}-{seed}" / "data"
            train(str(base or MODEL_DIR), data, output, config, resume=True)
            print(f"{name}, seed {seed}: trained in {time.monotonic() - started:.0f} s", flush=True)
        check_held_out([str(model)], [MAIN], str(root / "held_out"))
        evaluate(root, name, seed, str(model), size)
        base = model


def evaluate(root: Path, name: str, seed: int, model: str, size: Size) -> None:
    """Evaluate a condition's model, if that was not done before."""
    folder, started = root / f"{name}-{seed}" / "results", time.monotonic()
    if not is_evaluated(folder):
        tasks = size.tasks.get(name, (MAIN,))
        run_tasks(model, tasks, folder, str(root / "held_out"), ["--batch_size", "16"])
        print(f"{name}, seed {seed}: evaluated in {time.monotonic() - started:.0f} s", flush=True)


def check_same(root: Path, size: Size) -> None:
    """Refuse a folder whose study began with other weights, settings or sizes.

    Raises:
        SystemExit: With one line.
    """
    weights = sha256((MODEL_DIR / "model.safetensors").read_bytes()).hexdigest()
    numbers = {name: getattr(size, name) for name in ("scenes", "sft", "simpo", "images")}
    conditions = {
        name: configuration(name, name != chain[0], 0, size)
        for chain in size.chains
        for name in chain
    }
    text = json.dumps({"weights": weights, **numbers, "conditions": conditions}, indent=2)
    file = root / "study.json"
    if not file.exists():
        file.write_text(text)
    elif file.read_text() != text:
        raise SystemExit(f"{root}: has a study of other weights or settings; give a new folder")


def study(root: Path, size: Size, workers: int) -> None:
    """Run what is not there."""
    # The local data are the sandbox's, under another name.
    os.environ["VLM_CONFIDENCE_MASKS"] = "sandbox"
    root.mkdir(parents=True, exist_ok=True)
    check_same(root, size)
    for name, write in (("questions", write_questions), ("held_out", write_held_out)):
        if not (root / name).exists():
            # Named when it is whole, so that a study which was stopped here goes on.
            part = root / f"{name}.part"
            shutil.rmtree(part, ignore_errors=True)
            write(part, size)
            part.rename(root / name)
    jobs = [(root, chain, seed, size) for seed in size.seeds for chain in size.chains]
    if workers == 1:
        evaluate(root, BEFORE, 0, str(MODEL_DIR), size)
        for job in jobs:
            run_chain(*job)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        made = [pool.submit(run_chain, *job) for job in jobs]
        made.append(pool.submit(evaluate, root, BEFORE, 0, str(MODEL_DIR), size))
        for each in made:
            each.result()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study and write its page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="for data, models and runs")
    parser.add_argument("--small", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--seeds", type=int, nargs="+", help="default: 0 1 2; of --small, 0")
    parser.add_argument("--workers", type=positive, default=2, help="processes, of one thread each")
    parser.add_argument("--page", type=Path, default=PAGE, help="default: docs/studies/csp.md")
    options = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    size = SMALL if options.small else WHOLE
    size = replace(size, seeds=tuple(options.seeds or size.seeds))
    study(options.folder, size, options.workers)
    conditions = [BEFORE, *(name for chain in size.chains for name in chain)]
    options.page.write_text(page(options.folder, conditions, size.seeds, size))


if __name__ == "__main__":
    main()
