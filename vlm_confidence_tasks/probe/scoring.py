"""Log-likelihood of each option's text as a continuation of the prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from vlm_confidence_tasks.probe.backend import ProbeError, prompt_ids
from vlm_confidence_tasks.probe.continuation import PromptState
from vlm_confidence_tasks.probe.options import PROMPT_END, Tokens, begins_with_space, option_tokens
from vlm_confidence_tasks.probe.reading import FloatArray, Reading

# Steps of the model's own answer that are scored again as a check, and the mean absolute
# difference in nats that rounding explains: in float32, and in shorter types, whose logits
# have three significant digits. For comparison, positions that are wrong by three tokens gave
# 0.2 nats and more on small models.
CHECKED_STEPS = 16
ROUNDING, COARSE_ROUNDING = 0.01, 0.25


class OptionScorer:
    """Scores options as continuations of the prompts of a model's generate().

    Before options of several tokens are scored, the model's own answer is scored in the same
    way, once: its log-probabilities must equal those of generation.
    """

    def __init__(self, tokenizer: Any, texts: Callable[[], Sequence[Sequence[str]]]) -> None:
        """Prepare for a model that has not been checked.

        Args:
            tokenizer: The model's tokenizer.
            texts: Called before each generate(): the options of each row of its batch.
        """
        self._tokenizer = tokenizer
        self._texts = texts
        self._encode = lru_cache(maxsize=None)(
            lambda text, spaced: option_tokens(tokenizer, text, spaced)
        )
        self.checked = False

    def batch(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> OptionBatch | None:
        """Return the scorer of one call of generate(), None if no row has options.

        Args:
            args: Positional arguments of the call.
            kwargs: Keyword arguments of the call.

        Raises:
            ProbeError: The call has no token ids, or not one row for each document.
        """
        texts = self._texts()
        if not any(texts):
            return None
        prompts = prompt_ids(args, kwargs, len(texts), "options are scored after prompts")
        ends = prompts[:, -PROMPT_END:].tolist()
        spaced = [begins_with_space(self._tokenizer, end) for end in ends]
        rows = zip(texts, spaced, strict=True)
        return OptionBatch(
            self, [[self._encode(text, space) for text in row] for row, space in rows]
        )


class OptionBatch:
    """Scores the options of one batch after its generate()."""

    def __init__(self, scorer: OptionScorer, options: Sequence[Sequence[Tokens]]) -> None:
        """Prepare for one call of generate().

        Args:
            scorer: Holds whether the model has been checked.
            options: Tokens of each option of each row; rows may have none.
        """
        self._scorer = scorer
        self.options = options
        self._several = any(len(option) > 1 for row in options for option in row)
        self._last: tuple[torch.nn.Module, Mapping[str, Any], Any] | None = None
        self._prompt: PromptState | None = None

    def on_forward(
        self, module: torch.nn.Module, args: Any, kwargs: Mapping[str, Any], output: Any
    ) -> None:
        """Store the prefill pass; returns None, so the output is unchanged."""
        if self._prompt is None and getattr(output, "logits", None) is not None:
            self._last = module, kwargs, output

    def at_first_step(self) -> None:
        """Copy the state after the prompt, before generation extends the cache."""
        if self._last is not None:
            self._prompt = PromptState(*self._last, copy_cache=self._several)
            self._last = None

    def add_to(self, readings: Sequence[Reading], steps: Steps) -> list[Reading]:
        """Return the readings with the log-probabilities of their rows' options.

        Args:
            readings: One per row.
            steps: Tokens that generation chose in each row, and their log-probabilities.

        Raises:
            ProbeError: Continuations of the prompt cannot be scored, or differ from generation.
        """
        if self._prompt is None:
            raise ProbeError("generate() ran no prompt, so that no option can follow it")
        found: list[list[FloatArray]] = [[] for _ in self.options]
        for column in range(max(map(len, self.options))):
            tokens = [row[column] if column < len(row) else () for row in self.options]
            for scores, logprob in zip(found, self._prompt.logprobs(tokens), strict=True):
                # Rows with fewer options than others have an empty one here.
                scores.extend([logprob] if logprob.size else [])
        if self._several and not self._scorer.checked:
            self._scorer.checked = _check(self._prompt, *steps)
        return [
            replace(reading, option_logprob=tuple(scores))
            for reading, scores in zip(readings, found, strict=True)
        ]


Steps = tuple[Sequence[Sequence[int]], FloatArray]


def _check(prompt: PromptState, tokens: Sequence[Sequence[int]], logprob: FloatArray) -> bool:
    """Score generated tokens as options are scored; False if there are too few to compare.

    The first token is left out, since its logits come from the prefill pass in both ways. The
    padding of finished rows is compared too, since generation also ran it.

    Args:
        prompt: The state after the prompts.
        tokens: Generated tokens, [rows, steps].
        logprob: Their log-probabilities during generation, [rows, steps].

    Raises:
        ProbeError: The two differ by more than rounding explains.
    """
    count = min(logprob.shape[1], CHECKED_STEPS)
    if count < 2:
        return False
    again = prompt.logprobs([row[:count] for row in tokens])
    gaps = [abs(row - given[:count])[1:].mean() for row, given in zip(again, logprob, strict=True)]
    gap, allowed = float(max(gaps)), ROUNDING if prompt.exact else COARSE_ROUNDING
    if not gap <= allowed:
        raise ProbeError(
            f"options of several tokens cannot be scored with {prompt.name}: its own answer, "
            f"scored so, differs from generation by {gap:.3g} nats a token"
        )
    return True
