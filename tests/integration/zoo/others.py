"""Families that are neither LLaVA's nor Qwen's."""

from __future__ import annotations

from pathlib import Path

from transformers import (
    BertTokenizer,
    BlipImageProcessor,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessor,
    Gemma3Processor,
    GotOcr2ImageProcessor,
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics2ImageProcessor,
    Idefics2Processor,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessor,
    Idefics3Processor,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    MllamaConfig,
    MllamaForConditionalGeneration,
    MllamaImageProcessor,
    MllamaProcessor,
)

from . import vocabularies
from .llava import LAYERS, SQUARE, llama_config, vision
from .weights import save


def template(image: str, start: str, end: str, answer: str) -> str:
    """Write a chat template: images and texts of a turn between `start` and `end`."""
    return (
        "{% for message in messages %}" + start + "{% for content in message['content'] %}"
        "{% if content['type'] == 'image' %}" + image + "{% elif content['type'] == 'text' %}"
        "{{ content['text'] }}{% endif %}{% endfor %}" + end + "{% endfor %}"
        "{% if add_generation_prompt %}" + answer + "{% endif %}"
    )


ROLE = "{{ message['role'] }}"
IM = "<|im_start|>" + ROLE + "\n", "<|im_end|>\n", "<|im_start|>assistant\n"
TURN = "User:", "<end_of_utterance>\n", "Assistant:"


def small(tokenizer, **more) -> dict:
    """A language model's configuration, as keywords for any family."""
    return llama_config(tokenizer).to_dict() | more


def internvl(folder: Path, seed: int) -> None:
    images = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = vocabularies.make(
        "tiktoken",
        ["<|im_start|>"],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        **images,
    )
    config = InternVLConfig(
        vision_config=vision(image_size=[32, 32], patch_size=[8, 8]),
        text_config=small(tokenizer, model_type="qwen2", num_key_value_heads=2),
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=4,
        tie_word_embeddings=False,
    )
    model = InternVLForConditionalGeneration(config)
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size=SQUARE),
        tokenizer,
        InternVLVideoProcessor(size=SQUARE),
        image_seq_length=4,
        chat_template=template("<IMG_CONTEXT>\n", *IM),
    )
    save(folder, model, processor, seed=seed)


def idefics2(folder: Path, seed: int) -> None:
    tokenizer = vocabularies.make(
        "sentencepiece",
        ["<fake_token_around_image>", "<image>", "<end_of_utterance>"],
        padding_side="left",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
    )
    config = Idefics2Config(
        vision_config=vision(),
        perceiver_config={
            "hidden_size": 32,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 4,
            "resampler_head_dim": 8,
            "num_key_value_heads": 2,
        },
        text_config=small(tokenizer, model_type="mistral", num_key_value_heads=2),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=False,
    )
    model = Idefics2ForConditionalGeneration(config)
    processor = Idefics2Processor(
        Idefics2ImageProcessor(
            size={"shortest_edge": 24, "longest_edge": 32}, do_image_splitting=False
        ),
        tokenizer,
        image_seq_len=4,
        chat_template=template("<image>", *TURN),
    )
    # Under seed 0 all answers happen to be of one length.
    save(folder, model, processor, seed=seed + 1)


def idefics3(folder: Path, seed: int) -> None:
    tokenizer = vocabularies.make(
        "tiktoken",
        ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>"],
        bos_token="<|begin_of_text|>",
        eos_token="<|end_of_text|>",
        pad_token="<|pad|>",
    )
    config = Idefics3Config(
        vision_config=vision(),
        text_config=small(tokenizer, model_type="llama"),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        tie_word_embeddings=False,
    )
    model = Idefics3ForConditionalGeneration(config)
    processor = Idefics3Processor(
        Idefics3ImageProcessor(
            size={"longest_edge": 64}, max_image_size={"longest_edge": 32}, do_image_splitting=True
        ),
        tokenizer,
        image_seq_len=4,
        chat_template=template("<image>", *TURN),
    )
    save(folder, model, processor, seed=seed)


def instructblip(folder: Path, seed: int) -> None:
    tokenizer = vocabularies.make(
        "sentencepiece", ["<image>"], bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "is", "there", "a", "in", "the", "image"]
    query_tokenizer = BertTokenizer(vocab={word: index for index, word in enumerate(words)})
    config = InstructBlipConfig(
        vision_config=vision(),
        qformer_config={"vocab_size": len(words), "encoder_hidden_size": 32, **LAYERS},
        text_config=small(tokenizer, model_type="llama"),
        num_query_tokens=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    model = InstructBlipForConditionalGeneration(config)
    processor = InstructBlipProcessor(
        BlipImageProcessor(size=SQUARE), tokenizer, query_tokenizer, num_query_tokens=4
    )
    save(folder, model, processor, seed=seed)


def gemma3(folder: Path, seed: int) -> None:
    images = {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    }
    tokenizer = vocabularies.make(
        "sentencepiece",
        ["<start_of_turn>"],
        padding_side="left",
        bos_token="<bos>",
        eos_token="<end_of_turn>",
        pad_token="<pad>",
        **images,
    )
    config = Gemma3Config(
        vision_config=vision(vision_use_head=False),
        text_config=small(
            tokenizer,
            model_type="gemma3_text",
            num_key_value_heads=2,
            head_dim=8,
            query_pre_attn_scalar=8,
            rope_parameters=None,
        ),
        mm_tokens_per_image=4,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
        image_token_index=tokenizer.image_token_id,
        tie_word_embeddings=False,
    )
    model = Gemma3ForConditionalGeneration(config)
    processor = Gemma3Processor(
        Gemma3ImageProcessor(size=SQUARE),
        tokenizer,
        image_seq_length=4,
        chat_template=template(
            "<start_of_image>",
            "<start_of_turn>" + ROLE + "\n",
            "<end_of_turn>\n",
            "<start_of_turn>model\n",
        ),
    )
    save(folder, model, processor, seed=seed)


def mllama(folder: Path, seed: int) -> None:
    tokenizer = vocabularies.make(
        "tiktoken",
        ["<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>", "<|image|>"],
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        pad_token="<|finetune_right_pad_id|>",
    )
    image = tokenizer.convert_tokens_to_ids("<|image|>")
    config = MllamaConfig(
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_global_layers": 1,
            "attention_heads": 4,
            "vision_output_dim": 64,
            "intermediate_layers_indices": [0],
            "image_size": 32,
            "patch_size": 8,
            "max_num_tiles": 4,
        },
        text_config=small(tokenizer, num_key_value_heads=2, cross_attention_layers=[1]),
        image_token_index=image,
    )
    model = MllamaForConditionalGeneration(config)
    # Closed at first, and never drawn: the image would have no say in the answer.
    for name, parameter in model.named_parameters():
        if name.endswith("gate"):
            parameter.data.fill_(1.0)
    header = "<|start_header_id|>" + ROLE + "<|end_header_id|>\n\n"
    processor = MllamaProcessor(
        MllamaImageProcessor(size=SQUARE, max_image_tiles=4),
        tokenizer,
        chat_template=template(
            "<|image|>",
            header,
            "<|eot_id|>",
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
    )
    save(folder, model, processor, seed=seed)
