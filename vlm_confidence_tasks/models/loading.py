"""The arguments of a model and of generation, dtype and quantisation."""

import logging
from typing import Any

import torch
from transformers import AutoConfig, BitsAndBytesConfig

_LOGGED: set[str] = set()
# The generation arguments that are read; `image_aspect_ratio` is of tasks that LLaVA's own adapter
# answers too.
GENERATION = frozenset(
    (
        *("max_new_tokens", "temperature", "do_sample", "top_p", "top_k", "num_beams"),
        *("num_return_sequences", "until", "image_aspect_ratio"),
    )
)


def dtype_named(name: str, device: torch.device) -> Any:
    """Return the dtype to load in, or raise ValueError; float32 on CPUs, where float16 is slow."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"dtype is {name!r}, expected auto, float32, float16 or bfloat16")
    return dtype


def quantisation(
    four_bit: bool, eight_bit: bool, dtype: Any, pretrained: str, **options: Any
) -> BitsAndBytesConfig | None:
    """Return how bitsandbytes quantises, None if it does not.

    With 4 bits products are computed in the model's dtype; where that is "auto", the configuration
    of `pretrained`, loaded with the options, says which it is.
    """
    if not (four_bit or eight_bit):
        return None
    # For float32 models bitsandbytes logs a message about float16 in every layer of every pass.
    logging.getLogger("bitsandbytes.autograd._functions").addFilter(_first_time)
    if eight_bit:
        return BitsAndBytesConfig(load_in_8bit=True)
    if dtype == "auto":
        config = AutoConfig.from_pretrained(pretrained, **options)
        dtype = config.dtype or config.get_text_config().dtype or torch.float32
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=dtype)


def _first_time(record: logging.LogRecord) -> bool:
    """Whether a message has not been logged in this process before."""
    message = record.getMessage()
    new = message not in _LOGGED
    _LOGGED.add(message)
    return new


def check(pretrained: str, both: bool, unknown: dict[str, Any]) -> None:
    """Raise ValueError if there is no model, an unknown argument, or two quantisations."""
    # The harness passes this argument to every model.
    unknown = {name: value for name, value in unknown.items() if name != "max_batch_size"}
    if unknown:
        names = ", ".join(map(repr, sorted(unknown)))
        raise ValueError(f"hf_multimodal has no model argument {names}")
    if both:
        raise ValueError("give load_in_4bit or load_in_8bit, not both")
    if not pretrained:
        raise ValueError("hf_multimodal needs a model: --model_args pretrained=HUB_ID_OR_FOLDER")


def truth(name: str, given: bool | str) -> bool:
    """Return a model argument that the harness may leave as text ("false"), or raise ValueError."""
    truths = {"true": True, "false": False}
    found = truths.get(str(given).lower())
    if found is None:
        raise ValueError(f"{name} is {given!r}, expected true or false")
    return found


def whole(name: str, given: int | str) -> int:
    """Return a model argument that is a whole number of 1 or more, or raise ValueError."""
    size = int(given) if str(given).isdecimal() else 0
    if size < 1:
        raise ValueError(f"{name} is {given!r}, expected a whole number of 1 or more")
    return size
