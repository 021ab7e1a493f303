"""The model families under test, and the arguments of lmms-eval's adapters for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import llava, others, qwen

CPU = "pretrained={path},device=cpu,device_map=cpu"
# The Qwen adapters' defaults would blow the sandbox's images up to 256 tokens.
FEW_PIXELS = CPU + ",min_pixels=784,max_pixels=12544"


@dataclass(frozen=True)
class Family:
    """A family of models and the stock adapter that runs it.

    Attributes:
        make: Writes a checkpoint into a folder, given a seed.
        model: lmms-eval's `--model`.
        tokenizer: Kind of the vocabulary.
        model_args: lmms-eval's `--model_args`, with `{path}` for the checkpoint.
        chat: Whether the adapter has a chat class; without one the simple class runs.
        simple: Whether it has a simple class (`--force_simple`).
        batch_sizes: Batch sizes that the adapter runs.
        float32: Whether the adapter keeps the checkpoint's float32 (else it is bfloat16).
    """

    make: Callable[[Path, int], None]
    model: str
    tokenizer: str
    model_args: str = CPU
    chat: bool = True
    simple: bool = True
    batch_sizes: tuple[int, ...] = (1,)
    float32: bool = False

    def arguments(self, path: Path) -> str:
        """Return `--model_args` for a checkpoint."""
        return self.model_args.format(path=path)


FAMILIES = {
    "llava": Family(llava.llava, "llava_hf", "sentencepiece", float32=True),
    "llava_next": Family(llava.llava_next, "llava_hf", "sentencepiece", float32=True),
    "llava_onevision": Family(llava.llava_onevision, "llava_hf", "byte_level", float32=True),
    "qwen2_vl": Family(
        qwen.qwen2_vl,
        "qwen2_vl",
        "byte_level",
        FEW_PIXELS,
        chat=False,
        batch_sizes=(1, 4),
        float32=True,
    ),
    "qwen2_5_vl": Family(
        qwen.qwen2_5_vl, "qwen2_5_vl", "byte_level", FEW_PIXELS, batch_sizes=(1, 4)
    ),
    "qwen3_vl": Family(
        qwen.qwen3_vl, "qwen3_vl", "byte_level", FEW_PIXELS, simple=False, batch_sizes=(1, 4)
    ),
    "internvl": Family(others.internvl, "internvl_hf", "tiktoken", simple=False),
    "idefics2": Family(
        others.idefics2,
        "idefics2",
        "sentencepiece",
        CPU + ",dtype=float32",
        chat=False,
        batch_sizes=(1, 4),
        float32=True,
    ),
    "idefics3": Family(
        others.idefics3,
        "lfm2_5_vl",
        "tiktoken",
        "pretrained={path},device=cpu",
        simple=False,
        batch_sizes=(1, 4),
    ),
    "instructblip": Family(
        others.instructblip,
        "instructblip",
        "sentencepiece",
        "pretrained={path},device=cpu",
        chat=False,
        float32=True,
    ),
    "gemma3": Family(others.gemma3, "gemma3", "sentencepiece", chat=False, batch_sizes=(1, 4)),
    "mllama": Family(others.mllama, "llama_vision", "tiktoken", chat=False),
}

# What was tried and does not run on a CPU (lmms-eval 0.7.3, transformers 5.23), and why.
CANNOT = {
    "any family on `huggingface`": "the adapter loads AutoModel, which has no generate() (the "
    "checkpoint's lm_head is left out), and then passes `audios`, which processors refuse: "
    "ValueError: You passed keyword argument `audios` which is deprecated",
    "any family on `async_hf_model`": "passes `audios`, as `huggingface` does: the same ValueError",
    "llava_onevision on `llava_onevision`": "the adapter needs the original LLaVA package, which "
    "is on no package index: NameError: name 'get_model_name_from_path' is not defined; "
    "`llava_hf` runs this family",
    "qwen3_vl with --force_simple": "the simple class prepares the next batch in a thread while "
    "the model runs, so that look-ups and rows cannot be matched: ProbeError: generate() runs 1 "
    "rows, but 2 documents were looked up; the chat class runs",
    "mistral3 on `mistral3_vl`": "asks the data set for its length before each document, which "
    "the view of the perturbed documents does not have: TypeError: object of type 'View' has no "
    "len()",
    "smolvlm": "has no adapter of its own, and its processor needs a package that nothing "
    "installs: ImportError: Package `num2words` is required to run SmolVLM processor; with it, "
    "`lfm2_5_vl` runs this family, as it runs Idefics3",
    "blip2": "lmms-eval has no adapter for it; InstructBLIP, its successor, runs",
}


def build(family: str, folder: Path, *, seed: int = 0) -> Path:
    """Write a random checkpoint of a family into `folder` and return it.

    Raises:
        KeyError: The family is not in `FAMILIES`.
    """
    FAMILIES[family].make(folder, seed)
    return folder
