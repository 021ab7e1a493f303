"""Curves and histograms: the same numbers as the metrics of the same answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from report.conftest import FAMILIES
from report.synthetic import answers, noise, questions, write_run
from vlm_confidence_tasks.metrics import Sample, calibrated, rate_interval, task_metrics
from vlm_confidence_tasks.report.inputs.samples import SamplesFile, read_samples
from vlm_confidence_tasks.report.leaderboard import curves
from vlm_confidence_tasks.types import CLEAN, Readout

NOISE = noise(0.3)


@pytest.fixture(params=[[noise(0.3)], FAMILIES])
def task(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[SamplesFile, dict[str, float]]:
    write_run(tmp_path, {"t": answers(questions(90), request.param)})
    (file,) = tmp_path.rglob("*.jsonl")
    held = read_samples(file)
    return held, task_metrics(held.samples)


def test_ece_of_the_bins_is_the_tables(task: tuple) -> None:
    rows, numbers = task
    for side, name in ((rows.clean, "ece_clean"), (rows.perturbed, "ece")):
        bins = curves.reliability_bins(side, with_intervals=False)
        gaps = [b["count"] * abs(b["accuracy"] - b["confidence"]) for b in bins]
        assert sum(gaps) / sum(b["count"] for b in bins) == pytest.approx(numbers[name], abs=1e-12)


def test_bins_have_intervals_of_their_own_answers(task: tuple) -> None:
    rows, _ = task
    for held in curves.reliability_bins(rows.perturbed, with_intervals=True):
        answered = [
            (bool(a.correct), sample.image_id)
            for sample, readouts in rows.perturbed
            for a in readouts
            if a.confidence is not None and held["low"] < a.confidence <= held["high"]
        ]
        inside, shown_at = zip(*answered, strict=True)
        shown = set(shown_at)
        assert len(inside) == held["count"]
        if len(shown) < 5:
            assert "accuracy_low" not in held
            continue
        found = rate_interval(inside, [1] * len(inside), shown_at)
        assert (held["accuracy_low"], held["accuracy_high"]) == (found.low, found.high)


def one_answer(image: str, gold: str | None, confidence: float, correct: bool) -> Sample:
    clean, noisy = (
        Readout.of(variant, "", "", "Yes", correct, confidence=confidence)
        for variant in (CLEAN, NOISE)
    )
    return Sample(image, gold, ("Yes", "No"), "Yes", clean, (noisy,))


def test_confidences_on_the_edges_of_bins_stay_in_theirs() -> None:
    edges = [n / 15 for n in range(16)] + [1 - n / 15 for n in range(16)]
    rows = []
    for n, sure in enumerate(edges):
        rows.append(one_answer(f"i{n}", "Yes", sure, sure > 0.5))
    bins = curves.reliability_bins(SamplesFile(rows).clean, with_intervals=True)
    assert sum(held["count"] for held in bins) == len(edges)
    assert all(low < high for low, high in ((held["low"], held["high"]) for held in bins))


@pytest.mark.parametrize("correct", [True, False])
def test_a_bin_of_which_all_or_none_is_right_may_yet_be_another(correct: bool) -> None:
    rows = [one_answer(f"i{n}", "Yes", 0.9, correct) for n in range(8)]
    (held,) = curves.reliability_bins(SamplesFile(rows).clean, with_intervals=True)
    assert held["accuracy"] == correct
    assert held["accuracy_high"] - held["accuracy_low"] > 0.2
    assert held["accuracy_low"] <= held["accuracy"] <= held["accuracy_high"]
    (few,) = curves.reliability_bins(SamplesFile(rows[:4]).clean, with_intervals=True)
    assert "accuracy_low" not in few and "accuracy_high" not in few


def test_area_under_the_roc_is_the_tables(task: tuple) -> None:
    rows, numbers = task
    roc = curves.defense_roc(rows)
    area = np.trapezoid(roc["perturbed"], roc["clean"])
    assert area == pytest.approx(numbers["defense_auroc"], abs=0.01)
    assert roc["clean"][0] == roc["perturbed"][0] == 0
    assert roc["clean"][-1] == roc["perturbed"][-1] == 1
    assert roc["at_threshold"] == [numbers["defense_reject_clean"], numbers["defense_reject"]]


def test_the_defence_counts_what_its_metrics_count(task: tuple) -> None:
    """Not the documents without entropies on one side, and clean ones once a variant."""
    rows, _ = task
    held = []
    for n, sample in enumerate(rows.samples):
        if n % 3 == 0:
            sample = replace(sample, clean=replace(sample.clean, entropy=None))
        elif n % 3 == 1:
            sample = replace(sample, variants=sample.variants[: n % 2])
        held.append(sample)
    file = SamplesFile(held)
    numbers = task_metrics(file.samples)
    expected = [numbers["defense_reject_clean"], numbers["defense_reject"]]
    assert curves.defense_roc(file)["at_threshold"] == expected
    unequal = [sample.clean.entropy for sample in file.samples if sample.clean.entropy is not None]
    assert np.mean(unequal > np.percentile(unequal, 95)) != expected[0]


def test_risk_at_full_coverage_is_the_share_of_wrong_answers(task: tuple) -> None:
    rows, _ = task
    curve = curves.risk_coverage(rows.perturbed)
    correct = [right for side in rows.perturbed for _, right in calibrated(*side)]
    assert curve["coverage"][-1] == 1
    assert curve["risk"][-1] == pytest.approx(1 - np.mean(correct))
    assert curve["coverage"] == sorted(curve["coverage"])


def test_margins_count_every_answer_once(task: tuple) -> None:
    rows, numbers = task
    held = curves.margins(rows)
    flipped, unflipped = sum(held["flipped"]), sum(held["unflipped"])
    assert flipped + unflipped == sum(len(readouts) for _, readouts in rows.perturbed)
    assert flipped / (flipped + unflipped) == pytest.approx(numbers["ifr"])


def test_long_curves_are_thinned_and_keep_their_ends(tmp_path: Path) -> None:
    write_run(tmp_path, {"t": answers(questions(900), [noise(0.3)])})
    (file,) = tmp_path.rglob("*.jsonl")
    curve = curves.risk_coverage(read_samples(file).perturbed)
    assert len(curve["coverage"]) == curves.MOST_POINTS
    assert curve["coverage"][-1] == 1


def test_without_confidence_or_entropy_there_is_no_curve() -> None:
    assert curves.risk_coverage([]) is None
    assert curves.reliability_bins([], with_intervals=True) == []
    assert curves.defense_roc(SamplesFile([])) is None
    assert curves.margins(SamplesFile([])) is None


def test_answers_without_a_right_one_are_in_no_bins_interval() -> None:
    rows = []
    for n, gold in enumerate([None] + ["Yes"] * 5):
        rows.append(one_answer(f"i{n}", gold, 0.9, n > 1))
    (held,) = curves.reliability_bins(SamplesFile(rows).clean, with_intervals=True)
    assert held["count"] == 5 and held["accuracy_low"] <= 0.8 <= held["accuracy_high"]
