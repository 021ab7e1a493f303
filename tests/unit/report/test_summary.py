"""What a summary says of the perturbations that a task shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from metrics.making import measure

from report.synthetic import answers, noise, questions, write_run
from vlm_confidence_tasks.perturbations import register
from vlm_confidence_tasks.perturbations.registry import _REGISTRY
from vlm_confidence_tasks.report.inputs.known_metrics import known_metrics, ordered_families
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import find_runs
from vlm_confidence_tasks.report.inputs.samples import read_samples
from vlm_confidence_tasks.report.leaderboard.summary import (
    Summary,
    SummaryOptions,
    summarise,
)
from vlm_confidence_tasks.types import Variant


def summary(folder: Path, *variants: Variant) -> Summary:
    write_run(folder, {"t": answers(questions(6), variants)})
    (run,) = find_runs([folder], Problems())
    return summarise(run, SummaryOptions(intervals=False, curves=False, workers=1, quiet=True))


def test_all_metrics_are_computed_whatever_the_run_listed(tmp_path: Path) -> None:
    def listing(record: dict) -> None:
        record["configs"]["t"]["metric_list"] = [{"metric": "ece"}, {"metric": "accuracy"}]

    held = answers(questions(90, images=45), [noise(0.3)])
    write_run(tmp_path, {"t": held}, change=listing)
    (run,) = find_runs([tmp_path], Problems())
    found = summarise(run, SummaryOptions(curves=False, workers=1, quiet=True)).numbers
    assert found == measure(read_samples(run.samples).samples)
    assert list(found) == [name for name in known_metrics(["noise"]) if name in found]
    assert {"ece_floor", "nll", "temperature", "risk_80_clean"} < found.keys()


def speckle(sigma: float) -> Variant:
    return Variant("speckle", (("sigma", sigma),), family="noise")


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        ([noise(0.3)], ("gaussian_noise", 0.3)),
        (
            [noise(0.3), Variant("gaussian_noise", (("epsilon", 0.3),), 1, "noise")],
            ("gaussian_noise", 0.3),
        ),
        ([noise(0.3), noise(0.1)], None),
        ([speckle(0.2)], ("speckle", 0.2)),
        ([speckle(0.3), noise(0.3)], None),
        ([Variant("sprinkle", (("epsilon", 0.3),), family="noise")], None),
        ([Variant("gaussian_blur", (("severity", 3),), family="blur")], None),
        ([Variant("text_overlay", (("content", "semantic"),), family="textoverlay")], None),
        ([], None),
    ],
)
def test_the_strength_of_noise_is_the_parameter_that_the_registry_names(
    tmp_path: Path, variants: list[Variant], expected: tuple[str, float] | None
) -> None:
    @register("speckle", family="noise", strength="sigma")
    def speckle(image, *, sigma: float):
        return image

    try:
        assert summary(tmp_path, *variants).noise == expected
    finally:
        _REGISTRY.pop("speckle")


def test_families_stand_in_the_registrys_order_and_others_after_them() -> None:
    names = {"zoom", "jpeg", "fog", "noise", "textoverlay_empty"}
    assert ordered_families(names) == ["noise", "textoverlay_empty", "jpeg", "fog", "zoom"]


def test_families_are_those_shown_controls_too(tmp_path: Path) -> None:
    empty = Variant("text_overlay", (("content", "empty"),), 0, "textoverlay_empty", control=True)
    found = summary(tmp_path, Variant("fog", family="fog"), empty, noise(0.3))
    assert found.families == ["noise", "textoverlay_empty", "fog"]
