"""The shipped model and data, loaded once, and a batched way to ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import datasets
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, LlavaForConditionalGeneration

from vlm_confidence_tasks.sandbox import DATA_DIR, MODEL_DIR

Ask = Callable[[Sequence[Sequence[Image.Image]], Sequence[Any], int], list[str]]


@pytest.fixture(scope="session")
def model() -> Any:
    loaded, info = LlavaForConditionalGeneration.from_pretrained(
        MODEL_DIR, dtype=torch.float32, output_loading_info=True
    )
    loaded.loading_info = info
    return loaded.eval()


@pytest.fixture(scope="session")
def processor() -> Any:
    return AutoProcessor.from_pretrained(MODEL_DIR)


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[dict[str, Any]]]:
    cache = str(tmp_path_factory.mktemp("cache"))

    def load(file: str) -> list[dict[str, Any]]:
        path = str(DATA_DIR / file)
        return list(
            datasets.load_dataset("parquet", data_files=path, split="train", cache_dir=cache)
        )

    return load


@pytest.fixture(scope="session")
def ask(model: Any, processor: Any) -> Ask:
    """Return a function from images and chat contents to the texts of greedy answers."""

    def answers(
        images: Sequence[Sequence[Image.Image]], contents: Sequence[Any], longest: int = 8
    ) -> list[str]:
        chats = [[{"role": "user", "content": content}] for content in contents]
        texts = [
            processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            for chat in chats
        ]
        found: list[str] = []
        for start in range(0, len(texts), 64):
            part = slice(start, start + 64)
            flat = [image for several in images[part] for image in several]
            inputs = processor(images=flat, text=texts[part], padding=True, return_tensors="pt")
            with torch.inference_mode():
                tokens = model.generate(**inputs, max_new_tokens=longest)
            new = tokens[:, inputs["input_ids"].shape[1] :]
            found += processor.tokenizer.batch_decode(new, skip_special_tokens=True)
        return [text.strip() for text in found]

    return answers
