"""Whatever is put in, nothing but an answer or a clear error may come out.

    python scripts/fuzz.py --minutes 60                  # all targets, the time shared equally
    python scripts/fuzz.py --minutes 5 --target results  # one of them

Hypothesis makes up the inputs of each target, most of them nearly right. One that raises
anything but the errors that are promised is shown as small as it can be made, and ends its
target; the others go on. A new target is a file in `fuzz_targets`, and its name in `TARGETS`.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from itertools import count
from types import ModuleType
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from fuzz_targets import cells, results, samples, served, texts, yamls

TARGETS: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (texts, served, cells, samples, results, yamls)
}


def fuzz(name: str, seconds: float, examples: int = 200) -> int:
    """Try a target for some time; return how many inputs it was given.

    Raises:
        Exception: What the target raised on the smallest input that was found.
    """
    target = TARGETS[name]
    tried = 0

    def counting(drawn: tuple[Any, ...]) -> None:
        nonlocal tried
        tried += 1
        target.check(*drawn)

    options = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    end = time.monotonic() + seconds
    for number in count():
        seed(number)(options(given(st.tuples(*target.INPUTS))(counting)))()
        if time.monotonic() > end:
            return tried
    raise AssertionError("never gets here")


def main(arguments: list[str] | None = None) -> int:
    """Fuzz the targets; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=4, help="for all targets together")
    parser.add_argument("--target", choices=TARGETS, help="one of them alone")
    options = parser.parse_args(arguments)
    names = [options.target] if options.target else list(TARGETS)
    code = 0
    for name in names:
        try:
            tried = fuzz(name, 60 * options.minutes / len(names))
        except Exception:
            code = 1
            print(f"{name}: found\n{traceback.format_exc()}", flush=True)
        else:
            print(f"{name}: {tried:,} inputs, nothing found", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
