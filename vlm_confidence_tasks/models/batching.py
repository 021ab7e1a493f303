"""Several chat requests in one generate(), which lmms-eval's LLaVA adapter cannot do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.protocol import ChatMessages


def generate_in_batches(adapter: Any, requests: Sequence[Instance], size: int) -> list[Any]:
    """Answer chat requests in batches, left-padded, in the order in which they came.

    Args:
        adapter: An lmms-eval `llava_hf` adapter.
        requests: Its requests.
        size: Rows of a batch at most.
    """
    answers: list[Any] = []
    for batch in _batches(requests, size):
        answers += _answer(adapter, batch)
    return answers


def _batches(requests: Sequence[Instance], size: int) -> Iterator[list[Instance]]:
    """Cut neighbours with the same task and generation arguments into batches."""
    for _, group in groupby(requests, key=lambda request: (request.args[4], request.args[2])):
        same = list(group)
        yield from (same[start : start + size] for start in range(0, len(same), size))


def _answer(adapter: Any, batch: Sequence[Instance]) -> list[GenerationResult]:
    texts, images = [], []
    for request in batch:
        _, doc_to_messages, _, doc_id, task, split = request.args
        document = adapter.task_dict[task][split][doc_id]
        messages = ChatMessages(messages=doc_to_messages(document))
        images += messages.extract_media()[0]
        texts.append(
            adapter.processor.apply_chat_template(
                messages.model_dump()["messages"], tokenize=False, add_generation_prompt=True
            )
        )
    inputs = adapter.processor(images=images or None, text=texts, padding=True, return_tensors="pt")
    inputs = inputs.to(adapter.device, adapter.model.dtype)
    generated = adapter.model.generate(
        **inputs,
        **_settings(batch[0].args[2]),
        use_cache=adapter.use_cache,
        pad_token_id=adapter.eot_token_id,
        eos_token_id=adapter.eot_token_id,
    )[:, inputs["input_ids"].shape[1] :]
    said = adapter.tokenizer.batch_decode(generated, skip_special_tokens=True)
    ends = [(row != adapter.eot_token_id).sum().item() for row in generated]
    return [
        GenerationResult(text=text, token_counts=TokenCounts(output_tokens=count))
        for text, count in zip(said, ends, strict=True)
    ]


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return generation arguments with the defaults of the adapter's own path."""
    temperature = given.get("temperature", 0)
    sample = temperature > 0
    return {
        "do_sample": sample,
        "temperature": temperature if sample else None,
        "top_p": given.get("top_p"),
        "num_beams": given.get("num_beams", 1),
        "max_new_tokens": given.get("max_new_tokens", 1024),
    }
