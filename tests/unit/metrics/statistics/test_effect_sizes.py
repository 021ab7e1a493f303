"""Effect sizes are of documents' means, and tests of documents' sums."""

from __future__ import annotations

import pytest

from vlm_confidence_tasks.metrics import cohens_d, cohens_dz, jackknife_interval, sign_flip_p
from vlm_confidence_tasks.metrics.statistics.effect_sizes import ChangeTest, EffectSize

from ..everything import agree, documents, sums, table


def changes(samples):
    return sums(samples, lambda r, clean: r.entropy - clean.entropy)


@pytest.mark.parametrize("measure", [cohens_d, cohens_dz])
def test_effect_sizes_have_the_jackknifes(measure):
    def columns(samples):
        first, second, count, image = sums(
            samples, lambda r, clean: r.entropy, lambda r, clean: clean.entropy
        )
        return [first / count, second / count, image]

    def expected(first, second, image, **options):
        return jackknife_interval(lambda kept: measure(first[kept], second[kept]), image, **options)

    statistic = EffectSize(measure, lambda a: a.entropy, lambda a: a.counterpart.entropy)
    agree(statistic, columns, expected)


def test_a_test_is_given_sums_images_and_counts_and_has_no_interval():
    given = []

    def test(totals, image, count):
        given.append((totals.sum(), count.sum()))
        return sign_flip_p(totals, image)

    statistic = ChangeTest(test, lambda a: a.entropy - a.counterpart.entropy)
    totals, count, image = changes(documents())
    assert statistic.value(table().perturbed) == sign_flip_p(totals, image)
    assert given == [(pytest.approx(totals.sum()), count.sum())]
    assert not statistic.estimates and statistic.interval(table().perturbed) is None
