"""Going on from a prompt that generate() has run, with other words than it chose."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import Cache

from vlm_confidence_tasks.probe.backend import ProbeError
from vlm_confidence_tasks.probe.reading import FloatArray


class Prompt:
    """What a batch's prompts left in the model: key-value cache, positions, next logits.

    It is generation's own first pass that is kept: all inputs that the adapter prepared
    (pixels, grids, masks) have had their say in it, and no second pass over the prompt is
    needed. Each continuation runs on a copy of the cache.

    A token's position is that of the prompt's last token plus its distance from it, in
    every row of the position ids: also where images count for other positions than tokens
    (the Qwen-VL families), since a prompt ends with text.
    """

    def __init__(
        self, module: torch.nn.Module, kwargs: Mapping[str, Any], output: Any, *, keep: bool
    ) -> None:
        """Keep what continuing needs, before generate() chooses the first token.

        Args:
            module: The module whose forward was called.
            kwargs: What it was called with.
            output: What it gave.
            keep: Whether to copy the cache; without it, first tokens alone are scored.
        """
        self._module = module
        self._logprob = torch.log_softmax(output.logits[:, -1].float(), dim=-1)
        self._positions: torch.Tensor | None = kwargs.get("position_ids")
        self._mask: torch.Tensor | None = kwargs.get("attention_mask")
        self._cross_mask: torch.Tensor | None = kwargs.get("cross_attention_mask")
        cache = getattr(output, "past_key_values", None)
        self._cache = copy.deepcopy(cache) if keep and isinstance(cache, Cache) else None

    @property
    def name(self) -> str:
        """Name of the class whose loop runs."""
        return type(self._module).__name__

    @property
    def exact(self) -> bool:
        """Whether all weights are float32 at least, none shorter or quantised."""
        parameters = self._module.parameters()
        return all(p.is_floating_point() and p.element_size() >= 4 for p in parameters)

    @torch.no_grad()
    def logprobs(self, words: Sequence[Sequence[int]]) -> list[FloatArray]:
        """Score one continuation of each row; one short pass, none if all are one token.

        Args:
            words: Token ids that follow the prompt, a sequence for each row of the batch.

        Returns:
            For each row ln p of each of its tokens given those before it, in nats.

        Raises:
            ProbeError: This model cannot be continued.
        """
        longest = max(map(len, words))
        padded = [[*row, *[0] * (longest - len(row))] for row in words]
        tokens = torch.tensor(padded, dtype=torch.long, device=self._logprob.device)
        found = [self._logprob.gather(1, tokens[:, :1])]
        if longest > 1:
            logprob = torch.log_softmax(self._run(tokens[:, :-1]).float(), dim=-1)
            following = tokens[:, 1:, None].to(logprob.device)
            found.append(logprob.gather(2, following)[..., 0].to(tokens.device))
        rows = torch.cat(found, dim=1).cpu().numpy()
        return [row[: len(given)] for row, given in zip(rows, words, strict=True)]

    def _run(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the logits after each token, [rows, tokens, vocabulary]."""
        last = self._checked()[..., -1:]
        ahead = torch.arange(1, tokens.shape[1] + 1, device=last.device)
        output = self._module(
            input_ids=tokens,
            position_ids=last + ahead,
            past_key_values=copy.deepcopy(self._cache),
            use_cache=True,
            return_dict=True,
            **self._masks(tokens),
        )
        logits: torch.Tensor = output.logits
        return logits

    def _masks(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        """Extend the prompt's masks over the tokens. Padding on the right is masked by order."""
        masks = {}
        if self._mask is not None:
            seen = self._mask.new_ones(tokens.shape)
            masks["attention_mask"] = torch.cat([self._mask, seen], dim=1)
        if self._cross_mask is not None:
            last = self._cross_mask[:, -1:]
            masks["cross_attention_mask"] = last.expand(-1, tokens.shape[1], *last.shape[2:])
        return masks

    def _checked(self) -> torch.Tensor:
        """Return the prompts' position ids, if they can be continued."""
        if getattr(self._module.config, "is_encoder_decoder", False):
            why = "it has an encoder, which reads the prompt in its decoder's place"
        elif self._cache is None:
            why = "generate() kept no key-value cache; set use_cache to True"
        elif self._mask is not None and getattr(self._mask, "ndim", 0) != 2:
            why = "its attention mask has not one row a prompt"
        elif self._positions is not None:
            return self._positions
        else:
            why = "generate() gave it no position_ids"
        raise ProbeError(f"options of several tokens cannot be scored with {self.name}: {why}")
