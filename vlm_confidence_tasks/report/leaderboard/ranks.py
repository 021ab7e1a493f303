"""Intervals of the ranks of a column's models, by each metric that is ranked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from vlm_confidence_tasks.metrics.inference.ranks import Rank, rank_intervals
from vlm_confidence_tasks.report.inputs.known_metrics import known_metrics
from vlm_confidence_tasks.report.leaderboard.selection import Setting, Summarised
from vlm_confidence_tasks.report.leaderboard.summary import Summary

Ranks = dict[str, Rank]


def ranks(summarised: Sequence[Summarised]) -> list[Ranks]:
    """Return of each run its ranks by metric, among the runs of its column.

    A metric is absent where fewer than two runs have the number, or none an interval of it.
    """
    columns: dict[tuple[str, Setting], list[int]] = defaultdict(list)
    for n, (run, summary) in enumerate(summarised):
        columns[run.task, Setting.of(run, summary)].append(n)
    found: list[Ranks] = [{} for _ in summarised]
    for members in columns.values():
        for n, own in zip(members, _of_column([summarised[n][1] for n in members]), strict=True):
            found[n].update(own)
    return found


def _of_column(column: Sequence[Summary]) -> list[Ranks]:
    known = known_metrics({family for summary in column for family in summary.families})
    ranked = {name: None for summary in column for name in summary.standings}
    found: list[Ranks] = [{} for _ in column]
    for name in ranked:
        members = [n for n, summary in enumerate(column) if name in summary.numbers]
        standings = [column[n].standings.get(name) for n in members]
        if len(members) > 1:
            own = rank_intervals(standings, bool(known[name].higher_is_better))
            for n, rank in zip(members, own, strict=True):
                found[n][name] = rank
    return found
