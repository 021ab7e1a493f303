"""Tables of a leaderboard: models down, tasks or metrics across."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from vlm_confidence_tasks.metrics.inference.clusters import one_image_decides
from vlm_confidence_tasks.report.digits import digits
from vlm_confidence_tasks.report.inputs.problems import ReportError
from vlm_confidence_tasks.report.leaderboard.leaderboard import Leaderboard, Record

By = Literal["task", "metric"]
# What a table shows unless other metrics are named, the primary outcomes first (those up to
# `overconfidence`); `leaderboard.json` has all.
HEADLINE = (
    "accuracy_clean",
    "accuracy",
    "ifr",
    # Primary of closed questions; of open ones, which have no answer position, the next.
    "entropy_answer_delta",
    "entropy_delta",
    "entropy_delta_p",
    "ece_clean",
    "ece",
    "ece_debiased",
    "overconfidence",
    "right_to_wrong",
    "iv",
    "entropy_drop_rate",
    # Only of engines that return the likeliest tokens: what these leave open.
    "entropy_bounded",
    "entropy_low",
    "entropy_high",
    "probs_unsettled",
    "confidence_open",
    "confidence_width",
    "truncated_rate",
    "filtered_rate",
    "other_model_rate",
    "confidence",
    "auroc",
    "ece_ts",
    "hit_90",
    "risk_80",
    "defense_auroc",
    "invalid_rate",
    "refusal_rate",
    "drift_ratio_context",
    "verbal_ece",
    "verbal_alignment",
)
# What a person takes in at first, with the words for it: one table per task, one row per model.
OVERVIEW = {
    "accuracy_clean": "accuracy, clean",
    "accuracy": "accuracy, perturbed",
    "ece": "calibration error",
    "entropy_delta": "entropy change",
    "ifr": "flips",
    "drift_ratio_context": "drift ratio",
    "hit_90": "hits of 90% sets",
}
# What a model is asked for its worst number in, and whether the highest is the worst.
WORST = {
    "accuracy": False,
    "ifr": True,
    "ece": True,
    "overconfidence": True,
    "hit_90": False,
    "auroc": False,
    "drift_ratio_context": True,
    "invalid_rate": True,
}
ARROWS = {True: "↑", False: "↓", None: ""}


@dataclass(frozen=True)
class Cell:
    """A number of a model, with what is to be read beside it.

    Attributes:
        low: Lower end of its interval, None without one.
        influence: Of a mean, the share of its variance that one image carries.
        rank: The lowest and the highest rank that the model may have in its column; None of one
            that is not ranked.
        floor: Of an ECE, what a perfectly calibrated model would show.
        holm: Of a p-value, the same adjusted (Holm) for all of the leaderboard.
    """

    value: float
    low: float | None
    high: float | None
    influence: float | None = None
    rank: tuple[int, int] | None = None
    floor: float | None = None
    holm: float | None = None

    @property
    def text(self) -> str:
        """The value in three digits after the point, with a true minus sign.

        >>> Cell(-0.01234, None, None).text, Cell(1e-7, None, None).text
        ('−0.012', '1.0e−07')
        """
        return digits(self.value)

    @property
    def interval(self) -> str:
        """The interval in the same digits, "" without one."""
        if self.low is None or self.high is None:
            return ""
        return f"[{digits(self.low)}, {digits(self.high)}]"

    @property
    def best(self) -> bool:
        """Whether it is certainly the best of its column."""
        return self.rank == (1, 1)

    @property
    def beside(self) -> str:
        """What is to be read beside the value, "" for most.

        >>> Cell(0.053, 0.04, 0.07, floor=0.021).beside, Cell(0.003, None, None, holm=0.041).beside
        ('(floor 0.021)', '(Holm 0.041)')
        >>> Cell(0.9, 0.8, 1.0, rank=(1, 1)).beside, Cell(0.9, 0.8, 1.0, rank=(1, 3)).beside
        ('(rank 1)', '(rank 1–3)')
        """
        others = {"floor": self.floor, "Holm": self.holm}
        said = [f"({k} {digits(v)})" for k, v in others.items() if v is not None]
        said += ["(one image decides)"] * one_image_decides(self.influence)
        if self.rank is not None:
            said.append(f"(rank {'–'.join(map(str, dict.fromkeys(self.rank)))})")
        return " ".join(said)


@dataclass(frozen=True)
class Heading:
    """The head of a column: what it is, the better direction and what to know of it."""

    name: str
    arrow: str
    note: str

    @property
    def text(self) -> str:
        """The name, with an arrow in the better direction."""
        return f"{self.name} {self.arrow}".strip()


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: The metric, or the task's column, that it is about.
        title: The name, with an arrow in the better direction.
        caption: What the title means.
        rows: (model, one cell a column; None where the model has no such number).
    """

    name: str
    title: str
    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


