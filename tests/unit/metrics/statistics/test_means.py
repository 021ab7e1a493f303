"""Means and rates: the intervals of `inference`, of each document's sums."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from vlm_confidence_tasks.metrics import Answers, Mean, Rate, mean_interval, rate_interval
from vlm_confidence_tasks.metrics.catalogue.flips import flip
from vlm_confidence_tasks.metrics.inference.rare_errors import (
    loss_interval,
    overconfidence_interval,
)
from vlm_confidence_tasks.metrics.statistics import means

from ..everything import agree, counted, documents, sums, table
from ..making import NOISE, TEXT, yes_no_document


def sure(readout, clean):
    return readout.confidence


def right(readout, clean):
    return float(readout.correct)


def entropy(readout, clean):
    return readout.entropy


def stated(readout, clean):
    return readout.verbal_confidence


def of_sums(*numbers):
    return lambda samples: sums(samples, *numbers)


def test_a_mean_has_the_studentized_bootstraps():
    agree(Mean(lambda a: a.entropy), of_sums(entropy), mean_interval)
    # Where some answers have no number.
    agree(Mean(lambda a: a.stated), of_sums(stated), mean_interval)


def test_a_rate_has_korn_and_graubards():
    agree(Rate(lambda a: a.correct), of_sums(right), rate_interval)


def test_a_loss_has_that_of_rare_errors():
    def gap(readout, clean):
        return None if readout.confidence is None else (readout.confidence - readout.correct) ** 2

    agree(means.Loss(means.squared_gap), of_sums(gap), loss_interval)


def test_confidence_less_accuracy_has_that_of_both():
    agree(means.Overconfidence(), of_sums(sure, right), overconfidence_interval)


def test_a_difference_of_two_numbers_is_of_the_answers_that_have_both():
    def gap(readout, clean):
        if readout.confidence is None or readout.verbal_confidence is None:
            return None
        return readout.verbal_confidence - readout.confidence

    statistic = means.MeanDifference(lambda a: a.stated, other=lambda a: a.confidence)
    agree(statistic, of_sums(gap), mean_interval)


def test_a_rate_less_its_controls_is_paired_by_image():
    def clean_right(readout, clean):
        return float(clean.correct)

    def expected(hits, controls, counts, images, paired=None, level=0.95):
        if paired is not None:
            return mean_interval(hits - controls, counts, images, paired=paired, level=level)
        return rate_interval(
            np.concatenate([controls, hits]),
            np.tile(counts, 2),
            np.tile(images, 2),
            paired=np.repeat([False, True], hits.size),
            level=level,
        )

    statistic = means.RateDifference(lambda a: a.correct, other=lambda a: a.counterpart.correct)
    agree(statistic, of_sums(right, clean_right), expected)


def test_families_weigh_alike():
    families = ("noise", "translation", "textoverlay")

    def columns(samples):
        rows = [
            [
                [float(r.answer != s.clean.answer) for _, r in counted([s]) if r.family == name]
                for name in families
            ]
            for s in samples
        ]
        return [np.array([[of(hits) for hits in row] for row in rows]) for of in (sum, len)] + [
            np.array([s.image_id for s in samples])
        ]

    agree(means.MeanOverFamilies(flip), columns, rate_interval)


def test_ends_are_clipped_to_the_range_of_the_numbers():
    views = table().perturbed, table(seed=1).perturbed
    free = Mean(lambda a: a.stated)
    bounded = Mean(lambda a: a.stated, (0.5, 0.52))
    inside, outside = (statistic.interval(views[0]) for statistic in (bounded, free))
    assert (inside.low, inside.high) == (max(outside.low, 0.5), min(outside.high, 0.52))
    assert outside.low < 0.5 or outside.high > 0.52
    # A difference of such numbers may be as large as their range, either way.
    apart = bounded.difference(*views)
    assert (apart.low, apart.high) == pytest.approx((-0.02, 0.02))
    assert Mean(lambda a: a.stated, means.POSITIVE).difference(*views).low < 0


def test_sums_are_of_each_document_that_has_a_number():
    found = Mean(lambda a: a.stated).sums(table().perturbed)
    totals, counts, images = sums(documents(), stated)
    # The table's documents stand in the order of their images.
    assert sorted(found.totals[0]) == pytest.approx(sorted(totals))
    assert sorted(found.count) == sorted(counts) and len(set(found.image)) == len(set(images))
    assert Mean(lambda a: np.full(len(a), np.nan)).sums(table().perturbed) is None


@pytest.mark.parametrize("kind", [Mean, Rate, means.Loss, means.MeanOverFamilies])
def test_without_a_number_there_is_nothing(kind):
    statistic = kind(lambda a: np.full(len(a), np.nan))
    view = table().perturbed
    assert statistic.value(view) is statistic.interval(view) is None
    one_side = kind(lambda a: np.where(len(a) == len(view), a.correct, np.nan))
    assert one_side.difference(view, view.where(view.correct == 1)) is None


def test_different_families_have_no_difference_of_their_mean():
    def shown(variant):
        return Answers.of(
            [
                replace(
                    yes_no_document("Yes", ("Yes",), [(variant, "No" if n % 3 else "Yes")]),
                    image_id=str(n),
                )
                for n in range(12)
            ],
            sorted(map(str, range(12))),
        ).perturbed

    mean = means.MeanOverFamilies(flip)
    assert mean.difference(shown(NOISE), shown(TEXT)) is None
    assert mean.difference(shown(NOISE), shown(NOISE)) is not None
