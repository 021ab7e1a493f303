"""Measured coverage of every kind of interval and test that the package reports.

    python scripts/studies/coverage.py --output docs/studies/coverage.md [--repeats 1000]
    python scripts/studies/coverage.py --small --repeats 20

Simulates answers in clusters with a known truth: images with 1 or with 1 to 18 questions, 1, 4
or 24 variants of each, and answers of one image that go together. For each kind of number and
cell it counts how often the 95% interval holds the truth, or how often the test rejects a true
null hypothesis at 5%, and takes the mean width. The seed of a repeat is a function of kind, cell
and number, so that any cell can be run alone.

Cells in the CSV beside the page, and in the file of `--kept`, are not run again: to measure a kind
anew, delete its rows there. All others stay on the page as they are.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import warnings
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from tqdm import tqdm

from simulated_answers import KINDS, Cell, cells, simulated
from simulated_answers.design import IMAGES

# Answers of the largest cells that are run again: with more, 1,000 repeats take minutes.
LARGEST_AGAIN = 20_000


@dataclass(frozen=True)
class Result:
    """A cell's outcome.

    Attributes:
        kind: Name of the kind.
        cell: The design.
        share: Share of intervals that hold the truth, or of tests that reject.
        width: Mean width of the intervals, None for a test.
        repeats: Repeats in which there was an interval or a p-value.
        absent: Repeats in which there was none.
    """

    kind: str
    cell: Cell
    share: float
    width: float | None
    repeats: int
    absent: int

    @property
    def total(self) -> int:
        """All repeats."""
        return self.repeats + self.absent

    @property
    def is_test(self) -> bool:
        """Whether it is of a test, which should reject in 5%."""
        return KINDS[self.kind].truth is None

    @property
    def error(self) -> float:
        """Monte-Carlo standard error of the share, of none at all that of half a repeat."""
        share = float(np.clip(self.share, 0.5 / self.repeats, 1.0 - 0.5 / self.repeats))
        return float(np.sqrt(share * (1.0 - share) / self.repeats))

    @property
    def badness(self) -> float:
        """How far the share lies, less two standard errors, on the wrong side of its promise."""
        away = self.share - 0.05 if self.is_test else 0.95 - self.share
        return away - 2.0 * self.error


def measure(name: str, cell: Cell, repeats: int) -> Result:
    """Run the repeats of one kind in one cell."""
    kind = KINDS[name]
    held, widths, absent = [], [], 0
    for repeat in range(repeats):
        place = (zlib.crc32(name.encode()), cell.images, cell.questions, cell.variants)
        rng = np.random.default_rng([*place, round(100 * cell.correlation), repeat])
        outcome = kind.run(simulated(cell, rng), rng)
        if isinstance(outcome, tuple):
            found, truth = outcome
            if found is None:
                absent += 1
                continue
            held.append(found.low - 1e-9 <= truth <= found.high + 1e-9)
            widths.append(found.high - found.low)
        elif outcome is None:
            absent += 1
        else:
            held.append(outcome < 0.05)
    share = float(np.mean(held)) if held else np.nan
    return Result(name, cell, share, float(np.mean(widths)) if widths else None, len(held), absent)


def _measure(job: tuple[str, Cell, int]) -> Result:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return measure(*job)


def repeats_of(cell: Cell, repeats: int) -> int:
    """Return the repeats of a cell: fewer where there are many answers, which take long."""
    return max(repeats // 2, min(repeats, round(repeats * 10_000 / answers(cell))))


def answers(cell: Cell) -> float:
    """Return how many answers a cell has on average."""
    return cell.images * (cell.questions + 1) / 2 * cell.variants


def is_doubtful(result: Result) -> bool:
    """Whether a cell lies outside of what its interval or test promises."""
    if result.is_test:
        return bool(result.repeats) and not 0.03 <= result.share <= 0.07
    return result.share < 0.93


def main() -> None:
    """Run the cells that are not kept yet and write the page."""
    options = _options()
    images = IMAGES[:2] if options.small else IMAGES
    kept = _stored(options.output) | _kept(options.kept)
    names = [name for name in KINDS if not options.only or options.only in name]
    every = [(name, cell) for name in names for cell in cells(KINDS[name], images)]
    missing = [job for job in every if job not in kept and answers(job[1]) <= options.largest]
    with ProcessPoolExecutor(options.workers) as pool:
        _run(pool, [(*job, repeats_of(job[1], options.repeats)) for job in missing], kept, options)
        # A cell of few repeats is off by chance too, so that it is run again, longer.
        again = [
            job
            for job in every
            if job in kept
            and is_doubtful(kept[job])
            and kept[job].total < options.doubtful
            and answers(job[1]) <= LARGEST_AGAIN
        ]
        _run(pool, [(*job, options.doubtful) for job in again], kept, options)
    order = {name: n for n, name in enumerate(KINDS)}
    results = sorted(kept.values(), key=lambda r: (order[r.kind], *astuple(r.cell)))
    if options.output is None:
        print(page(results))
        return
    options.output.write_text(page(results), encoding="utf-8")
    with options.output.with_suffix(".csv").open("w", encoding="utf-8") as file:
        write_cells(results, file)


def _run(
    pool: ProcessPoolExecutor,
    jobs: list[tuple[str, Cell, int]],
    kept: dict[tuple[str, Cell], Result],
    options: argparse.Namespace,
) -> None:
    """Run cells with their repeats, and keep each result as it comes."""
    # The longest first, so that no process waits for another at the end.
    jobs.sort(key=lambda job: -job[1].images * job[1].questions * job[1].variants)
    running = [pool.submit(_measure, job) for job in jobs]
    bar = tqdm(as_completed(running), total=len(jobs), disable=not sys.stderr.isatty())
    for result in (future.result() for future in bar):
        kept[result.kind, result.cell] = result
        if options.kept:
            with options.kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(result)) + "\n")


def _kept(path: Path | None) -> dict[tuple[str, Cell], Result]:
    if path is None or not path.exists():
        return {}
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    results = [Result(**{**record, "cell": Cell(**record["cell"])}) for record in records]
    return {(result.kind, result.cell): result for result in results if result.kind in KINDS}


def _stored(page: Path | None) -> dict[tuple[str, Cell], Result]:
    """Return what the CSV beside a page has of today's kinds."""
    path = page and page.with_suffix(".csv")
    if path is None or not path.exists():
        return {}
    names = {kind.title: name for name, kind in KINDS.items()}
    with path.open(encoding="utf-8") as file:
        results = [_read(names[row[0]], *row[1:]) for row in csv.reader(file) if row[0] in names]
    return {(result.kind, result.cell): result for result in results}


