"""Names of metrics, and what holds of every metric's value, interval and difference."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from vlm_confidence_tasks import metrics, perturbations
from vlm_confidence_tasks.metrics import Number, catalogue, measured_in, metrics_for
from vlm_confidence_tasks.types import MEASURES

from .everything import VARIANTS, documents, table
from .making import METRICS, NOISE, measure, values, yes_no_document

NAMES_FILE = Path(__file__).with_name("metric_names.txt")
SHOWN = tuple(sorted({variant.family for variant in VARIANTS}))
# Attacks and noise on objects have documents of their own (test_attacks.py, test_object_noise.py).
NAMES = list(metrics_for(SHOWN, {"verbal", "loglik", "representations", "same_question"}))


@cache
def everything() -> dict[str, Number]:
    return metrics.measure(table())


def test_the_names_are_those_that_files_of_users_have() -> None:
    if os.environ.get("VLM_CONFIDENCE_WRITE_METRICS"):
        NAMES_FILE.write_text("\n".join(sorted(METRICS)) + "\n")
    assert set(METRICS) == set(NAMES_FILE.read_text().split())


def test_every_record_is_found_by_its_name() -> None:
    source = "".join(file.read_text() for file in Path(catalogue.__file__).parent.glob("*.py"))
    records = [record for group in catalogue.GROUPS for record in group.records]
    for record in records:
        found = re.findall(rf'\b\w+\(\s*"{re.escape(record.name)}",', source)
        assert len(found) == 1, record.name
    assert len(records) == len({record.name for record in records}) > 100


def test_metrics_are_described_and_told_apart() -> None:
    descriptions = [metric.description for metric in METRICS.values()]
    assert len(set(descriptions)) == len(descriptions) and all(descriptions)
    assert not any("{" in text or "\n" in text for text in descriptions)
    assert METRICS["ece"].higher_is_better is False and METRICS["f1"].higher_is_better is True
    for name in ("confidence", "overconfidence", "ece", "ece_clean", "verbal_ece", "brier"):
        assert "unparsed" in METRICS[name].description
    assert "unparsed" not in METRICS["loglik_ece"].description


def test_at_most_twenty_are_core() -> None:
    core = [name for name, metric in METRICS.items() if metric.is_core]
    assert len(core) <= 20
    assert {"accuracy", "f1_clean", "entropy_delta_p", "ece", "ece_floor_clean", "ifr"} < set(core)


def test_families_have_their_metrics_in_the_order_given() -> None:
    names = list(metrics_for(["fog", "arc"]))
    of_families = ["ifr_fog", "iv_fog", "ifr_arc", "iv_arc"]
    of_families += ["ece_fog", "ece_floor_fog", "ece_arc", "ece_floor_arc"]
    assert [name for name in names if name.endswith(("_fog", "_arc"))] == of_families
    assert names[names.index("iv_macro") + 1] == "ifr_fog"
    assert len(names) == len(metrics_for(())) + 8


def test_old_names_give_the_new_numbers_and_say_so_once_each() -> None:
    renamed = {m.formerly: name for name, m in METRICS.items() if m.formerly}
    assert renamed["coverage_90_clean"] == "hit_90_clean"
    assert renamed["verbal_brier_iso"] == "verbal_brier_top_iso"
    with pytest.warns(FutureWarning, match="brier_ts is now brier_top_ts") as said:
        found = metrics.measure(table(), ["aps_coverage_90", "brier_ts", "ece", "speed"])
    assert list(found) == ["ece", "brier_top_ts", "aps_hit_90"] and len(said) == 2
    # What another number has by now is no old name.
    assert renamed["brier"] == "brier_top"
    assert list(metrics.measure(table(), ["brier"], intervals=False)) == ["brier"]


def test_a_task_has_the_metrics_of_what_it_measures() -> None:
    plain = metrics_for(["noise"], frozenset())
    assert all(not metric.requires for metric in plain.values()) and "ifr_noise" in plain
    for measure_ in MEASURES:
        own = metrics_for(["noise"], {measure_}).keys() - plain.keys()
        assert own == {n for n, m in METRICS.items() if m.requires == {measure_}}
        assert bool(own) == (measure_ != "same_question")
    same = {n for n, m in METRICS.items() if "same_question" in m.requires}
    assert same == {n for n in METRICS if n.startswith("drift_") and "_same_" in n}
    assert all("representations" in METRICS[name].requires for name in same)


def test_every_metric_can_be_computed_and_has_an_interval_but_what_estimates_nothing() -> None:
    """A p or a floor that is not marked as one would stand in tables as a number of its own."""
    assert list(everything()) == NAMES
    p_values = {name for name, metric in METRICS.items() if metric.is_p}
    assert p_values == {name for name in METRICS if re.search(r"_p(_clean)?$", name)}
    floors = {name: metric.floor for name, metric in METRICS.items() if metric.floor}
    families = "|".join(perturbations.families())
    ece = re.compile(rf"(verbal_|loglik_)?ece(_clean|_({families}))?")
    assert floors.keys() == {name for name in METRICS if ece.fullmatch(name)}
    assert floors == {name: name.replace("ece", "ece_floor") for name in floors}
    assert all(floor in METRICS[name].description for name, floor in floors.items())
    without = {name for name, metric in METRICS.items() if not metric.statistic.estimates}
    rest = {name.removesuffix("_clean") for name in without - p_values - {*floors.values()}}
    of_no_law = {"mce", "eaurc", "prr", "miscalibration", "discrimination", "uncertainty"}
    of_no_law |= {"calibration_slope"}
    of_each = {f"{source}{name}" for source in ("", "verbal_", "loglik_") for name in of_no_law}
    assert rest == of_each | {"defense_reject", "ece_classwise", "loglik_ece_classwise"}
    for name, number in everything().items():
        if name in without:
            assert number.low is number.high is None, name
        else:
            assert number.low <= number.value <= number.high, name
            assert number.high > number.low, name


def test_named_metrics_have_the_same_numbers() -> None:
    names = {"f1", "ece", "entropy_delta", "speed"}
    expected = {name: everything()[name] for name in NAMES if name in names}
    assert metrics.measure(table(), names) == expected
    without = metrics.measure(table(), names, intervals=False)
    assert without == {name: Number(found.value) for name, found in expected.items()}
    assert metrics.values(table()) == {name: number.value for name, number in everything().items()}
    assert all(type(number.value) is float for number in everything().values())


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_documents_leaves_no_trace(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(documents()))
    assert measure([documents()[n] for n in order]) == everything()


# A threshold has too few images above it (statistics/test_thresholds.py).
FEW = {"defense_reject", "defense_bypass"}
ESTIMATING = [n for n in NAMES if METRICS[n].statistic.estimates and n not in FEW]


@pytest.mark.parametrize("names", np.array_split(ESTIMATING, 8), ids=lambda names: names[0])
def test_a_difference_is_that_of_the_values_and_a_wider_level_has_a_wider_interval(
    names: Sequence[str],
) -> None:
    first, second = table(), table(seed=1)
    for name in names:
        metric = METRICS[str(name)]
        a, b = metric.value(first), metric.value(second)
        apart, wide = (metric.difference(first, second, level) for level in (0.8, 0.99))
        assert apart.estimate == wide.estimate == pytest.approx(b - a, abs=1e-9), name
        alone = [metric.interval(first, level) for level in (0.8, 0.99)]
        assert alone[0].estimate == pytest.approx(a, abs=1e-9), name
        for narrow, wider in ((apart, wide), alone):
            assert wider.low <= narrow.low < narrow.high <= wider.high, name
            assert wider.high - wider.low > narrow.high - narrow.low, name
        same = metric.difference(first, first)
        assert same is None or (same.estimate == 0 and same.low <= 0 <= same.high), name


def test_what_is_measured_is_found() -> None:
    plain = [yes_no_document("Yes", ("Yes",), [(NOISE, "No")])]
    assert measured_in(metrics.Answers.of(plain)) == measured_in(metrics.Answers.of([])) == set()
    assert measured_in(table()) == {"verbal", "loglik", "representations", "same_question"}


def test_nothing_at_all_gives_nothing() -> None:
    nothing = metrics.Answers.of([])
    assert metrics.values(nothing) == {}
    for name, metric in METRICS.items():
        assert metric.value(nothing) is metric.interval(nothing) is None, name


def test_a_confidence_out_of_range_is_refused() -> None:
    sample = documents()[0]
    overdone = replace(sample, clean=replace(sample.clean, answer="Yes", confidence=1.5))
    with pytest.raises(ValueError, match="1.5"):
        values([overdone])


def test_few_images_have_no_interval() -> None:
    alone = [replace(d, image_id=f"image{n % 4}") for n, d in enumerate(documents())]
    found = measure(alone)
    assert "brier_top_ts" in found
    assert all(number.low is number.high is None for number in found.values())


# A number of each kind, of all answers.
KINDS = ("accuracy", "entropy", "overconfidence", "ece", "auroc", "aurc", "temperature", "ece_ts")
KINDS += ("nll_ts", "hit_90", "risk_80", "defense_auroc", "error_auroc_entropy", "ifr_macro")
KINDS += ("error_auroc_pair", "drift_d_context", "drift_ratio_context", "verbal_alignment")


def test_limits_name_the_metric_in_which_images_weigh_alike_and_are_not_its_own():
    named = {
        name: re.findall(r"`(\w+_per_image\w*)`", metric.description)
        for name, metric in METRICS.items()
    }
    assert named["accuracy_clean"] == ["accuracy_per_image_clean"]
    assert named["entropy_delta"] == ["entropy_delta_per_image"]
    for name, others in named.items():
        assert METRICS.keys() >= set(others) and not (others and "_per_image" in name)


@pytest.mark.parametrize("large", [45, 30])
def test_uneven_images_have_intervals_of_what_weighs_images_alike_alone(large: int) -> None:
    """One image has over half of the answers, or is so large that the others say too little."""
    uneven = metrics.Answers.of(
        replace(d, image_id="large") if n < large else replace(d, image_id=f"image{n}")
        for n, d in enumerate(documents())
    )
    for name in KINDS:
        metric = METRICS[name]
        assert metric.interval(table()) is not None and metric.value(uneven) is not None, name
        assert metric.interval(uneven) is metric.difference(uneven, uneven) is None, name
    alike = [name for name in METRICS if "_per_image" in name]
    assert len(alike) > 10 and all(METRICS[name].interval(uneven) for name in alike)
