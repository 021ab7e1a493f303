"""Benchmarks: a document becomes a `Question`. A file a benchmark, a row here."""

from vlm_confidence_tasks.benchmarks.amber import AMBER
from vlm_confidence_tasks.benchmarks.answer_parsing import find_answer, parse_answer
from vlm_confidence_tasks.benchmarks.answer_words import NamedLabel
from vlm_confidence_tasks.benchmarks.base import TRAITS, Benchmark, DocumentError
from vlm_confidence_tasks.benchmarks.caption import CAPTION
from vlm_confidence_tasks.benchmarks.choices import option_texts
from vlm_confidence_tasks.benchmarks.mmmu import MMMU
from vlm_confidence_tasks.benchmarks.pope import POPE
from vlm_confidence_tasks.benchmarks.refusals import refuses
from vlm_confidence_tasks.benchmarks.seed import SEED
from vlm_confidence_tasks.benchmarks.verbal import PROMPTS, parse_certainty, second_turn

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "DocumentError",
    "NamedLabel",
    "PROMPTS",
    "TRAITS",
    "find_answer",
    "get",
    "option_texts",
    "parse_answer",
    "parse_certainty",
    "refuses",
    "second_turn",
]

BENCHMARKS = {benchmark.name: benchmark for benchmark in (POPE, *AMBER, SEED, MMMU, CAPTION)}


def get(name: str) -> Benchmark:
    """Return the benchmark called `name`.

    Raises:
        ValueError: There is none; the message lists those there are.
    """
    if name not in BENCHMARKS:
        raise ValueError(f"unknown benchmark {name!r}; known: {', '.join(sorted(BENCHMARKS))}")
    return BENCHMARKS[name]
