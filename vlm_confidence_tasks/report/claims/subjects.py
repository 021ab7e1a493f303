"""What claims are about: models, families of sizes, a model before and after training."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlm_confidence_tasks.report.inputs.problems import ReportError

_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}
_NUMBER = r"([0-9]+(?:\.[0-9]+)?)([kmb])"
# "4bit" is no size, and "A3B" is of the active experts.
_SIZE = re.compile(rf"(?<![a-z0-9.]){_NUMBER}(?![a-z0-9])", re.I)


@dataclass(frozen=True)
class Subject:
    """One or several models that a claim is held against.

    Attributes:
        name: What tables call it.
        parameters: How many parameters each has; None where that does not matter.
    """

    name: str
    models: tuple[str, ...]
    parameters: tuple[float, ...] | None = None

    @property
    def sizes(self) -> int:
        """How many sizes the models have.

        Trainings of one size may differ by some parameters, as by those of words that only one of
        their tokenizers has: models within a tenth of a size's smallest one are of that size.

        >>> Subject("a, b, c", ("a", "b", "c"), (235296.0, 235424.0, 788544.0)).sizes
        2
        """
        count, smallest = 0, 0.0
        for parameters in sorted(self.parameters or ()):
            if parameters > 1.1 * smallest:
                count, smallest = count + 1, parameters
        return count


def size_in(name: str) -> float | None:
    """Read the number of parameters from a model's name, None without one.

    >>> size_in("llava-hf/llava-1.5-7b-hf"), size_in("tiny-0.8M"), size_in("m (load_in_4bit=True)")
    (7000000000.0, 800000.0, None)
    """
    found = _SIZE.search(name)
    return float(found[1]) * _UNITS[found[2].lower()] if found else None


def read_sizes(options: Sequence[str]) -> dict[str, float]:
    """Read `NAME=PARAMS` pairs, as `--sizes` takes them, or raise ReportError.

    >>> read_sizes(["a/b=7B", "x=12000"])
    {'a/b': 7000000000.0, 'x': 12000.0}
    """
    sizes = {}
    for option in options:
        name, _, text = option.rpartition("=")
        found = re.fullmatch(f"{_NUMBER}?", text, re.I)
        size = float(found[1]) * _UNITS[(found[2] or "").lower()] if found else 0.0
        if not name or not 0 < size < math.inf:
            raise ReportError(
                f"--sizes {option}: expected NAME=PARAMS, such as my-model=7B or my-model=800000"
            )
        if name in sizes:
            raise ReportError(f"--sizes: {name} is given twice")
        sizes[name] = size
    return sizes


def families(models: Sequence[str], given: Sequence[Mapping[str, float]]) -> list[Subject]:
    """Return the families of several sizes: those given, then those that names tell.

    Two models are of one family if their names are the same but for the size.

    >>> [f.name for f in families(["a-7b", "a-13b", "b-7b", "c"], [{"c": 1.0, "b-7b": 7e9}])]
    ['c, b-7b', 'a-7b, a-13b']
    """
    found = [_family(sizes) for sizes in given]
    taken: set[str] = set()
    for sizes in given:
        if twice := taken.intersection(sizes):
            raise ReportError(f"--sizes: {min(twice)} is in two families")
        taken.update(sizes)
    by_name: dict[str, dict[str, float]] = defaultdict(dict)
    for name in models:
        size = size_in(name)
        if size is not None and name not in taken:
            by_name[_SIZE.sub("*", name, count=1)][name] = size
    found += [_family(sizes) for _, sizes in sorted(by_name.items()) if len(sizes) > 1]
    return found


def _family(sizes: Mapping[str, float]) -> Subject:
    ordered = sorted(sizes, key=lambda name: (sizes[name], name))
    return Subject(", ".join(ordered), tuple(ordered), tuple(sizes[name] for name in ordered))


def check_known(named: Sequence[str], models: Sequence[str]) -> None:
    """Raise ReportError with the first name of a model that no run is of."""
    for name in named:
        if name not in models:
            raise ReportError(
                f"--sizes, --before, --after: no model {name!r} here; there are "
                f"{', '.join(models) or 'none'}"
            )
