"""Sizes of images: what results note, and the warning about strengths on large ones."""

import io
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pytest
from lmms_eval.tasks import TaskManager
from PIL import Image

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.harness.image_sizes import median_sizes, size_warning
from vlm_confidence_tasks.perturbations import perturb

from .conftest import evaluate_tasks
from .kept_runs import said

TASKS = {
    "shifted": "perturbations: [{name: translate, dx: 4}, {name: gaussian_blur, severity: 1}]",
    "smaller": "perturbations: [{name: translate, dx: 4}]\nmax_side: 1500",
    "relative": "perturbations: [{name: occlusion, severity: 1}, {name: rotate, degrees: 30}]",
}
SIDES = [(1600, 1200), (1502, 900), (100, 80)]


def variants(*names: str):
    given = {
        "translate": {"dx": 4},
        "gaussian_noise": {"epsilon": 0.3},
        "low_light": {"severity": 1},
    }
    return perturbations.variants([{"name": name, **given[name]} for name in names])


@pytest.mark.parametrize(
    ("documents", "max_side", "stored", "shown"),
    [
        ([[(4000, 3000)], [(2000, 1000)], [(30, 20)]], None, [2000, 1000], [2000, 1000]),
        # Fitted first: 1000 x 750, 1000 x 500, 30 x 20. Medians by side: 1000 and 500.
        ([[(4000, 3000)], [(2000, 1000)], [(30, 20)]], 1000, [2000, 1000], [1000, 500]),
        # Every image counts, documents without a readable one do not.
        ([[(10, 8), (30, 4)], []], None, [20, 6], [20, 6]),
    ],
)
def test_median_sizes(documents, max_side, stored, shown) -> None:
    assert median_sizes(documents, max_side) == {"stored": stored, "shown": shown}


def test_images_without_a_known_size_have_no_median() -> None:
    assert median_sizes([[], []], 100) is None
    assert size_warning(None, variants("translate")) is None


@pytest.mark.parametrize(
    ("shown", "names", "words"),
    [
        ([1500, 1500], ["translate"], None),
        ([900, 1501], ["translate"], "of translate than"),
        ([1501, 9], ["gaussian_noise", "low_light", "translate"], "of gaussian_noise, translate"),
        ([9000, 9000], ["low_light"], None),
    ],
)
def test_the_warning_is_of_large_images_and_strengths_in_pixels(shown, names, words) -> None:
    found = size_warning({"stored": shown, "shown": shown}, variants(*names))
    assert found == words if words is None else words in str(found)


@pytest.mark.parametrize("side", [672, 1344])
def test_noise_that_a_smaller_copy_keeps(side: int) -> None:
    # The reason for the warning: white noise of n x n pixels that are averaged keeps 1/n.
    grey = Image.new("RGB", (side, side), (128, 128, 128))
    noisy = perturb(grey, "gaussian_noise", epsilon=0.3)
    seen = noisy.resize((336, 336), Image.Resampling.BOX)
    assert np.std(seen) / np.std(noisy) == pytest.approx(336 / side, rel=0.03)


@pytest.fixture
def evaluate(
    manager: TaskManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict]:
    (tmp_path / "data" / "pope").mkdir(parents=True)
    rows = []
    for number, size in enumerate(SIDES):
        file = io.BytesIO()
        Image.new("RGB", size, (40 * number, 90, 20)).save(file, "PNG")
        rows.append(
            {
                "question_id": str(number),
                "question": "Is there a red circle in the image?",
                "answer": "no",
                "image_source": str(number),
                "category": "random",
                "image": {"bytes": file.getvalue(), "path": None},
            }
        )
    features = {name: datasets.Value("string") for name in rows[0]} | {"image": datasets.Image()}
    written = datasets.Dataset.from_list(rows, features=datasets.Features(features))
    written.to_parquet(str(tmp_path / "data" / "pope" / "test.parquet"))
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(tmp_path / "data"))
    return lambda *tasks: evaluate_tasks(manager, list(tasks))


def test_results_note_sizes_and_the_run_warns_once_per_task(evaluate: Callable) -> None:
    with said() as lines:
        found = evaluate(*TASKS)
    sizes = {name: found["configs"][name]["image_sizes"] for name in TASKS}
    stored = [1502, 900]
    assert sizes["shifted"] == sizes["relative"] == {"stored": stored, "shown": stored}
    assert sizes["smaller"] == {"stored": stored, "shown": [1500, 899]}
    warned = [line for line in lines if "the median image is" in line]
    (line,) = warned
    assert (
        "task shifted: the median image is 1502 x 900 pixels: a model that sees it smaller sees "
        "less of translate, gaussian_blur than the strength says; max_side in the YAML"
    ) in line
