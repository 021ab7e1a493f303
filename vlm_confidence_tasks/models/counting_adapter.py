"""An adapter without weights that counts what answers would cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from lmms_eval.api.instance import GenerationResult
from transformers import AutoConfig, AutoModelForImageTextToText, GenerationConfig

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.models.hf_multimodal import Block, HfMultimodalSimple
from vlm_confidence_tasks.models.shared_prefix import Prompt
from vlm_confidence_tasks.models.turns import Turn

# Runs of prompts that are remembered: an image's variants, in the blocks of a plan.
REMEMBERED = 256


class CountingAdapter(HfMultimodalSimple):
    """Prepares prompts as the adapter does and counts, where that would run the model.

    Attributes:
        counts: What the last `generate_until` would have cost. `passes` over prompts: one for each
            block of questions that share a prefix, and one for each question that stands alone;
            `prompt_tokens` that run; `prompt_tokens_alone`, if each question paid for its image;
            `new_tokens` to generate, at most; `option_tokens` that are scored after their prompts.
        options: Returns the options that are scored for a task's request, by name and index.
    """

    is_simple = False
    options: Callable[[str, int], Sequence[str]]

    def __init__(self, *args: Any, **options: Any) -> None:
        """Load configuration and processor, as the adapter does with the weights too."""
        super().__init__(*args, **options)
        self.counts: Counter[str] = Counter()
        self._remembered: dict[Any, list[Prompt] | None] = {}

    def _load(self, pretrained: str, **options: Any) -> Any:
        remote = {name: options[name] for name in ("revision", "trust_remote_code")}
        config = AutoConfig.from_pretrained(pretrained, **remote)
        if type(config) not in AutoModelForImageTextToText._model_mapping:
            raise ValueError(f"{pretrained}: {config.model_type} is no vision-language model")
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(
                config,
                attn_implementation=options["attn_implementation"],
                trust_remote_code=options["trust_remote_code"],
            )
        # Where there is none, the model's own, as when weights are loaded.
        with suppress(OSError):
            model.generation_config = GenerationConfig.from_pretrained(
                pretrained, revision=options["revision"]
            )
        return model.eval()

    def _moved(self, inputs: Any) -> Any:
        # Shapes are all that is needed, and thousands of images would fill the memory.
        return inputs.to("meta")

    def _prompts(self, run: Sequence[Turn]) -> list[Prompt] | None:
        """Process prompts: once for all variants of an image that have its size."""
        key = tuple(_shown(turn) for turn in run)
        if key not in self._remembered:
            if len(self._remembered) == REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[key] = super()._prompts(run)
        return self._remembered[key]

    def _shares(self, run: Sequence[Turn]) -> bool:
        return self._shared is not None and len(run) > 1 and bool(run[0].images)

    def generate_until(self, requests: list[Any]) -> list[Any]:
        """Count the cost of requests and answer nothing."""
        self.counts = Counter()
        for block in self._blocks(requests):
            self._count(block)
        return [GenerationResult(text="") for _ in requests]

    def _count(self, block: Block) -> None:
        turns = [turn for own in block.turns for turn in own]
        runs = block.prompts or [self._prompts([turn]) or () for turn in turns]
        prompts = [prompt for run in runs for prompt in run]
        tokens = sum(len(prompt.tokens) for prompt in prompts)
        prefix = 0 if block.prompts is None else self._prefix(block.prompts)
        passes = len(runs) if prefix else len(prompts)
        self.counts.update(
            passes=passes,
            prompt_tokens=tokens - prefix * (len(prompts) - passes),
            prompt_tokens_alone=tokens,
            new_tokens=sum(self._settings(turn.arguments)["max_new_tokens"] for turn in turns),
            option_tokens=sum(map(self._option_tokens, turns, prompts)),
        )

    def _prefix(self, runs: Sequence[Sequence[Prompt]]) -> int:
        """Return how many tokens the prompts of each run share, 0 if they are run apart."""
        assert self._shared is not None
        lengths = {self._shared.prefix_length(run) for run in runs}
        return lengths.pop() if self._shared.possible and len(lengths) == 1 else 0

    def _option_tokens(self, turn: Turn, prompt: Prompt) -> int:
        options = self.options(turn.task, turn.document)
        return sum(map(len, probe.options_of(self.tokenizer, options, prompt.tokens)))


def counting(adapter: type) -> type[CountingAdapter]:
    """Return the adapter's class without weights.

    Raises:
        ValueError: It is none that this package brings.
    """
    if not issubclass(adapter, HfMultimodalSimple):
        raise ValueError("plan knows --model hf_multimodal, llava and tiny_llava")
    return type(f"Counting{adapter.__name__}", (CountingAdapter, adapter), {})


def _shown(turn: Turn) -> Any:
    """Return what a prompt's tokens depend on: its texts, and the sizes of its images."""
    texts = [
        part.get("text") if isinstance(part, dict) else part
        for message in turn.messages
        for part in message["content"]
    ]
    return tuple(texts), tuple(image.size for image in turn.images)
