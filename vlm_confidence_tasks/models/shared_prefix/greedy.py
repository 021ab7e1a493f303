"""The settings of greedy decoding as generate() resolves them for a model."""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import EosTokenCriteria, LogitsProcessorList, MaxLengthCriteria

from vlm_confidence_tasks.models.shared_prefix.prompts import Prompt


class CannotShare(ValueError):
    """Why answers cannot be generated behind a shared prefix."""


class GreedySettings:
    """How answers end, and what a checkpoint's generation settings do to logits.

    generate() itself is asked, once for each length of a prompt on which a setting may depend,
    so that all settings of the checkpoint hold, whatever they are.
    """

    def __init__(self, model: Any, arguments: Mapping[str, Any], example: Prompt) -> None:
        """Read the settings, with the arguments of generate() besides inputs, and any prompt."""
        self._model = model
        self._arguments = arguments
        self._processors: dict[int, LogitsProcessorList] = {}
        processors, criteria, config = self._resolve(example)
        for name, allowed in (("num_beams", 1), ("do_sample", False), ("num_return_sequences", 1)):
            value = getattr(config, name, None)
            if value is not None and value != allowed:
                raise CannotShare(f"generate() has {name}={value}")
        known = (EosTokenCriteria, MaxLengthCriteria)
        for criterion in criteria:
            if not isinstance(criterion, known):
                raise CannotShare(f"answers end by {type(criterion).__name__}")
        ends = config.eos_token_id
        self.ends = frozenset([] if ends is None else torch.as_tensor(ends).flatten().tolist())
        self.max_new_tokens = int(arguments["max_new_tokens"])
        self._processors[len(example.tokens)] = processors
        self._any = bool(processors)

    def processors(self, prompt: Prompt) -> LogitsProcessorList:
        """Return what generate() would do to the logits of a prompt's answer."""
        if not self._any:
            return LogitsProcessorList()
        length = len(prompt.tokens)
        if length not in self._processors:
            self._processors[length] = self._resolve(prompt)[0]
        return self._processors[length]

    def _resolve(self, prompt: Prompt) -> tuple[LogitsProcessorList, Any, Any]:
        found: dict[str, Any] = {}

        def resolved(
            model: Any,
            input_ids: torch.Tensor,
            logits_processor: Any = None,
            stopping_criteria: Any = None,
            generation_config: Any = None,
            **others: Any,
        ) -> torch.Tensor:
            found.update(processors=logits_processor, criteria=stopping_criteria)
            found["config"] = generation_config
            return input_ids

        # Of the class, since the model's own may be watched: nothing is generated here.
        generate = type(self._model).generate
        generate(self._model, **prompt.inputs, **self._arguments, custom_generate=resolved)
        return found["processors"], found["criteria"], found["config"]
