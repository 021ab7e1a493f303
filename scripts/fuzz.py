"""Whatever is put in, nothing but an answer or a clear error may come out.

    python scripts/fuzz.py --seconds 60    # for each of the four inputs

Hypothesis makes up answers of a model, samples files and task YAMLs, most of them nearly
right; it stops at the first that raises anything but the errors that are promised, and
shows the smallest it can find.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from vlm_confidence_tasks import benchmarks, cli
from vlm_confidence_tasks.benchmarks import find_answer, parse_answer, parse_certainty, refuses
from vlm_confidence_tasks.perturbations import registry
from vlm_confidence_tasks.types import CLEAN, Inside, Readout, Sample, Variant

LABELS = (("Yes", "No"), ("A", "B", "C", "D"), ())
WORDS = [
    *("Yes", "no", "(A)", " b.", "the answer is", "The best option: ", "85%", "0.5", "-1", "."),
    *("\\boxed{B}", "<answer>A</answer>", "**Answer**: **C**", "A)", "Both A and B", "\n", "\nA\n"),
    *("so", "actually,", "not", "is wrong", "maybe", "I choose", "if", "A or B", "No image was"),
    *(
        "答案是",
        "B",
        "是",
        "不是A",
        "选",
        "Ａ",
        "I cannot answer",
        "certainty",
        "1e-2",
        "\uff05",
        "?",
    ),
]
phrases = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=9).map(" ".join)
answers = phrases | st.text()

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["clean", "Yes", "A", "gaussian_noise", 0, 1, 0.5, -1, 10**400])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "seed", "epsilon", "Yes", "metric", "x"]), inner)
    ),
    max_leaves=6,
)


def check_answer(text: str, labels: tuple[str, ...]) -> None:
    """An answer names one of the labels, where it stands, or none; a certainty is in [0, 1]."""
    found = find_answer(text, labels)
    assert parse_answer(text, labels) == (None if found is None else found.label)
    if found is not None:
        assert found.label in labels and text[found.start : found.end].strip()
    assert refuses(text) in (True, False)
    certainty = parse_certainty(text)
    assert certainty is None or 0 <= certainty <= 1


def row() -> dict[str, Any]:
    """Return a row of a samples file with nothing wrong in it."""
    noise = Variant("gaussian_noise", (("epsilon", 0.3),), family="noise")
    numbers = {
        "entropy": 0.5,
        "token_entropy": (0.5, 0.5),
        "logprob": -0.1,
        "probs": {"Yes": 0.9, "No": 0.1},
        "answer_mass": 0.99,
        "answer_step": 0,
        "entropy_answer": 0.5,
        "confidence": 0.9,
        "margin": 2.0,
        "gold_margin": 2.0,
        "verbal_text": "80%",
        "verbal_confidence": 0.8,
        "option_logprob": {"Yes": -0.1, "No": -2.0},
        "option_logprob_mean": {"Yes": -0.1, "No": -2.0},
    }
    channels = {"context": 0.1, "answer": 0.2, "vision": 0.3}
    spectrum = {"low": 1.0, "mid": 0.1, "high": 0.0}
    probs = {"Yes": 0.5, "No": 0.5}
    rest = (0.4, 3.0, (0.7, 0.2), spectrum)
    inside = (
        Inside({}, {}, channels, rest[0], probs, *rest[1:]),
        Inside(channels, channels, {}, rest[0], None, *rest[1:]),
    )
    readouts = [
        Readout.of(variant, "0" * 64, "Yes", "Yes", True, **numbers, inside=moved)
        for variant, moved in zip((CLEAN, noise), inside, strict=True)
    ]
    clean, noisy = readouts
    labels, names = ("Yes", "No"), ("1", "random")
    sample = Sample("x.png", "Yes", labels, "Yes", clean, (noisy,), 1.0, *names)
    made: dict[str, Any] = json.loads(json.dumps(sample.to_dict()))
    return made


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each part of a JSON value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, part in parts:
        found.append((*path, key))
        if isinstance(part, (dict, list)):
            found += places(part, (*path, key))
    return found


PLACES = places(row())
REMOVED = object()
changes = st.lists(st.tuples(st.sampled_from(PLACES), values | st.just(REMOVED)), max_size=3)


def changed(changes: list[tuple[tuple[Any, ...], Any]]) -> dict[str, Any]:
    """Return the row with some parts replaced or removed."""
    made = copy.deepcopy(row())
    for (*path, last), value in changes:
        holder = made
        with contextlib.suppress(KeyError, IndexError, TypeError):
            for key in path:
                holder = holder[key]
            if value is REMOVED:
                del holder[last]
            else:
                holder[last] = value
    return made


lines = changes.map(changed).map(json.dumps)
torn = st.tuples(lines, st.integers(0, 400)).map(lambda pair: pair[0][: pair[1]])
files = st.lists(lines | lines | torn, max_size=3).map("\n".join).map(str.encode) | st.binary()


def check_samples(data: bytes) -> None:
    """A samples file gives numbers, or one line that names it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "samples.jsonl")
        path.write_bytes(data)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                cli.main(["recompute", "--json", str(path)])
        except SystemExit as end:
            message = str(end.code)
            assert message.startswith(f"vlm-confidence: error: {path}"), message
            assert "\n" not in message, message


