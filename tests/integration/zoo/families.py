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
        model_args: lmms-eval's `--model_args`, with `{path}` for the checkpoint.
        chat: Whether the adapter has a chat class; without one the simple class runs.
        simple: Whether it has a simple class (`--force_simple`).
        batch_sizes: Batch sizes that the adapter runs.
        float32: Whether the adapter keeps the checkpoint's float32 (else it is bfloat16).
    """

    make: Callable[[Path, int], None]
    model: str
    model_args: str = CPU
    chat: bool = True
    simple: bool = True
    batch_sizes: tuple[int, ...] = (1,)
    float32: bool = False

    def arguments(self, path: Path) -> str:
        """Return `--model_args` for a checkpoint."""
        return self.model_args.format(path=path)


FAMILIES = {
    "llava": Family(llava.llava, "llava_hf", float32=True),
    "llava_next": Family(llava.llava_next, "llava_hf", float32=True),
    "llava_onevision": Family(llava.llava_onevision, "llava_hf", float32=True),
    "qwen2_vl": Family(
        qwen.qwen2_vl,
        "qwen2_vl",
        FEW_PIXELS,
        chat=False,
        batch_sizes=(1, 4),
        float32=True,
    ),
    "qwen2_5_vl": Family(qwen.qwen2_5_vl, "qwen2_5_vl", FEW_PIXELS, batch_sizes=(1, 4)),
    "qwen3_vl": Family(qwen.qwen3_vl, "qwen3_vl", FEW_PIXELS, simple=False, batch_sizes=(1, 4)),
    "internvl": Family(others.internvl, "internvl_hf", simple=False),
    "idefics2": Family(
        others.idefics2,
        "idefics2",
        CPU + ",dtype=float32",
        chat=False,
        batch_sizes=(1, 4),
        float32=True,
    ),
    "idefics3": Family(
        others.idefics3,
        "lfm2_5_vl",
        "pretrained={path},device=cpu",
        simple=False,
        batch_sizes=(1, 4),
    ),
    "instructblip": Family(
        others.instructblip,
        "instructblip",
        "pretrained={path},device=cpu",
        chat=False,
        float32=True,
    ),
    "gemma3": Family(others.gemma3, "gemma3", chat=False, batch_sizes=(1, 4)),
    "mllama": Family(others.mllama, "llama_vision", chat=False),
}


def build(family: str, folder: Path, *, seed: int = 0) -> Path:
    """Write a random checkpoint of a family into `folder` and return it.

    Raises:
        KeyError: The family is not in `FAMILIES`.
    """
    FAMILIES[family].make(folder, seed)
    return folder
