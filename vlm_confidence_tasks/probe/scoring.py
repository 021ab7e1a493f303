"""Log-likelihood of each option's text as a continuation of the prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import zip_longest
from typing import Any

import torch

from vlm_confidence_tasks.probe.backend import ProbeError, prompt_ids
from vlm_confidence_tasks.probe.continuation import PromptState
from vlm_confidence_tasks.probe.description import is_exact
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

    def __init__(self, tokenizer: Any) -> None:
        """Prepare for a model that has not been checked, given its tokenizer."""
        self._tokenizer = tokenizer
        self._encode = cache(lambda text, spaced: option_tokens(tokenizer, text, spaced))
        self.checked = False

    def batch(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], texts: Sequence[Sequence[str]]
    ) -> OptionBatch | None:
        """Return the scorer of one call of generate(), given the options of each row.

        None if no row has any.

        Raises:
            ProbeError: The call has no token ids, or not one row for each document.
        """
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
        """Prepare for one call of generate(), with the tokens of each row's options, if any."""
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

    def add_to(
        self, readings: Sequence[Reading], tokens: Sequence[Sequence[int]], logprob: FloatArray
    ) -> list[Reading]:
        """Return the rows' readings with the log-probabilities of their options.

        Generation chose `tokens`, [rows, steps], with these log-probabilities.

        Raises:
            ProbeError: Continuations of the prompt cannot be scored, or differ from generation.
        """
        if self._prompt is None:
            raise ProbeError("generate() ran no prompt, so that no option can follow it")
        found: list[list[FloatArray]] = [[] for _ in self.options]
        # Rows with fewer options than others have an empty one here.
        for column in zip_longest(*self.options, fillvalue=()):
            for scores, score in zip(found, self._prompt.logprobs(column), strict=True):
                scores.extend([score] if score.size else [])
        if self._several and not self._scorer.checked:
            self._scorer.checked = _check(self._prompt, tokens, logprob)
        return [
            replace(reading, option_logprob=tuple(scores))
            for reading, scores in zip(readings, found, strict=True)
        ]


def _check(prompt: PromptState, tokens: Sequence[Sequence[int]], logprob: FloatArray) -> bool:
    """Score generated tokens as options are scored; False if there are too few to compare.

    The first token is left out, since its logits come from the prefill pass in both ways. The
    padding of finished rows is compared too, since generation also ran it.
    """
    count = min(logprob.shape[1], CHECKED_STEPS)
    if count < 2:
        return False
    again = prompt.logprobs([row[:count] for row in tokens])
    gaps = [abs(row - given[:count])[1:].mean() for row, given in zip(again, logprob, strict=True)]
    gap, allowed = float(max(gaps)), ROUNDING if is_exact(prompt.module) else COARSE_ROUNDING
    if not gap <= allowed:
        name = type(prompt.module).__name__
        raise ProbeError(
            f"options of several tokens cannot be scored with {name}: its own answer, "
            f"scored so, differs from generation by {gap:.3g} nats a token"
        )
    return True
