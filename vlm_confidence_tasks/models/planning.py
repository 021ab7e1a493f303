"""An adapter without weights that counts what answers would cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import torch
from lmms_eval.api.instance import GenerationResult
from transformers import AutoConfig, AutoModelForImageTextToText, GenerationConfig

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.models.flops import ModelShape, model_shape
from vlm_confidence_tasks.models.hf_multimodal import Block, HfMultimodalSimple
from vlm_confidence_tasks.models.shared_prefix import Prompt
from vlm_confidence_tasks.models.turns import Turn

# Runs of prompts that are remembered: an image's variants, in the blocks of a plan.
REMEMBERED = 256


@dataclass(frozen=True)
class Cost:
    """What some answers cost.

    Attributes:
        passes: Passes over prompts: one for each block of questions that share a prefix, and one
            for each question that stands alone.
        prompt_tokens: Tokens of prompts that run.
        prompt_tokens_alone: The same if each question paid for its image.
        new_tokens: Tokens to generate, at most.
        option_tokens: Tokens of options that are scored after their prompts.
        prompt_flops: Floating-point operations of images, prompts and scored options.
        prompt_flops_alone: The same if each question paid for its image.
        new_flops: Floating-point operations of the tokens to generate, at most.
    """

    passes: int = 0
    prompt_tokens: int = 0
    prompt_tokens_alone: int = 0
    new_tokens: int = 0
    option_tokens: int = 0
    prompt_flops: float = 0
    prompt_flops_alone: float = 0
    new_flops: float = 0

    def __add__(self, other: Cost) -> Cost:
        """Return the cost of both."""
        names = [field.name for field in fields(self)]
        return Cost(**{name: getattr(self, name) + getattr(other, name) for name in names})


class CountingAdapter(HfMultimodalSimple):
    """Prepares prompts as the adapter does and counts, where that would run the model.

    Attributes:
        cost: What the last `generate_until` would have cost.
    """

    is_simple = False

    def __init__(self, *args: Any, **options: Any) -> None:
        """Load configuration and processor, as the adapter does with the weights too."""
        super().__init__(*args, **options)
        self.cost = Cost()
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
        try:
            model.generation_config = GenerationConfig.from_pretrained(
                pretrained, revision=options["revision"]
            )
        except OSError:
            # There is none: the model's own, as when weights are loaded.
            return model.eval()
        return model.eval()

    @cached_property
    def shape(self) -> ModelShape:
        """The model's shape."""
        return model_shape(self.model)

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

    def generate_until(self, requests: list[Any]) -> list[Any]:
        """Count the cost of requests and answer nothing."""
        self.cost = sum((self._cost(block) for block in self._blocks(requests)), Cost())
        return [GenerationResult(text="") for _ in requests]

    def _cost(self, block: Block) -> Cost:
        """Return what a block of requests costs."""
        turns = [turn for own in block.turns for turn in own]
        self._announce(turns)
        assert self.logit_source.rows is not None
        rows = self.logit_source.rows.rows()
        found = Cost()
        if block.prompts is None:
            prompts = [self._alone(turn) for turn in turns]
        else:
            prompts = [prompt for own in block.prompts for prompt in own]
        for turn, row, prompt in zip(turns, rows, prompts, strict=True):
            found += self._answer_cost(turn, row, prompt)
        if block.prompts is None or self._shared is None or not self._shared.possible:
            return found + self._apart(turns, prompts)
        lengths = {self._shared.prefix_length(own) for own in block.prompts}
        if len(lengths) > 1 or 0 in lengths:
            return found + self._apart(turns, prompts)
        for own, its_turns in zip(block.prompts, block.turns, strict=True):
            found += self._together_cost(its_turns, own, *lengths)
        return found

    def _alone(self, turn: Turn) -> Prompt:
        prompts = self._prompts([turn])
        assert prompts is not None
        return prompts[0]

    def _answer_cost(self, turn: Turn, row: probe.Row, prompt: Prompt) -> Cost:
        """Return what comes to the prompt, and what the prompt costs if it stands alone."""
        length = len(prompt.tokens)
        options = probe.options_of(self.tokenizer, row.options, prompt.tokens)
        # The logits after the prompt are those of each option's first token, and of the answer's.
        scored = [len(option) - 1 for option in options]
        new = int(self._settings(turn.arguments)["max_new_tokens"])
        shape = self.shape
        scoring = sum(shape.text(tokens, length) + shape.logits(tokens) for tokens in scored)
        return Cost(
            prompt_tokens_alone=length,
            new_tokens=new,
            option_tokens=sum(map(len, options)),
            prompt_flops=scoring,
            prompt_flops_alone=scoring + self._prompt_flops(turn, prompt, length),
            new_flops=shape.text(new - 1, length) + shape.logits(new - 1),
        )

    def _prompt_flops(self, turn: Turn, prompt: Prompt, length: int) -> float:
        """Return the operations of an image and the first tokens of a prompt."""
        pixels = prompt.inputs.get("pixel_values")
        seen = 0.0 if pixels is None else self.shape.images(pixels, len(turn.images))
        return seen + self.shape.text(length) + self.shape.logits(1)

    def _apart(self, turns: Sequence[Turn], prompts: Sequence[Prompt]) -> Cost:
        """Return what prompts cost of which each pays for its image."""
        flops = sum(
            self._prompt_flops(turn, prompt, len(prompt.tokens))
            for turn, prompt in zip(turns, prompts, strict=True)
        )
        tokens = sum(len(prompt.tokens) for prompt in prompts)
        return Cost(passes=len(prompts), prompt_tokens=tokens, prompt_flops=flops)

    def _together_cost(self, turns: Sequence[Turn], prompts: Sequence[Prompt], length: int) -> Cost:
        """Return what prompts behind one prefix cost."""
        own = [len(prompt.tokens) - length for prompt in prompts]
        suffixes = sum(self.shape.text(tokens, length) + self.shape.logits(1) for tokens in own)
        prefix = self._prompt_flops(turns[0], prompts[0], length)
        return Cost(passes=1, prompt_tokens=length + sum(own), prompt_flops=prefix + suffixes)


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
