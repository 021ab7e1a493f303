"""The threshold of a defence is set anew without each image."""

from __future__ import annotations

from operator import attrgetter

import pytest
from msgspec.structs import replace

from vlm_confidence_tasks.metrics import Answers, jackknife_interval, threshold_defense
from vlm_confidence_tasks.metrics.statistics.thresholds import EntropyThreshold

from ..everything import agree, documents, ends, rows, table


def entropies(samples):
    return rows(samples, lambda r, clean: clean.entropy, lambda r, clean: r.entropy)


def expected(read):
    def interval(clean, moved, image, **options):
        return jackknife_interval(
            lambda kept: read(threshold_defense(clean[kept], moved[kept])),
            image,
            scale="logit",
            **options,
        )

    return interval


def test_an_auroc_has_the_jackknifes():
    read = attrgetter("auroc")
    agree(EntropyThreshold(read, rejects=False), entropies, expected(read))


@pytest.mark.parametrize("name", ["reject", "bypass"])
def test_a_share_has_it_where_five_images_are_above_the_threshold(name):
    read = attrgetter(name)
    # 100 clean images have 5 above their 95th percentile.
    for count, shown in ((60, False), (120, True)):
        samples = [
            replace(sample, image_id=f"image {n:03}")
            for n, sample in enumerate(documents(120)[:count])
        ]
        found = EntropyThreshold(read).interval(Answers.of(samples).perturbed)
        assert (found is not None) is shown
    theirs = expected(read)(*entropies(samples))
    assert ends(found) == pytest.approx(ends(theirs), abs=1e-9)


def test_the_share_of_clean_images_is_set_and_estimates_nothing():
    statistic = EntropyThreshold(attrgetter("reject_clean"), bounded=False)
    assert statistic.value(table().perturbed) == pytest.approx(0.05, abs=0.02)
    assert not statistic.estimates and statistic.interval(table().perturbed) is None
