"""Rankings and correlations have the jackknife's intervals."""

from __future__ import annotations

import pytest

from vlm_confidence_tasks.metrics import augrc, aurc, auroc, jackknife_interval, spearman
from vlm_confidence_tasks.metrics.functional.ranking import augrc_of_ranks, aurc_of_ranks
from vlm_confidence_tasks.metrics.statistics.rankings import Auroc, Correlation, Ranking

from ..everything import agree, rows, table


def by_jackknife(measure, scale):
    def expected(first, second, image, **options):
        return jackknife_interval(
            lambda kept: measure(first[kept], second[kept]), image, scale=scale, **options
        )

    return expected


@pytest.mark.parametrize(
    ("statistic", "measure"),
    [
        (Auroc(), auroc),
        (Ranking(aurc, aurc_of_ranks), aurc),
        (Ranking(augrc, augrc_of_ranks), augrc),
    ],
)
def test_rankings(statistic, measure):
    def columns(samples):
        return rows(samples, lambda r, clean: r.confidence, lambda r, clean: float(r.correct))

    agree(statistic, columns, by_jackknife(measure, "logit"))


def test_correlations():
    def columns(samples):
        return rows(samples, lambda r, clean: r.verbal_confidence, lambda r, clean: r.confidence)

    statistic = Correlation(lambda a: a.stated, lambda a: a.confidence)
    agree(statistic, columns, by_jackknife(spearman, "fisher"))


def test_a_ranking_of_right_answers_alone_is_none():
    view = table().perturbed
    right = view.where(view.correct == 1)
    ranking = Auroc()
    assert (
        ranking.value(right) is ranking.interval(right) is ranking.difference(right, view) is None
    )
