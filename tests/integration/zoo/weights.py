"""Random weights under which answers are short, differ, and are not all of one token."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import PreTrainedModel, ProcessorMixin

from .vocabularies import SPOKEN


def save(folder: Path, model: PreTrainedModel, processor: ProcessorMixin, *, seed: int) -> None:
    """Write a checkpoint: the model with random weights, and its processor."""
    randomise(model, processor.tokenizer, seed=seed).save_pretrained(folder)
    processor.save_pretrained(folder)


def randomise(model: PreTrainedModel, tokenizer, *, seed: int) -> PreTrainedModel:
    """Draw all weights anew, and make the head favour a few words and the end token.

    Args:
        model: A model with an untied output embedding.
        tokenizer: Its tokenizer.
        seed: Of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            width = parameter[0].numel() ** -0.5
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * width)
    embedding = model.get_input_embeddings().weight.data
    embedding.copy_(torch.randn(embedding.shape, generator=generator))
    head = model.get_output_embeddings().weight.data
    loudness = torch.full((len(head), 1), 0.5)
    loudness[spoken(tokenizer)] = 3.0
    loudness[tokenizer.eos_token_id] = 4.0
    head.mul_(loudness)
    # Random models run in circles. This makes the end token likelier from the fifth token
    # on, outside of the model: what is read of its logits must not contain it.
    model.generation_config.exponential_decay_length_penalty = (4, 1.5)
    return model.eval()


def spoken(tokenizer) -> list[int]:
    """Return the tokens that the model is made to favour."""
    vocabulary = tokenizer.get_vocab()
    pieces = [mark + word for word in SPOKEN for mark in ("", "\u2581", "\u0120")]
    return sorted(vocabulary[piece] for piece in pieces if piece in vocabulary)
