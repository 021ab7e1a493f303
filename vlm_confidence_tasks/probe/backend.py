"""Finding the transformers model and tokenizer behind an lmms-eval adapter."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from transformers import GenerationConfig

# Generation arguments of the harness, of serving engines, and of the original LLaVA.
_MORE_ARGUMENTS = (
    *("until", "image_aspect_ratio"),
    *("n", "seed", "min_p", "presence_penalty", "frequency_penalty"),
)


class ProbeError(RuntimeError):
    """The model cannot be measured, or generated in a way for which measures are undefined."""


def find_model(adapter: Any) -> torch.nn.Module | None:
    """Return the adapter's model, or None if it does not generate with transformers.

    An adapter of an API or of another engine has no torch module with a `generate()`, so its
    answers have no logits.
    """
    for name in ("model", "_model"):
        model = getattr(adapter, name, None)
        if isinstance(model, torch.nn.Module) and callable(getattr(model, "generate", None)):
            return model
    return None


def find_tokenizer(adapter: Any) -> Any:
    """Return the adapter's tokenizer, or raise ProbeError."""
    holders = [adapter] + [
        getattr(adapter, name, None) for name in ("processor", "_processor", "_image_processor")
    ]
    for holder in holders:
        for name in ("tokenizer", "_tokenizer"):
            tokenizer = getattr(holder, name, None)
            if hasattr(tokenizer, "encode") and hasattr(tokenizer, "get_vocab"):
                return tokenizer
    raise ProbeError(
        f"{type(adapter).__name__} has no tokenizer that can be found: "
        "answer probabilities need one as `tokenizer` on the adapter or on its processor"
    )


def find_processor(adapter: Any) -> Any:
    """Return the adapter's processor of images and texts, None if none can be found."""
    for name in ("processor", "_processor", "_image_processor"):
        processor = getattr(adapter, name, None)
        if callable(processor) and hasattr(processor, "image_processor"):
            return processor
    return None


def prompt_ids(
    args: Sequence[Any], kwargs: Mapping[str, Any], rows: int, purpose: str
) -> torch.Tensor:
    """Return the token ids in generate()'s arguments, [rows, tokens], or raise ProbeError.

    Its message names the purpose.
    """
    named = (kwargs.get("input_ids"), kwargs.get("inputs"), *args[:1])
    prompts: torch.Tensor | None = next((ids for ids in named if ids is not None), None)
    if prompts is None or prompts.ndim != 2 or len(prompts) != rows:
        raise ProbeError(
            f"{purpose} that generate() is given as token ids, a row a document: this adapter "
            "gives it something else"
        )
    return prompts


def check_length(model: Any, tokens: int) -> None:
    """Refuse a prompt that is longer than a model's positions: its answer would mean nothing.

    Raises:
        ProbeError: It is. A model that does not say how many positions it has takes any.
    """
    read = getattr(getattr(model, "config", None), "get_text_config", None)
    positions = None if read is None else getattr(read(), "max_position_embeddings", None)
    if positions is not None and tokens > positions:
        raise ProbeError(
            f"the prompt has {tokens} tokens, more than the model's {positions} positions: shorten "
            "the question, or leave it out"
        )


@cache
def known_arguments() -> frozenset[str]:
    """Return the generation arguments that some adapter or engine reads."""
    own = (name for name in GenerationConfig().to_dict() if not name.startswith("_"))
    return frozenset(own) | frozenset(_MORE_ARGUMENTS)