def _read(name: str, *fields: str) -> Result:
    images, questions, variants, correlation, percent, width, repeats, absent = fields
    return Result(
        kind=name,
        cell=Cell(int(images), int(questions), int(variants), float(correlation)),
        share=float(percent or "nan") / 100.0,
        width=float(width) if width else None,
        repeats=int(repeats),
        absent=int(absent),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1000, help="of a cell of few answers")
    parser.add_argument(
        "--doubtful", type=int, default=1000, help="of a cell that lies outside of what is promised"
    )
    parser.add_argument(
        "--largest", type=float, default=np.inf, help="run no cells of more answers than this"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument(
        "--output", type=Path, help="page, with a CSV of all cells beside it; default: printed"
    )
    parser.add_argument("--only", default="", help="kinds whose name holds this text")
    parser.add_argument(
        "--kept", type=Path, help="file of finished cells (JSON lines), which are not run again"
    )
    parser.add_argument("--small", action="store_true", help="10 and 30 images alone")
    return parser.parse_args()


def page(results: Sequence[Result]) -> str:
    """Write the results as Markdown: a row for each kind."""
    lines = [_HEAD, *_unfinished(results)]
    heads = ["kind", "for", "promised", "worst", "where", *(f"{n} images" for n in IMAGES)]
    lines += [f"| {' | '.join([*heads, 'cells', 'repeats', 'absent'])} |"]
    lines += ["|---" * (len(heads) + 3) + "|"]
    for name, kind in KINDS.items():
        rows = [result for result in results if result.kind == name]
        if rows:
            lines.append(f"| {' | '.join([kind.title, kind.metrics, *_numbers(rows)])} |")
    return "\n".join(lines) + "\n"


def write_cells(results: Sequence[Result], file: TextIO) -> None:
    """Write the results as CSV: a row for each cell, in percent."""
    table = csv.writer(file, lineterminator="\n")
    design = ("images", "most_questions", "variants", "correlation")
    table.writerow(["kind", *design, "percent", "width", "repeats", "absent"])
    for result in results:
        width = "" if result.width is None else f"{result.width:.3f}"
        percent = f"{100 * result.share:.1f}" if result.repeats else ""
        measured = (percent, width, result.repeats, result.absent)
        table.writerow([KINDS[result.kind].title, *astuple(result.cell), *measured])


_HEAD = """# Measured coverage

Written by `python scripts/studies/coverage.py --output docs/studies/coverage.md`. How often 95%
intervals hold the truth, and how often tests reject a true null hypothesis at 5%, in percent.

- **Worst**: the cell that is worst even after two standard errors in its favour, with its
  Monte-Carlo standard error; *of 17%*: so many of its samples have an interval, and the number is
  of these. **Where**: its images; questions an image; variants; correlation.
- **10 images** and so on: lowest / mean / highest over the cells with as many images.
- **Absent**: repeats without an interval, of all cells.

Each cell, with the mean width of its intervals, repeats that had one, and those that had none:
[coverage.csv](coverage.csv).

A cell is a design: **images** are the clusters; 1 question an image, or a number from 1 to 18, each
as likely; 1, 4 or 24 variants of each question; and a correlation of 0, 0.1 or 0.3 between answers
of one image. Answers to the variants of one document go together by 0.8. Rates have beta
distributed image rates, everything else normal scores. Truths are exact, or those of 2,000,000
answers.

The standard error of a coverage of 95% is 0.7 with 1,000 repeats, 1.3 with 300 and 1.8 with 150, so
that of a hundred cells a few lie 2 of these away by chance, and the worst of 64 cells looks worse
than it is. Cells of many answers have fewer repeats. A cell in which fewer than 93% of the
intervals held, or a test rejected in under 3 or over 7%, is run again with 1,000 repeats, unless it
has over 20,000 answers; in the kinds measured last, with 400. Of these kinds cells of many answers
are left out, for time: **cells** says under how many answers a sample all are measured. Complete
kinds have 64 cells, 16 without variants, 12 of images with 1 to 200 questions.

Complete kinds were measured first. Since then a number has no interval where images are so uneven
that they are worth too few equal ones: of 10 images with 1 to 18 questions 1 in 300 of the
intervals here would not be shown today.

What each kind of interval is, and what it does not reach:
[reading the numbers](../reading-the-numbers.md#how-far-a-number-may-be-off).
"""


def _unfinished(results: Sequence[Result]) -> list[str]:
    total = sum(len(list(cells(kind))) for kind in KINDS.values())
    if len(results) == total:
        return []
    return [f"{len(results):,} of {total:,} cells are measured so far.\n"]


def _numbers(rows: Sequence[Result]) -> list[str]:
    """Return what the page says of one kind, in its columns."""
    totals = [row.total for row in rows]
    fewest, most = f"{min(totals):,}", f"{max(totals):,}"
    return [
        "5" if rows[0].is_test else "95",
        *_worst([row for row in rows if row.repeats]),
        *(_range([row for row in rows if row.cell.images == images]) for images in IMAGES),
        _measured(rows),
        fewest if fewest == most else f"{fewest} to {most}",
        f"{sum(row.absent for row in rows) / sum(totals):.1%}",
    ]


def _measured(rows: Sequence[Result]) -> str:
    """Return how many cells of a kind are measured, and up to how many answers."""
    done = {row.cell for row in rows}
    every = list(cells(KINDS[rows[0].kind]))
    left = [answers(cell) for cell in every if cell not in done]
    return (
        f"{len(done)} of {len(every)}: under {min(left):,.0f} answers" if left else str(len(done))
    )


def _worst(rows: Sequence[Result]) -> tuple[str, str]:
    """Return the share of the worst cell with its standard error, and which cell it is."""
    if not rows:
        return "", ""
    row = max(rows, key=lambda row: row.badness)
    shown = f" of {100 * row.repeats / row.total:.3g}%" if row.absent else ""
    cell = row.cell
    questions = "1" if cell.questions == 1 else f"1-{cell.questions}"
    where = f"{cell.images}; {questions}; {cell.variants}; {cell.correlation:g}"
    return f"{100 * row.share:.1f} ({100 * row.error:.1f}){shown}", where


def _range(rows: Sequence[Result]) -> str:
    shares = [100 * row.share for row in rows if row.repeats]
    if not shares:
        return ""
    return f"{min(shares):.1f} / {np.mean(shares):.1f} / {max(shares):.1f}"


if __name__ == "__main__":
    main()
