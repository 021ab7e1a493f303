"""The tables of docs/reading-the-numbers.md are the records of the catalogue.

VLM_CONFIDENCE_WRITE_METRICS=1 pytest tests/unit/metrics/test_page.py    # write them
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import ModuleType

from vlm_confidence_tasks.metrics import catalogue, metrics_for
from vlm_confidence_tasks.metrics.catalogue.metric import BOTH, Metric
from vlm_confidence_tasks.metrics.statistics.means import PerImage
from vlm_confidence_tasks.types import CHANNELS

PAGE = Path(__file__).parents[3] / "docs" / "reading-the-numbers.md"
HEAD = "| metric | what it means | needs | what it cannot tell |\n|---|---|---|---|\n"
PLACES = {"channel": "<channel>", "band": "<band>", "family": "<family>"}
# What a metric needs that does not say, as the page says once.
USUAL = "300"
PREFIXES = {"stated": "verbal_", "options": "loglik_"}
# A table stands under the name of its file of the catalogue.
TABLE = re.compile(r"(?<=^<!-- catalogue/)(\w+)(\.py -->\n\n)((?:\|.*\n)+)", re.M)


def records() -> dict[str, list[Metric]]:
    """The records of each file of the catalogue, in its order."""
    files = {name: part for name, part in vars(catalogue).items() if isinstance(part, ModuleType)}
    return {
        name: [
            record
            for held, group in vars(file).items()
            if held.startswith("METRICS")
            for record in group
        ]
        for name, file in files.items()
        if hasattr(file, "METRICS")
    }


def names(record: Metric) -> list[str]:
    """The names without `_clean`, of every source of a confidence."""
    own = record.name.format(**PLACES)
    return [own, *(f"{PREFIXES[source]}{own}" for source in record.also)]


def row(record: Metric) -> str:
    """The row of a record; the page says of which images a metric of both sides is."""
    text = record.description
    if record.sides == BOTH:
        text = re.sub(r" (?:on|to) \{images\}", "", text)
    text = text.format(
        images=record.sides[0].images,
        floor=f"`{record.floor}`",
        confidence="",
        probabilities="probabilities",
        **{kind: f"`{place}`" for kind, place in PLACES.items()},
    ).removeprefix(": ")
    limits = record.limits.format(per_image=f"{record.name}_per_image")
    means = f"{text}; {limits}" if limits else text
    listed = ", ".join(f"`{name}`" for name in names(record))
    needs = "" if record.needs == USUAL else record.needs
    return f"| {listed} | {means} | {needs} | {record.cannot_tell} |\n"


def test_the_tables_of_the_page_are_the_records() -> None:
    text = PAGE.read_text()
    tables = {name: HEAD + "".join(map(row, held)) for name, held in records().items()}
    written = TABLE.sub(lambda found: found[1] + found[2] + tables[found[1]], text)
    if "VLM_CONFIDENCE_WRITE_METRICS" in os.environ:
        PAGE.write_text(written)
    assert {name for name, _, _ in TABLE.findall(text)} == tables.keys()
    assert os.environ.get("VLM_CONFIDENCE_WRITE_METRICS") or text == written


def test_every_metric_stands_on_the_page() -> None:
    shown = {name for held in records().values() for record in held for name in names(record)}
    said, _ = PAGE.read_text().split("are given with images that weigh alike, too", 1)
    for name, metric in metrics_for(["noise"]).items():
        chosen = metric.selection
        assert chosen.channel in ("", *CHANNELS)
        general = name.removesuffix(chosen.side.suffix)
        if isinstance(metric.statistic, PerImage):
            # Said of all of them in one place.
            general = general.removesuffix("_per_image")
            assert f"`{general.removeprefix('verbal_').removeprefix('loglik_')}`" in said, name
        for place, part in (
            ("<channel>", chosen.channel),
            ("<band>", chosen.band),
            ("<family>", chosen.family),
        ):
            general = general.replace(part, place) if part else general
        assert general in shown, name


def test_other_metrics_that_a_record_names_exist() -> None:
    shown = {name for held in records().values() for record in held for name in names(record)}
    for held in records().values():
        for record in held:
            named = re.findall(r"`([a-z]\w+(?:<\w+>)?)`", record.cannot_tell)
            for name in named:
                assert name.removesuffix("_clean") in shown | {"prior_probs"}, record.name