names = st.sampled_from(sorted(registry.names()))
specs = st.fixed_dictionaries(
    {"name": names},
    optional={
        "seed": values,
        **{
            key: values | st.sampled_from(["semantic", "white", "black"])
            for key in ("epsilon", "dx", "n", "factor", "degrees", "severity", "content", "fill")
        },
    },
)
yamls = st.fixed_dictionaries(
    {
        "task": st.just("mine") | values,
        "benchmark": st.sampled_from(sorted(benchmarks.BENCHMARKS)) | values,
        "perturbations": st.lists(specs, max_size=3) | values,
    },
    optional={
        **dict.fromkeys(("max_side", "verbal", "loglik", "max_failures", "tag"), values),
        "generation_kwargs": values
        | st.dictionaries(st.sampled_from(["temperature", "num_beams", "max_new_tokens"]), values),
        "metric_list": values
        | st.lists(st.fixed_dictionaries({"metric": st.just("entropy") | values})),
        "lmms_eval_specific_kwargs": values,
        "filter_list": values,
    },
)


def check_yaml(config: Mapping[str, Any]) -> None:
    """A YAML's keys are taken, or refused in one line."""
    from vlm_confidence_tasks.harness.task_config import check_greedy, read_config

    try:
        read_config(config)
        check_greedy(config.get("generation_kwargs"))
    except ValueError as error:
        assert "\n" not in str(error) and str(error), str(error)


TARGETS: dict[str, tuple[Callable[..., None], tuple[st.SearchStrategy[Any], ...]]] = {
    "answers": (check_answer, (answers, st.sampled_from(LABELS))),
    "samples": (check_samples, (files,)),
    "yaml": (check_yaml, (yamls,)),
}


def fuzz(name: str, seconds: float, examples: int = 200) -> int:
    """Try a target for some time; return how many inputs it was given.

    Raises:
        Exception: What the target raised on the smallest input that was found.
    """
    check, strategies = TARGETS[name]
    tried = 0

    def counting(drawn: tuple[Any, ...]) -> None:
        nonlocal tried
        tried += 1
        check(*drawn)

    options = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    end = time.monotonic() + seconds
    for number in count():
        seed(number)(options(given(st.tuples(*strategies))(counting)))()
        if time.monotonic() > end:
            return tried
    raise AssertionError("never gets here")


def main() -> None:
    """Fuzz every target."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--only", choices=TARGETS, help="one target alone")
    options = parser.parse_args()
    for name in [options.only] if options.only else TARGETS:
        print(f"{name}: {fuzz(name, options.seconds):,} inputs, nothing found", flush=True)


if __name__ == "__main__":
    main()
