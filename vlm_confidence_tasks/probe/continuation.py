"""Scores continuations of a prompt from the key-value cache of generate()'s prefill pass."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import Cache

from vlm_confidence_tasks.probe.backend import ProbeError
from vlm_confidence_tasks.probe.distribution import measure
from vlm_confidence_tasks.probe.reading import FloatArray


class PromptState:
    """The model's state after a batch's prompts: key-value cache, positions, next logits.

    It is taken from generation's own prefill pass, so it depends on all inputs that the
    adapter prepared (pixels, grids, masks), and no second pass over the prompt is needed.
    Each continuation runs on a copy of the cache.

    A token's position is that of the prompt's last token plus its distance from it, in every
    row of the position ids. This also holds where images take up fewer positions than tokens
    (the Qwen-VL families), since a prompt ends with text.
    """

    def __init__(
        self, module: torch.nn.Module, kwargs: Mapping[str, Any], output: Any, *, copy_cache: bool
    ) -> None:
        """Store what a module's forward was given and returned in the prefill pass.

        Without a copy of the cache, only continuations of one token can be scored.
        """
        self.module = module
        # A view would keep the logits of the whole prompt alive.
        self._logits: torch.Tensor = output.logits[:, -1].clone()
        self._positions: torch.Tensor | None = kwargs.get("position_ids")
        self._mask: torch.Tensor | None = kwargs.get("attention_mask")
        self._cross_mask: torch.Tensor | None = kwargs.get("cross_attention_mask")
        cache = getattr(output, "past_key_values", None)
        self._cache = copy.deepcopy(cache) if copy_cache and isinstance(cache, Cache) else None

    @torch.no_grad()
    def logprobs(self, continuations: Sequence[Sequence[int]]) -> list[FloatArray]:
        """Return ln p of each token of each row's continuation, in nats.

        Takes one short forward pass, or none if all continuations have one token.
        """
        longest = max(map(len, continuations))
        padded = [[*row, *[0] * (longest - len(row))] for row in continuations]
        tokens = torch.tensor(padded, dtype=torch.long, device=self._logits.device)
        found = [measure(self._logits, tokens[:, :1])[1]]
        if longest > 1:
            logits = self._run(tokens[:, :-1])
            following = tokens[:, 1:].reshape(-1, 1).to(logits.device)
            logprob = measure(logits.flatten(0, 1), following)[1]
            found.append(logprob.reshape(len(tokens), -1).to(tokens.device))
        rows = torch.cat(found, dim=1).cpu().numpy()
        return [row[: len(tokens)] for row, tokens in zip(rows, continuations, strict=True)]

    def _run(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the logits after each token, [rows, tokens, vocabulary]."""
        last = self._checked_positions()[..., -1:]
        offsets = torch.arange(1, tokens.shape[1] + 1, device=last.device)
        output = self.module(
            input_ids=tokens,
            position_ids=last + offsets,
            past_key_values=copy.deepcopy(self._cache),
            use_cache=True,
            return_dict=True,
            **self._masks(tokens),
        )
        logits: torch.Tensor = output.logits
        return logits

    def _masks(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        """Extend the prompt's masks over the tokens; causality masks padding on the right."""
        masks = {}
        if self._mask is not None:
            ones = self._mask.new_ones(tokens.shape)
            masks["attention_mask"] = torch.cat([self._mask, ones], dim=1)
        if self._cross_mask is not None:
            last = self._cross_mask[:, -1:]
            masks["cross_attention_mask"] = last.expand(-1, tokens.shape[1], *last.shape[2:])
        return masks

    def _checked_positions(self) -> torch.Tensor:
        """Return the prompts' position ids after checking that the cache can be continued."""
        if getattr(self.module.config, "is_encoder_decoder", False):
            why = "it has an encoder, which reads the prompt in its decoder's place"
        elif self._cache is None:
            why = "generate() returned no key-value cache; set use_cache to True"
        elif self._mask is not None and getattr(self._mask, "ndim", 0) != 2:
            why = "its attention mask has not one row a prompt"
        elif self._positions is not None:
            return self._positions
        else:
            why = "generate() gave it no position_ids"
        name = type(self.module).__name__
        raise ProbeError(f"options of several tokens cannot be scored with {name}: {why}")
