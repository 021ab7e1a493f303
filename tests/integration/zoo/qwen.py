"""The Qwen-VL families."""

from __future__ import annotations

from pathlib import Path

from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from . import vocabularies
from .llava import LAYERS
from .weights import save

PIXELS = {"shortest_edge": 784, "longest_edge": 12_544}
VISION = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'text' %}{{ content['text'] }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def qwen_tokenizer(padding_side: str = "right"):
    return vocabularies.make(
        "byte_level",
        ["<|im_start|>", *VISION],
        padding_side=padding_side,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )


def token_ids(tokenizer) -> dict[str, int]:
    """The ids that the configuration of every Qwen-VL family names."""
    names = "vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id"
    return dict(zip(names, tokenizer.convert_tokens_to_ids(list(VISION)), strict=True))


def text_config(tokenizer) -> dict:
    return {
        **LAYERS,
        "vocab_size": len(tokenizer),
        "num_key_value_heads": 2,
        "bos_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "mrope_section": [2, 1, 1],
        },
        "tie_word_embeddings": False,
    }


def qwen2_5_vl(folder: Path, seed: int) -> None:
    tokenizer = qwen_tokenizer()
    config = Qwen2_5_VLConfig(
        text_config=text_config(tokenizer),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 4,
            "out_hidden_size": 32,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        tie_word_embeddings=False,
        **token_ids(tokenizer),
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    # The released checkpoints have this penalty: what is read must not contain it.
    model.generation_config.repetition_penalty = 1.05
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(size=PIXELS),
        tokenizer,
        Qwen2VLVideoProcessor(size=PIXELS),
        chat_template=TEMPLATE,
    )
    save(folder, model, processor, seed=seed)


def qwen2_vl(folder: Path, seed: int) -> None:
    # The adapter of this family leaves the side of the padding to the checkpoint.
    tokenizer = qwen_tokenizer("left")
    config = Qwen2VLConfig(
        text_config=text_config(tokenizer),
        vision_config={"depth": 2, "embed_dim": 32, "num_heads": 4, "hidden_size": 32},
        tie_word_embeddings=False,
        **token_ids(tokenizer),
    )
    model = Qwen2VLForConditionalGeneration(config)
    model.generation_config.repetition_penalty = 1.05
    processor = Qwen2VLProcessor(
        Qwen2VLImageProcessor(size=PIXELS),
        tokenizer,
        Qwen2VLVideoProcessor(size=PIXELS),
        chat_template=TEMPLATE,
    )
    save(folder, model, processor, seed=seed)


def qwen3_vl(folder: Path, seed: int) -> None:
    tokenizer = qwen_tokenizer()
    config = Qwen3VLConfig(
        text_config=text_config(tokenizer) | {"head_dim": 8},
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 4,
            "out_hidden_size": 32,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0, 1],
        },
        tie_word_embeddings=False,
        **token_ids(tokenizer),
    )
    model = Qwen3VLForConditionalGeneration(config)
    processor = Qwen3VLProcessor(
        Qwen2VLImageProcessor(size=PIXELS, patch_size=16),
        tokenizer,
        Qwen3VLVideoProcessor(size=PIXELS),
        chat_template=TEMPLATE,
    )
    save(folder, model, processor, seed=seed)
