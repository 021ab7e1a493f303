"""The inputs of one forward pass, as adapters with a chat template make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from vlm_confidence_tasks.probe import LogitSource
from vlm_confidence_tasks.types import Question


def image_order(question: Question, images: int) -> list[int]:
    """Return which of a document's images are shown, in their order in the prompt."""
    return [part for part in question.content or range(images) if isinstance(part, int)]


def prompt_inputs(
    source: LogitSource, question: Question, images: Sequence[Image.Image], answered: Sequence[int]
) -> dict[str, torch.Tensor]:
    """Return the model's inputs for a question and the tokens that it answered so far.

    Args:
        source: Has the model and its processor.
        question: The question.
        images: Its images, in the order of the document.
        answered: Ids of the tokens before the answer position.
    """
    processor, model = source.processor, source.model
    content = question.content or (*range(len(images)), question.prompt)
    shown = [images[number] for number in image_order(question, len(images))]
    parts = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
        for part in content
    ]
    text = processor.apply_chat_template(
        [{"role": "user", "content": parts}], tokenize=False, add_generation_prompt=True
    )
    begin = processor.tokenizer.bos_token
    # Some templates write the token that begins a text, which tokenizers add too.
    spelled = begin is not None and text.startswith(begin)
    inputs = processor(
        images=shown,
        text=[text],
        return_tensors="pt",
        **({"add_special_tokens": False} if spelled else {}),
    ).to(model.device, model.dtype)
    return _continued(dict(inputs), answered)


def _continued(inputs: dict[str, Any], tokens: Sequence[int]) -> dict[str, Any]:
    """Append tokens to a prompt of one row."""
    ids = inputs["input_ids"]
    more = torch.tensor([list(tokens)], dtype=ids.dtype, device=ids.device)
    found = dict(inputs)
    for name, value in inputs.items():
        if isinstance(value, torch.Tensor) and value.shape == ids.shape:
            # A mask is 1 at tokens that count; of what kind tokens are, text is 0.
            fill = more if name == "input_ids" else torch.full_like(more, name == "attention_mask")
            found[name] = torch.cat([value, fill.to(value.dtype)], dim=1)
    return found
