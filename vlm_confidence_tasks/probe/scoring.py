"""How likely a model finds each option's text after the prompt that it was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from vlm_confidence_tasks.probe.backend import ProbeError, prompt_ids
from vlm_confidence_tasks.probe.continuation import Prompt
from vlm_confidence_tasks.probe.options import PROMPT_END, Tokens, option_tokens, wants_space
from vlm_confidence_tasks.probe.reading import FloatArray, Reading

# Steps of an answer that are scored twice, and the mean difference in nats that is put down
# to rounding: in float32, and in shorter types, whose logits have three significant digits.
# Positions that were off by three tokens gave 0.2 nats and more on small models.
CHECKED_STEPS = 16
ROUNDING, COARSE_ROUNDING = 0.01, 0.25


class OptionScorer:
    """Scores options after the prompts that a model's generate() runs.

    Before options of several tokens are trusted, the model's own answer is scored as they
    are, once: that must give what generation gave.
    """

    def __init__(self, tokenizer: Any, texts: Callable[[], Sequence[Sequence[str]]]) -> None:
        """Start with a model that has not been checked.

        Args:
            tokenizer: The model's.
            texts: Called before each generate(): the options of each row of its batch.
        """
        self._tokenizer = tokenizer
        self._texts = texts
        self._encode = lru_cache(maxsize=None)(
            lambda text, spaced: option_tokens(tokenizer, text, spaced)
        )
        self.checked = False

    def batch(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Batch | None:
        """Return what watches a call of generate(), None if no row of it has options.

        Args:
            args: The call's.
            kwargs: The call's.

        Raises:
            ProbeError: The call has no token ids, or a row of them too many or too few.
        """
        texts = self._texts()
        if not any(texts):
            return None
        prompts = prompt_ids(args, kwargs)
        if prompts is None or len(prompts) != len(texts):
            raise ProbeError(
                "options are scored after prompts that generate() is given as token ids, a row "
                "a document: this adapter gives it something else"
            )
        ends = prompts[:, -PROMPT_END:].tolist()
        spaced = [wants_space(self._tokenizer, end) for end in ends]
        rows = zip(texts, spaced, strict=True)
        return Batch(self, [[self._encode(text, space) for text in row] for row, space in rows])


class Batch:
    """Scores the options of one batch, once generate() is done with it."""

    def __init__(self, scorer: OptionScorer, options: Sequence[Sequence[Tokens]]) -> None:
        """Wait for the prompt to be run.

        Args:
            scorer: Remembers whether the model was checked.
            options: Tokens of each option of each row; rows may have none.
        """
        self._scorer = scorer
        self.options = options
        self._several = any(len(option) > 1 for row in options for option in row)
        self._last: tuple[torch.nn.Module, Mapping[str, Any], Any] | None = None
        self._prompt: Prompt | None = None

    def on_forward(
        self, module: torch.nn.Module, args: Any, kwargs: Mapping[str, Any], output: Any
    ) -> None:
        """Remember the pass over the prompt; returns None, so nothing is replaced."""
        if self._prompt is None and getattr(output, "logits", None) is not None:
            self._last = module, kwargs, output

    def at_first_step(self) -> None:
        """Keep what the prompt left, before generation adds to it."""
        if self._last is not None:
            self._prompt = Prompt(*self._last, keep=self._several)
            self._last = None

    def scored(self, readings: Sequence[Reading], steps: Steps) -> list[Reading]:
        """Return the readings with the log-probabilities of their rows' options.

        Args:
            readings: What generation showed of each row.
            steps: Tokens that it chose in each row, and their log-probabilities.

        Raises:
            ProbeError: The model cannot be continued, or not as generation does it.
        """
        if self._prompt is None:
            raise ProbeError("generate() ran no prompt, so that no option can follow it")
        found: list[list[FloatArray]] = [[] for _ in self.options]
        for column in range(max(map(len, self.options))):
            words = [row[column] if column < len(row) else () for row in self.options]
            for scores, logprob in zip(found, self._prompt.logprobs(words), strict=True):
                # Rows with fewer options than others have an empty one here.
                scores.extend([logprob] if logprob.size else [])
        if self._several and not self._scorer.checked:
            self._scorer.checked = _check(self._prompt, *steps)
        return [
            replace(reading, option_logprob=tuple(scores))
            for reading, scores in zip(readings, found, strict=True)
        ]


Steps = tuple[Sequence[Sequence[int]], FloatArray]


def _check(prompt: Prompt, tokens: Sequence[Sequence[int]], logprob: FloatArray) -> bool:
    """Score generated tokens as options are scored; False if there are too few to tell.

    The first tells nothing, for it comes from the prompt's own pass. Rows that have ended
    go on with padding, which generation ran too.

    Args:
        prompt: What they follow.
        tokens: Generated in each row, all equally many.
        logprob: Their log-probabilities by generation, [rows, steps].

    Raises:
        ProbeError: The two ways do not agree.
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
