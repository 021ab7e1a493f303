"""Rankings and correlations have the jackknife's intervals."""

from __future__ import annotations

import pytest

from vlm_confidence_tasks.metrics import aurc, auroc, jackknife_interval, spearman
from vlm_confidence_tasks.metrics.functional.ranking import aurc_of_ranks, auroc_of_ranks
from vlm_confidence_tasks.metrics.statistics.rankings import Correlation, Ranking

from ..everything import agree, rows, table


def by_jackknife(measure, scale):
    def expected(first, second, image, **options):
        return jackknife_interval(
            lambda kept: measure(first[kept], second[kept]), image, scale=scale, **options
        )

    return expected


@pytest.mark.parametrize(("measure", "of_ranks"), [(auroc, auroc_of_ranks), (aurc, aurc_of_ranks)])
def test_rankings(measure, of_ranks):
    def columns(samples):
        return rows(samples, lambda r, clean: r.confidence, lambda r, clean: float(r.correct))

    agree(Ranking(measure, of_ranks), columns, by_jackknife(measure, "logit"))


def test_correlations():
    def columns(samples):
        return rows(samples, lambda r, clean: r.verbal_confidence, lambda r, clean: r.confidence)

    statistic = Correlation(lambda a: a.stated, lambda a: a.confidence)
    agree(statistic, columns, by_jackknife(spearman, "fisher"))


def test_a_ranking_of_right_answers_alone_is_none():
    view = table().perturbed
    right = view.where(view.correct == 1)
    ranking = Ranking(auroc, auroc_of_ranks)
    assert (
        ranking.value(right) is ranking.interval(right) is ranking.difference(right, view) is None
    )
