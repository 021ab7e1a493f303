"""Curves and histograms: the same numbers as the metrics of the same answers."""

from __future__ import annotations

import numpy as np
import pytest
from metrics.making import values
from msgspec.structs import replace

from report.conftest import FAMILIES
from report.synthetic import answers, noise, questions
from vlm_confidence_tasks.metrics import Answers, rate_interval
from vlm_confidence_tasks.report.leaderboard import curves
from vlm_confidence_tasks.types import CLEAN, Readout, Sample

NOISE = noise(0.3)


@pytest.fixture(params=[[noise(0.3)], FAMILIES])
def task(request: pytest.FixtureRequest) -> tuple[list[Sample], Answers, dict[str, float]]:
    held = [document for _, document in answers(questions(90), request.param)]
    return held, Answers.of(held), values(held)


def test_ece_of_the_bins_is_the_tables(task: tuple) -> None:
    _, table, numbers = task
    for side, name in ((table.clean, "ece_clean"), (table.perturbed, "ece")):
        bins = curves.reliability_bins(side, with_intervals=False)
        gaps = [b["count"] * abs(b["accuracy"] - b["confidence"]) for b in bins]
        assert sum(gaps) / sum(b["count"] for b in bins) == pytest.approx(numbers[name], abs=1e-12)


def test_corp_is_right_as_often_as_all_answers_are(task: tuple) -> None:
    _, table, numbers = task
    for view, end in ((table.clean, "_clean"), (table.perturbed, "")):
        curve = curves.corp(view)
        known = ~np.isnan(view.confidence + view.correct)
        sure, right = view.confidence[known], view.correct[known]
        at = np.interp(sure, curve["confidence"], curve["recalibrated"])
        repaired = np.mean((at - right) ** 2)
        expected = numbers[f"brier_top{end}"] - numbers[f"miscalibration{end}"]
        # A curve of more points than are kept is straight between them.
        thinned = len(curve["confidence"]) == curves.MOST_POINTS
        assert repaired == pytest.approx(expected, abs=2e-3 if thinned else 1e-9)


def test_bins_have_intervals_of_their_own_answers(task: tuple) -> None:
    samples, table, _ = task
    for held in curves.reliability_bins(table.perturbed, with_intervals=True):
        answered = [
            (bool(a.correct), sample.image_id)
            for sample in samples
            for a in counted(sample)
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


def counted(sample: Sample) -> list[Readout]:
    return [readout for readout in sample.variants if not readout.control]


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
    bins = curves.reliability_bins(Answers.of(rows).clean, with_intervals=True)
    assert sum(held["count"] for held in bins) == len(edges)
    assert all(low < high for low, high in ((held["low"], held["high"]) for held in bins))


def test_area_under_the_roc_is_the_tables(task: tuple) -> None:
    _, table, numbers = task
    roc = curves.defense_roc(table)
    area = np.trapezoid(roc["perturbed"], roc["clean"])
    assert area == pytest.approx(numbers["defense_auroc"], abs=0.01)
    assert roc["clean"][0] == roc["perturbed"][0] == 0
    assert roc["clean"][-1] == roc["perturbed"][-1] == 1
    assert roc["at_threshold"] == [numbers["defense_reject_clean"], numbers["defense_reject"]]


def test_the_defence_counts_what_its_metrics_count(task: tuple) -> None:
    """Not the documents without entropies on one side, and clean ones once a variant."""
    samples, _, _ = task
    held = []
    for n, sample in enumerate(samples):
        if n % 3 == 0:
            sample = replace(sample, clean=replace(sample.clean, entropy=None))
        elif n % 3 == 1:
            sample = replace(sample, variants=sample.variants[: n % 2])
        held.append(sample)
    numbers = values(held)
    expected = [numbers["defense_reject_clean"], numbers["defense_reject"]]
    assert curves.defense_roc(Answers.of(held))["at_threshold"] == expected
    unequal = [sample.clean.entropy for sample in held if sample.clean.entropy is not None]
    assert np.mean(unequal > np.percentile(unequal, 95)) != expected[0]


def test_risk_at_full_coverage_is_the_share_of_wrong_answers(task: tuple) -> None:
    samples, table, _ = task
    curve = curves.risk_coverage(table.perturbed)
    correct = [a.correct for s in samples for a in counted(s) if a.confidence is not None]
    assert curve["coverage"][-1] == 1
    assert curve["risk"][-1] == pytest.approx(1 - np.mean(correct))
    assert curve["coverage"] == sorted(curve["coverage"])


def test_margins_count_every_answer_once(task: tuple) -> None:
    samples, table, numbers = task
    held = curves.margins(table)
    flipped, unflipped = sum(held["flipped"]), sum(held["unflipped"])
    assert flipped + unflipped == sum(len(counted(sample)) for sample in samples)
    assert flipped / (flipped + unflipped) == pytest.approx(numbers["ifr"])


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    held = [document for _, document in answers(questions(900), [noise(0.3)])]
    curve = curves.risk_coverage(Answers.of(held).perturbed)
    assert len(curve["coverage"]) == curves.MOST_POINTS
    assert curve["coverage"][-1] == 1


def test_without_confidence_or_entropy_there_is_no_curve() -> None:
    nothing = Answers.of([])
    assert curves.risk_coverage(nothing.perturbed) is None and curves.corp(nothing.clean) is None
    assert curves.reliability_bins(nothing.clean, with_intervals=True) == []
    assert curves.defense_roc(nothing) is None
    assert curves.margins(nothing) is None


def test_answers_without_a_right_one_are_in_no_bins_interval() -> None:
    rows = []
    for n, gold in enumerate([None] + ["Yes"] * 5):
        rows.append(one_answer(f"i{n}", gold, 0.9, n > 1))
    (held,) = curves.reliability_bins(Answers.of(rows).clean, with_intervals=True)
    assert held["count"] == 5 and held["accuracy_low"] <= 0.8 <= held["accuracy_high"]
