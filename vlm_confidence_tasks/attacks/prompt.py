"""The inputs of one forward pass, as adapters with a chat template make them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from vlm_confidence_tasks.probe import LogitSource, ProbeError, replaced
from vlm_confidence_tasks.types import Question


def image_order(question: Question, images: int) -> list[int]:
    """Return which of a document's images are shown, in their order in the prompt."""
    return [part for part in question.content or range(images) if isinstance(part, int)]


@dataclass(frozen=True)
class Prompt:
    """The inputs of one forward pass, and with what its image processor was called."""

    inputs: Mapping[str, Any]
    image_options: Mapping[str, Any]


def make_prompt(
    source: LogitSource, question: Question, images: Sequence[Image.Image], answered: Sequence[int]
) -> Prompt:
    """Process a question, its document's images and the tokens that were answered so far."""
    processor, model = source.processor, source.model
    if not getattr(processor, "chat_template", None):
        raise ProbeError(
            f"{type(processor).__name__} has no chat template, with which attacks write prompts"
        )
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
    recorder = _Recorder(processor.image_processor)
    with replaced(processor, "image_processor", recorder):
        inputs = processor(
            images=shown,
            text=[text],
            return_tensors="pt",
            **({"add_special_tokens": False} if spelled else {}),
        ).to(model.device, model.dtype)
    return Prompt(_continued(dict(inputs), answered), recorder.options)


class _Recorder:
    """An image processor that notes with which options it is called."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self.options: dict[str, Any] = {}

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.options = {name: value for name, value in options.items() if name != "images"}
        return self._processor(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)


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
        elif name == "cross_attention_mask":
            # A row a token, [1, L, ...]: those of an answer see the images that its prompt sees.
            last = value[:, -1:]
            found[name] = torch.cat([value, last.expand(-1, len(tokens), *last.shape[2:])], dim=1)
    return found
