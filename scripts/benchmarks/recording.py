"""What recording one step of a batch costs: float64 in portions against float32 at once.

    python scripts/benchmarks/recording.py                     # 152,000 tokens, 16 rows, float32
    python scripts/benchmarks/recording.py --rows 64 --vocabulary 262144 --dtype bfloat16
    python scripts/benchmarks/recording.py --vocabularies      # seconds to find the labels' tokens

Each way runs in turn on the same logits. The last line has the ratio of processor time and the
largest errors of an entropy in nats (float64, float32). `--vocabularies` takes the tokenizers of
the tests.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmark_parts import in_turn
from vlm_confidence_tasks.probe import label_tokens, measure_step

LABEL_TOKENS = 50


def in_float32(logits: torch.Tensor, chosen: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Measure a step as it was before: all rows at once, in single precision."""
    logprob = torch.log_softmax(logits.float(), dim=-1)
    entropy = torch.special.entr(logprob.exp()).sum(dim=-1, keepdim=True)
    wanted = torch.cat([chosen[:, None], labels], dim=1)
    return torch.cat([entropy, logprob.gather(1, wanted)], dim=1)


WAYS: dict[str, Callable[..., torch.Tensor]] = {"float64": measure_step, "float32": in_float32}


def step(given: argparse.Namespace) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Make the logits of one step, the tokens that were chosen, and those of the labels."""
    draw = torch.Generator().manual_seed(0)
    size = given.rows, given.vocabulary
    logits = (torch.randn(size, generator=draw) * 3).to(getattr(torch, given.dtype))
    labels = torch.randint(given.vocabulary, (given.rows, LABEL_TOKENS), generator=draw)
    return logits, logits.argmax(dim=-1), labels


def compare(given: argparse.Namespace) -> None:
    """Print the ratio of times, and the errors."""
    parts = step(given)
    exact = torch.special.entr(torch.softmax(parts[0].double(), dim=-1)).sum(dim=-1)

    def seconds(way: Callable[..., torch.Tensor]) -> float:
        begun = time.process_time()
        way(*parts)
        return time.process_time() - begun

    found = in_turn({name: lambda _, w=way: seconds(w) for name, way in WAYS.items()}, 9)
    each = {name: statistics.median(took) for name, took in found.items()}
    errors = [float((way(*parts)[:, 0].double() - exact).abs().max()) for way in WAYS.values()]
    for name, took in each.items():
        print(f"{name}: {took * 1e3:.2f} ms of processor a step")
    print("ratio, errors:")
    print(*(f"{number:.3g}" for number in (each["float64"] / each["float32"], *errors)))


def vocabularies() -> None:
    """Print how long the labels' tokens of each real vocabulary take to find, the first time."""
    sys.path.append(str(Path(__file__).parents[2] / "tests"))
    from real_vocabularies import FAMILIES, load

    for family in FAMILIES:
        tokenizer = load(family)
        took = []
        for labels in (("Yes", "No"), tuple("ABCD")):
            begun = time.process_time()
            label_tokens(tokenizer, labels)
            took.append(f"{time.process_time() - begun:.2f}")
        print(f"{family}, {len(tokenizer)} tokens: {took[0]} s, other labels {took[1]} s")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--vocabulary", type=int, default=152_000)
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--vocabularies", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.vocabularies:
        vocabularies()
    else:
        compare(given)


if __name__ == "__main__":
    main()
