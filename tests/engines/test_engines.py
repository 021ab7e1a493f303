"""A real vLLM, in the process and as a server, against transformers: the same model, the same data.

It runs in an environment of its own, without the other tests' conftest: `make test-engines`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from vlm_confidence_tasks.sandbox import MODEL_DIR

pytest.importorskip("vllm")

BIN = Path(sys.executable).parent
TASK = "pope_eps0.3"
LIMIT = 24
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENAI_API_KEY": "none",
    "VLM_CONFIDENCE_DATA": "sandbox",
}
os.environ.update(ENVIRONMENT)
# The model as transformers runs it, and vLLM as the tiny model needs it on a CPU.
ENGINE = {
    "dtype": "float32",
    "max_model_len": 512,
    "max_logprobs": -1,
    "enforce_eager": True,
    "block_size": 32,
    "max_num_seqs": 8,
}
SAME = 1e-5
# Generated tokens at most; the vLLM adapters take the larger of the task's and their own.
TOKENS = 16

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with the vision tower's tensors named as vLLM looks for them."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    shutil.copytree(MODEL_DIR, folder)
    tensors = load_file(folder / "model.safetensors")
    renamed = {
        name.replace("vision_tower.", "vision_tower.vision_model."): tensor
        for name, tensor in tensors.items()
    }
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def evaluate(folder: Path, name: str, model: str, arguments: dict[str, Any], **more: str) -> Rows:
    """Run lmms_eval as its users do; return the readouts of each document."""
    command = [str(BIN / "lmms_eval"), "--model", model, "--tasks", TASK, "--limit", str(LIMIT)]
    command += ["--output_path", name, "--log_samples", "--batch_size", "8"]
    command += ["--gen_kwargs", f"max_new_tokens={TOKENS}"]
    if arguments:
        given = ",".join(f"{key}={value}" for key, value in arguments.items())
        command += ["--model_args", given]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | more, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (file,) = (folder / name).rglob(f"*_samples_{TASK}.jsonl")
    records = map(json.loads, file.read_text().splitlines())
    return {record["question_id"]: record["readouts"] for record in records}


@pytest.fixture(scope="session")
def transformers_run(folder: Path) -> Rows:
    return evaluate(folder, "transformers", "tiny_llava", {})


@pytest.fixture(scope="session")
def vllm_run(folder: Path, checkpoint: Path) -> Rows:
    """`--model vllm`, which returns the whole vocabulary."""
    arguments = {"model": checkpoint, "max_new_tokens": TOKENS, "trust_remote_code": False}
    return evaluate(folder, "vllm", "vllm", arguments | ENGINE)


@pytest.fixture(scope="session")
def server(checkpoint: Path, folder: Path) -> Iterator[str]:
    """`vllm serve`: an OpenAI-compatible server; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What `vllm serve` runs; the command itself does not start from the CPU's distribution.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(checkpoint), "--served-model-name", "tiny"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"]
    command += ["--max-model-len", "512", "--max-logprobs", "-1", "--enforce-eager"]
    command += ["--block-size", "32", "--max-num-seqs", "8"]
    log = (folder / "serve.log").open("w")
    process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(600):
            assert process.poll() is None, (folder / "serve.log").read_text()[-3000:]
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5)
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(1)
        yield f"{address}/v1"
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="session")
def served(server: str, folder: Path) -> Callable[[str], Rows]:
    """Runs of `--model openai` on the server, by how many tokens are asked for."""

    def run(k: str) -> Rows:
        arguments = {"model_version": "tiny", "base_url": server, "num_concurrent": 8}
        asked = {"VLM_CONFIDENCE_TOP_LOGPROBS": k}
        return evaluate(folder, f"openai-{k}", "openai", arguments, **asked)

    return run


def pairs(one: Rows, other: Rows) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    assert one.keys() == other.keys() and len(one) == LIMIT
    for question in one:
        yield from zip(one[question], other[question], strict=True)


def check(exact: Rows, other: Rows, k: int | None, vocabulary_known: bool) -> None:
    """Hold an engine's readouts against those of transformers."""
    settled = 0
    for true, found in pairs(exact, other):
        for name in ("text", "answer", "image_sha256", "answer_step", "position_unknown"):
            assert found[name] == true[name]
        if k is None:
            assert found["entropy"] == pytest.approx(true["entropy"], abs=SAME)
            assert found["token_entropy"] == pytest.approx(true["token_entropy"], abs=SAME)
            assert found["probs"] is not None
        else:
            assert found["entropy_low"] <= true["entropy"] + SAME
            assert (found["entropy_high"] is not None) == vocabulary_known
            if vocabulary_known:
                assert true["entropy"] <= found["entropy_high"] + SAME
                near = found["entropy_high"] - found["entropy_low"] < 1e-3
                assert (found["entropy"] is not None) == near
            else:
                assert found["entropy"] is None
        assert found["logprob"] == pytest.approx(true["logprob"], abs=SAME)
        settled += found["probs"] is not None
        if found["probs"] is not None:
            # Other spellings of a label, outside the k likeliest, may hold up to 0.001.
            near = SAME if k is None else 2e-3
            assert found["probs"] == pytest.approx(true["probs"], abs=near)
            assert found["confidence"] == pytest.approx(true["confidence"], abs=near)
    assert settled, "no label probabilities were compared"


def test_vllm_gives_what_transformers_gives(transformers_run: Rows, vllm_run: Rows) -> None:
    check(transformers_run, vllm_run, None, vocabulary_known=True)


def test_vllm_serve_gives_what_transformers_gives(
    transformers_run: Rows, served: Callable[[str], Rows]
) -> None:
    check(transformers_run, served("all"), None, vocabulary_known=True)


@pytest.mark.parametrize("k", [5, 20])
def test_bounds_of_a_server_hold(
    transformers_run: Rows, served: Callable[[str], Rows], k: int
) -> None:
    check(transformers_run, served(str(k)), k, vocabulary_known=False)


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="session")
def in_process(checkpoint: Path) -> Any:
    """The harness's own vLLM adapter, in this process, with room for few prompts."""
    from lmms_eval.models import get_model

    return get_model("vllm")(
        model=str(checkpoint),
        batch_size=4,
        max_new_tokens=TOKENS,
        trust_remote_code=False,
        num_gpu_blocks_override=20,
        **ENGINE,
    )


@pytest.mark.parametrize("k", [5, 20])
def test_bounds_of_vllm_hold(transformers_run: Rows, in_process: Any, k: int) -> None:
    from lmms_eval import evaluator

    with environment(VLM_CONFIDENCE_TOP_LOGPROBS=str(k)):
        found = evaluator.simple_evaluate(
            in_process,
            tasks=[TASK],
            limit=LIMIT,
            log_samples=True,
            bootstrap_iters=0,
            gen_kwargs=f"max_new_tokens={TOKENS}",
        )
    rows = found["samples"][TASK]
    # The command takes the space before an answer away, with a model's thinking.
    readouts = {
        row["question_id"]: [at | {"text": at["text"].strip()} for at in row["readouts"]]
        for row in rows
    }
    check(transformers_run, readouts, k, vocabulary_known=True)
