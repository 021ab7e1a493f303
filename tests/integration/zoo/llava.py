"""LLaVA and its descendants."""

from __future__ import annotations

from pathlib import Path

from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessor,
    LlavaNextProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    LlavaProcessor,
    Qwen2Config,
    SiglipVisionConfig,
)

from . import vocabularies
from .weights import save

# The size of every part of every family, unless it needs another.
LAYERS = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
SQUARE = {"height": 32, "width": 32}
# Two tiles or four: images are cut up as the real ones are.
GRID = [[32, 64], [64, 32], [64, 64]]

# LLaVA 1.5's, which also takes the plain strings that the simple adapter gives it.
TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% if message['content'] is string %}{{ message['content'] + ' ' }}{% else %}"
    "{% for content in message['content'] if content['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for content in message['content'] if content['type'] == 'text' %}"
    "{{ content['text'] + ' ' }}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def llama_tokenizer():
    return vocabularies.make(
        "sentencepiece", ["<image>"], bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def llama_config(tokenizer) -> LlamaConfig:
    return LlamaConfig(
        **LAYERS,
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )


def vision(**more) -> dict:
    """A vision tower's configuration, as keywords for any family."""
    return LAYERS | {"image_size": 32, "patch_size": 8} | more


def clip_config() -> CLIPVisionConfig:
    return CLIPVisionConfig(**vision(projection_dim=32))


def llava(folder: Path, seed: int) -> None:
    tokenizer = llama_tokenizer()
    config = LlavaConfig(
        vision_config=clip_config(),
        text_config=llama_config(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
        tie_word_embeddings=False,
    )
    model = LlavaForConditionalGeneration(config)
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SQUARE),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    save(folder, model, processor, seed=seed)


def llava_next(folder: Path, seed: int) -> None:
    tokenizer = llama_tokenizer()
    config = LlavaNextConfig(
        vision_config=clip_config(),
        text_config=llama_config(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=GRID,
        image_seq_length=16,
        tie_word_embeddings=False,
    )
    model = LlavaNextForConditionalGeneration(config)
    processor = LlavaNextProcessor(
        LlavaNextImageProcessor(
            size={"shortest_edge": 32}, crop_size=SQUARE, image_grid_pinpoints=GRID
        ),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    save(folder, model, processor, seed=seed)


def llava_onevision(folder: Path, seed: int) -> None:
    tokenizer = vocabularies.make(
        "byte_level", ["<image>", "<video>"], eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    text = llama_config(tokenizer).to_dict() | {"num_key_value_heads": 2}
    image, video = tokenizer.convert_tokens_to_ids(["<image>", "<video>"])
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**clip_config().to_dict() | {"vision_use_head": False}),
        text_config=Qwen2Config(**{k: v for k, v in text.items() if k != "model_type"}),
        image_token_index=image,
        video_token_index=video,
        image_grid_pinpoints=GRID,
        vision_feature_layer=-1,
        tie_word_embeddings=False,
    )
    model = LlavaOnevisionForConditionalGeneration(config)
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=SQUARE, image_grid_pinpoints=GRID),
        tokenizer,
        LlavaOnevisionVideoProcessor(size=SQUARE),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=TEMPLATE,
    )
    save(folder, model, processor, seed=seed)