def build_tables(leaderboard: Leaderboard, by: By, metrics: Sequence[str] = ()) -> list[Table]:
    """Lay out the leaderboard as one table per metric (`by` task) or per task (`by` metric)."""
    check_names(metrics, leaderboard["metrics"])
    names = [name for name in metrics or HEADLINE if name in leaderboard["metrics"]]
    tasks = [column["id"] for column in leaderboard["columns"]]
    entries = {(entry["model"], entry["column"]): entry for entry in leaderboard["entries"]}
    tables = []
    for title in names if by == "task" else tasks:
        pairs = [(title, t) for t in tasks] if by == "task" else [(n, title) for n in names]
        cells = [_column(leaderboard, entries, name, task) for name, task in pairs]
        across = tasks if by == "task" else names
        tables.append(_table(leaderboard, title, dict(zip(across, cells, strict=True))))
    return [table for table in tables if table.rows]


def overview(leaderboard: Leaderboard) -> list[Table]:
    """Return one table per task of the metrics in `OVERVIEW`.

    Tasks of the most models first; of those, the one in which most answers flip.
    """
    names = [name for name in OVERVIEW if name in leaderboard["metrics"]]
    tables = build_tables(leaderboard, "metric", names) if names else []
    flips = {
        column["id"]: [
            entry["metrics"]["ifr"]["value"]
            for entry in leaderboard["entries"]
            if entry["column"] == column["id"] and "ifr" in entry["metrics"]
        ]
        for column in leaderboard["columns"]
    }
    return sorted(
        tables,
        key=lambda table: (-len(table.rows), -fmean(flips[table.name] or [0.0])),
    )


@dataclass(frozen=True)
class Worst:
    """The task in which a model's number is the worst, and the same number on clean images."""

    heading: Heading
    column: str
    cell: Cell
    clean: Cell | None


def worst(leaderboard: Leaderboard, model: str) -> list[Worst]:
    """Return a model's worst number of each metric in `WORST`; of equal ones the first task's."""
    found = []
    for name, highest in WORST.items():
        entries = [
            entry
            for entry in leaderboard["entries"]
            if entry["model"] == model and name in entry["metrics"]
        ]
        if entries:
            sign = -1 if highest else 1
            entry = min(entries, key=lambda one: sign * one["metrics"][name]["value"])
            clean = entry["metrics"].get(f"{name}_clean")
            found.append(
                Worst(
                    heading(leaderboard, name),
                    entry["column"],
                    cell_of(leaderboard, entry, name),
                    Cell(**clean) if clean else None,
                )
            )
    return found


def adjusted(leaderboard: Leaderboard) -> str:
    """Say what stands beside a p, and of which family of tests it is."""
    tests = leaderboard["tests"]
    return f"the same adjusted (Holm) for all {tests} p of this leaderboard, shown or not"


def cell_of(leaderboard: Leaderboard, entry: Record, name: str) -> Cell:
    """Return an entry's number of a metric, with its rank and the floor that belongs to it."""
    floor = entry["metrics"].get(leaderboard["metrics"][name]["floor"], {}).get("value")
    rank = entry["ranks"].get(name)
    return Cell(**entry["metrics"][name], rank=rank and tuple(rank), floor=floor)


def check_names(metrics: Sequence[str], known: Iterable[str]) -> None:
    """Raise ReportError with the first metric that is not among the known."""
    known = list(known)
    for name in metrics:
        if name not in known:
            raise ReportError(f"no metric {name!r} here; there are {', '.join(known) or 'none'}")


def _column(
    leaderboard: Leaderboard, entries: Mapping[Any, Record], name: str, task: str
) -> dict[str, Cell]:
    found = {model["name"]: entries.get((model["name"], task)) for model in leaderboard["models"]}
    return {
        model: cell_of(leaderboard, entry, name)
        for model, entry in found.items()
        if entry is not None and name in entry["metrics"]
    }


def _table(leaderboard: Leaderboard, title: str, cells: Mapping[str, Mapping[str, Cell]]) -> Table:
    filled = [name for name, column in cells.items() if column]
    models = [model["name"] for model in leaderboard["models"]]
    rows = [(model, tuple(cells[name].get(model) for name in filled)) for model in models]
    about = heading(leaderboard, title)
    return Table(
        name=title,
        title=about.text,
        caption=about.note,
        headings=tuple(heading(leaderboard, name) for name in filled),
        rows=tuple(row for row in rows if any(cell is not None for cell in row[1])),
    )


def heading(leaderboard: Leaderboard, name: str) -> Heading:
    """Return the head of a metric's or a task's column."""
    metric = leaderboard["metrics"].get(name)
    if metric is not None:
        beside = f"; beside it {adjusted(leaderboard)}" * metric["is_p"]
        return Heading(name, ARROWS[metric["higher_is_better"]], metric["description"] + beside)
    (column,) = (column for column in leaderboard["columns"] if column["id"] == name)
    return Heading(name, "", column["note"])
