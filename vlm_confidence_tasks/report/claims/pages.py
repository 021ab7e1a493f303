"""Verdicts as JSON, Markdown and one HTML page."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vlm_confidence_tasks.metrics.inference.power import POWER
from vlm_confidence_tasks.report.claims.record import Record
from vlm_confidence_tasks.report.digits import digits, images_told
from vlm_confidence_tasks.report.formats.html import render
from vlm_confidence_tasks.report.formats.markdown import line, safe
from vlm_confidence_tasks.report.formats.whole import replacing

STEM = "claims"
TITLE = "Claims"
HEADS = ("claim", "of", "verdict", "deciding effect", "source", "refuted if")
PART_HEADS = ("of", "effect", "its interval", "holds", "finding", "documents", "images")


class PartRow(NamedTuple):
    """A part's row, as text: the cells below `PART_HEADS`."""

    of: str
    effect: str
    interval: str
    bound: str
    finding: str
    documents: str
    images: str


class VerdictRow(NamedTuple):
    """A verdict's row, as text, with its parts' rows and the commands that it lacks."""

    claim: str
    of: str
    verdict: str
    deciding: str
    source: str
    refuted_by: str
    parts: tuple[PartRow, ...]
    commands: tuple[str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """The row below `HEADS`."""
        return self[:6]


def write(folder: Path, record: Record) -> Path:
    """Write all files into a folder and return the page."""
    texts = {
        "json": json.dumps(record, indent=1, allow_nan=False) + "\n",
        "md": to_markdown(record),
        "html": to_html(record),
    }
    with replacing(folder) as new:
        for ending, text in texts.items():
            (new / f"{STEM}.{ending}").write_text(text, encoding="utf-8")
    return folder / f"{STEM}.html"


def to_html(record: Record) -> str:
    """Write one page that loads nothing."""
    return render(
        "claims.html.jinja",
        title=TITLE,
        legend=legend(record),
        heads=HEADS,
        part_heads=PART_HEADS,
        claims=record["claims"],
        rows=rows(record),
        notes=record["notes"],
        problems=record["problems"],
    )


def to_markdown(record: Record) -> str:
    """Write one page of Markdown."""
    shown = rows(record)
    parts = [f"# {TITLE}", legend(record), table(HEADS, [row.cells for row in shown])]
    for claim in record["claims"]:
        mine = [row for row in shown if row.claim == _title(claim)]
        parts += [f"## {safe(_title(claim))}", *_details(mine)]
    for title in ("Notes", "Problems"):
        if lines := record[title.lower()]:
            parts += [f"## {title}", "\n".join(f"- {safe(text)}" for text in lines)]
    return "\n\n".join(parts) + "\n"


def legend(record: Record) -> str:
    """Say how to read the tables."""
    return (
        "A claim holds if each of its parts does; a part is decided by whether its interval lies "
        "beyond the smallest effect that matters, or short of it (docs/claims.md). "
        f"{record['tests']} parts of {record['tested_claims']} claims and models were tested "
        f"together at {record['alpha']:g} (Holm over claims and models); behind each interval "
        "stands the level at which it was decided. Intervals are over images. Detectable: the "
        f"distance from the bound at which {POWER:.0%} of samples of so many images are decided at "
        "that level, and how many images the smallest effect takes."
    )


def rows(record: Record) -> list[VerdictRow]:
    """Return every verdict as text, by claim."""
    claims = {claim["number"]: claim for claim in record["claims"]}
    return [_row(claims[said["claim"]], said) for said in record["verdicts"]]


def _row(claim: Record, said: Record) -> VerdictRow:
    parts = tuple(
        _part_row(said["subject"], fixed, found)
        for fixed, found in zip(claim["parts"], said["parts"], strict=True)
    )
    number = said["decided_by"]
    part, name = parts[number], claim["parts"][number]["name"]
    return VerdictRow(
        claim=_title(claim),
        of=said["subject"],
        verdict=said["verdict"],
        deciding=f"{part.effect} {part.interval}" if part.documents else f"{name}: {part.finding}",
        source=claim["source"],
        refuted_by=claim["refuted_by"],
        parts=parts,
        commands=tuple(said["commands"]),
    )


def _title(claim: Record) -> str:
    return f"{claim['number']}. {claim['title']}"


def _part_row(of: str, fixed: Record, found: Record) -> PartRow:
    measured = found["effect"] is not None
    effect = digits(found["effect"]) if measured else "–"
    return PartRow(
        of=of,
        effect=f"{fixed['name']}: {effect}",
        interval=_interval(found),
        bound=f"{'under' if fixed['below'] else 'above'} {digits(fixed['bound'], 2)}",
        finding=_finding(fixed, found),
        documents=str(found["documents"]) if measured else "",
        images=str(found["images"]) if measured else "",
    )


def _finding(fixed: Record, found: Record) -> str:
    if found["finding"] is None:
        return f"not measured: {found['missing']}"
    if found["detectable_effect"] is None:
        return f"{found['finding']}{', one image decides' * found['one_image_decides']}"
    margin = abs(fixed["bound"] - fixed["none"])
    images = images_told(found["images_needed"], found["images"])
    shown = digits(found["detectable_effect"])
    return f"{found['finding']}: detectable {shown}, {margin:g} takes {images} images"


def _interval(found: Record) -> str:
    if found["low"] is None:
        return "(no interval)" if found["effect"] is not None else ""
    level = f"{100 * found['level']:.2f}".rstrip("0").rstrip(".")
    return f"[{digits(found['low'])}, {digits(found['high'])}] ({level}%)"


def _details(shown: list[VerdictRow]) -> Iterator[str]:
    yield table(PART_HEADS, [part for row in shown for part in row.parts])
    commands = list(dict.fromkeys(text for row in shown for text in row.commands))
    if commands:
        yield "Not measured yet; what would measure it:"
        # A model's name may hold what ends a block.
        longest = max(map(len, re.findall("`+", "\n".join(commands))), default=0)
        fence = "`" * max(3, longest + 1)
        yield "\n".join([f"{fence}sh", *commands, fence])


def table(heads: tuple[str, ...], cells: Sequence[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [line(list(heads)), line(["---"] * len(heads))]
    return "\n".join([*lines, *(line([safe(cell) for cell in row]) for row in cells)])
