"""Batched chat requests, which lmms-eval's LLaVA adapter does not support."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.protocol import ChatMessages


def generate_in_batches(adapter: Any, requests: Sequence[Instance], size: int) -> list[Any]:
    """Answer chat requests in left-padded batches, in the order of the requests.

    Args:
        adapter: An lmms-eval `llava_hf` adapter.
        requests: Its requests.
        size: Maximum number of rows of a batch.
    """
    answers: list[Any] = []
    for batch in _batches(requests, size):
        answers += _answer(adapter, batch)
    return answers


def _batches(requests: Sequence[Instance], size: int) -> Iterator[list[Instance]]:
    """Split consecutive requests with the same task and generation arguments into batches."""
    for _, group in groupby(requests, key=lambda request: (request.args[4], request.args[2])):
        same = list(group)
        yield from (same[start : start + size] for start in range(0, len(same), size))


def _answer(adapter: Any, batch: Sequence[Instance]) -> list[GenerationResult]:
    prompts, images = [], []
    for request in batch:
        _, doc_to_messages, _, doc_id, task, split = request.args
        document = adapter.task_dict[task][split][doc_id]
        messages = ChatMessages(messages=doc_to_messages(document))
        images += messages.extract_media()[0]
        prompts.append(
            adapter.processor.apply_chat_template(
                messages.model_dump()["messages"], tokenize=False, add_generation_prompt=True
            )
        )
    inputs = adapter.processor(
        images=images or None, text=prompts, padding=True, return_tensors="pt"
    )
    inputs = inputs.to(adapter.device, adapter.model.dtype)
    generated = adapter.model.generate(
        **inputs,
        **_settings(batch[0].args[2]),
        use_cache=adapter.use_cache,
        pad_token_id=adapter.eot_token_id,
        eos_token_id=adapter.eot_token_id,
    )[:, inputs["input_ids"].shape[1] :]
    texts = adapter.tokenizer.batch_decode(generated, skip_special_tokens=True)
    counts = [(row != adapter.eot_token_id).sum().item() for row in generated]
    return [
        GenerationResult(text=text, token_counts=TokenCounts(output_tokens=count))
        for text, count in zip(texts, counts, strict=True)
    ]


def _settings(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return generation arguments with the defaults of lmms-eval's adapter."""
    temperature = arguments.get("temperature", 0)
    sample = temperature > 0
    return {
        "do_sample": sample,
        "temperature": temperature if sample else None,
        "top_p": arguments.get("top_p"),
        "num_beams": arguments.get("num_beams", 1),
        "max_new_tokens": arguments.get("max_new_tokens", 1024),
    }
