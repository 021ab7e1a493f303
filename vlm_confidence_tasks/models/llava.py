"""LLaVA checkpoints in the Hugging Face format, on lmms-eval's own adapter."""

from __future__ import annotations

import logging
from typing import Any

import torch
from accelerate import Accelerator
from lmms_eval.models.chat.llava_hf import LlavaHf as LlavaHfChat
from lmms_eval.models.simple.llava_hf import LlavaHf as LlavaHfSimple
from transformers import AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig

from vlm_confidence_tasks.models.batching import generate_in_batches
from vlm_confidence_tasks.probe import replaced
from vlm_confidence_tasks.sandbox import MODEL_DIR

CONVERTED = {
    "liuhaotian/llava-v1.5-7b": "llava-hf/llava-1.5-7b-hf",
    "liuhaotian/llava-v1.5-13b": "llava-hf/llava-1.5-13b-hf",
    "liuhaotian/llava-v1.6-mistral-7b": "llava-hf/llava-v1.6-mistral-7b-hf",
    "liuhaotian/llava-v1.6-vicuna-7b": "llava-hf/llava-v1.6-vicuna-7b-hf",
    "liuhaotian/llava-v1.6-vicuna-13b": "llava-hf/llava-v1.6-vicuna-13b-hf",
    "liuhaotian/llava-v1.6-34b": "llava-hf/llava-v1.6-34b-hf",
}
_LOGGED: set[str] = set()


class LlavaSimple(LlavaHfSimple):
    """lmms-eval's `llava_hf` with support for CPU, quantisation and errors that end a run.

    Usage:
        lmms_eval --model llava --model_args pretrained=llava-hf/llava-1.5-7b-hf,load_in_4bit=True
    """

    def __init__(
        self,
        pretrained: str = "llava-hf/llava-1.5-7b-hf",
        revision: str = "main",
        device: str | None = None,
        dtype: str = "auto",
        batch_size: int | str = 1,
        load_in_4bit: bool = False,
        load_in_8bit: bool = False,
        attn_implementation: str | None = None,
        device_map: str | None = None,
        chat_template: str | None = None,
        use_cache: bool = True,
        trust_remote_code: bool = False,
        **unknown: Any,
    ) -> None:
        """Load the model and its processor.

        Args:
            pretrained: Hub id or folder.
            revision: Of the hub's repository.
            device: Default: the GPU of this process, or the CPU where there is none.
            dtype: "auto" is the checkpoint's dtype on a GPU and float32 on a CPU.
            batch_size: Requests in one generate(); more than 1 needs the chat adapter.
            load_in_4bit: Quantise with bitsandbytes.
            load_in_8bit: Quantise with bitsandbytes.
            attn_implementation: As in transformers.
            device_map: As in accelerate; "auto" spreads the model over all GPUs.
            chat_template: Replaces the checkpoint's own.
            use_cache: Use a key-value cache in generation.
            trust_remote_code: Run code of the checkpoint's repository.
            unknown: Refused.

        Raises:
            ValueError: An argument is unknown or invalid.
        """
        super(LlavaHfSimple, self).__init__()
        _check(pretrained, load_in_4bit and load_in_8bit, unknown)
        self.accelerator = Accelerator()
        self._rank = self.accelerator.process_index
        self._world_size = self.accelerator.num_processes
        self._device = torch.device(device) if device else self.accelerator.device
        self.device_map = device_map or str(self._device)
        self._model = AutoModelForImageTextToText.from_pretrained(
            pretrained,
            revision=revision,
            dtype=_dtype(dtype, self._device),
            device_map=self.device_map,
            quantization_config=_quantisation(load_in_4bit, load_in_8bit),
            attn_implementation=attn_implementation,
            trust_remote_code=trust_remote_code,
        ).eval()
        self._config = self._model.config
        self._image_processor = AutoProcessor.from_pretrained(
            pretrained, revision=revision, trust_remote_code=trust_remote_code
        )
        self._image_processor.tokenizer.padding_side = "left"
        self._tokenizer = self._image_processor.tokenizer
        self.pretrained = pretrained
        self.batch_size_per_gpu = _batch_size(batch_size, self.is_simple)
        self.max_frames_num = 32
        self.chat_template = chat_template
        if chat_template is not None:
            self._image_processor.chat_template = chat_template
        self.use_cache = use_cache

    @property
    def processor(self) -> Any:
        """The model's processor, which the base class calls image processor."""
        return self._image_processor

    def generate_until(self, requests: list[Any]) -> list[Any]:
        """Answer requests and raise failures, which the base class returns as ""."""
        generate = self.model.generate
        failures: list[Exception] = []

        def raising(*args: Any, **kwargs: Any) -> Any:
            if failures:
                raise failures[0]
            try:
                return generate(*args, **kwargs)
            except Exception as error:
                failures.append(error)
                raise

        answers: list[Any]
        with replaced(self.model, "generate", raising):
            if self.batch_size_per_gpu > 1:
                answers = generate_in_batches(self, requests, self.batch_size_per_gpu)
            else:
                answers = super().generate_until(requests)
        if failures:
            raise failures[0]
        return answers


class Llava(LlavaSimple, LlavaHfChat):
    """The same on the harness's chat adapter."""

    is_simple = False


class TinyLlavaSimple(LlavaSimple):
    """The embedded model: three million parameters, trained on images of coloured shapes."""

    def __init__(self, pretrained: str = str(MODEL_DIR), **options: Any) -> None:
        """Load the model that ships with the package, or another in `pretrained`."""
        super().__init__(pretrained, **options)


class TinyLlava(TinyLlavaSimple, Llava):
    """The same on the harness's chat adapter."""

    is_simple = False


def _quantisation(four_bit: bool, eight_bit: bool) -> BitsAndBytesConfig | None:
    if not (four_bit or eight_bit):
        return None
    # For float32 models bitsandbytes logs a message about float16 in every layer of every pass.
    logging.getLogger("bitsandbytes.autograd._functions").addFilter(_first_time)
    return BitsAndBytesConfig(load_in_4bit=four_bit, load_in_8bit=eight_bit)


def _first_time(record: logging.LogRecord) -> bool:
    """Whether a message has not been logged in this process before."""
    message = record.getMessage()
    new = message not in _LOGGED
    _LOGGED.add(message)
    return new


def _check(pretrained: str, both: bool, unknown: dict[str, Any]) -> None:
    # The harness passes this argument to every model.
    unknown = {name: value for name, value in unknown.items() if name != "max_batch_size"}
    if unknown:
        raise ValueError(f"llava has no model argument {', '.join(map(repr, sorted(unknown)))}")
    if both:
        raise ValueError("give load_in_4bit or load_in_8bit, not both")
    if pretrained.startswith("liuhaotian/"):
        converted = CONVERTED.get(pretrained, "one of " + ", ".join(sorted(CONVERTED.values())))
        raise ValueError(
            f"{pretrained} is in the original LLaVA format, which needs the llava package: "
            f"install that, or use the converted checkpoint pretrained={converted}"
        )


def _batch_size(given: int | str, simple: bool) -> int:
    size = int(given) if str(given).isdecimal() else 0
    if size < 1:
        raise ValueError(f"batch_size is {given!r}, expected a whole number of 1 or more")
    if simple and size > 1:
        raise ValueError("llava with --force_simple runs with --batch_size 1")
    return size


def _dtype(name: str, device: torch.device) -> Any:
    """Return the dtype to load in; float32 on CPUs, where float16 is slow."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"dtype is {name!r}, expected auto, float32, float16 or bfloat16")
    return dtype
