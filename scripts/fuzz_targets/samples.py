"""Samples files: `recompute` gives numbers, or one line that names the file."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzz_targets.made_up import REMOVED, changed, places, values
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.types import CLEAN, Inside, Readout, Sample, Variant


def row(number: int = 1) -> dict[str, Any]:
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
    labels, names = ("Yes", "No"), (str(number), "random")
    sample = Sample("x.png", "Yes", labels, "Yes", clean, (noisy,), 1.0, *names)
    made: dict[str, Any] = json.loads(json.dumps(sample.to_dict()))
    return made


PLACES = places(row())
changes = st.lists(st.tuples(st.sampled_from(PLACES), values | st.just(REMOVED)), max_size=3)
# Two of the same question are refused before anything else is looked at.
lines = st.tuples(st.integers(1, 99), changes).map(lambda d: json.dumps(changed(row(d[0]), d[1])))
torn = st.tuples(lines, st.integers(0, 400)).map(lambda pair: pair[0][: pair[1]])
INPUTS = (st.lists(lines | lines | torn, max_size=3).map("\n".join).map(str.encode) | st.binary(),)


def check(data: bytes) -> None:
    """A samples file gives numbers, or one line that names it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "samples.jsonl")
        path.write_bytes(data)
        try:
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                cli.main(["recompute", "--json", str(path)])
        except SystemExit as end:
            message = str(end.code)
            assert message.startswith(f"vlm-confidence: error: {path}"), message
            assert "\n" not in message, message
