"""Runs a model over tokens of many questions behind the prefixes that they share."""

from collections.abc import Sequence
from typing import Any, Literal

import torch

from vlm_confidence_tasks.models.shared_prefix.prefix import KeyValues, Prefix, cache_of, key_values
from vlm_confidence_tasks.models.shared_prefix.prompts import Prompt
from vlm_confidence_tasks.models.shared_prefix.token_columns import (
    Columns,
    Piece,
    lay_out,
    no_columns,
    visible,
)

Layout = Literal["packed", "padded"]


class SharedRows:
    """A batch of questions behind their prefixes.

    Packed: the questions about one image stand side by side in the image's row, and a mask lets
    each see its prefix and itself alone. Padded: each has a row of its own behind a copy of the
    prefix's keys and values.
    """

    def __init__(
        self,
        model: Any,
        prefix: Prefix,
        prompts: Sequence[Prompt],
        images: Sequence[int],
        layout: Layout,
    ) -> None:
        """Begin after the prefixes; `images` are the rows of `prefix`, one for each prompt."""
        self.prompts = prompts
        self._model = model
        self._packed = layout == "packed"
        self._rows = list(images) if self._packed else list(range(len(images)))
        self._prefix = prefix if self._packed else prefix.repeated(images)
        self._device = prefix.next_position.device
        self._cache = cache_of(self._prefix.key_values)
        self._keys = no_columns(len(self._prefix.next_position), self._device)
        self._places: tuple[list[int], list[int], list[int]] = ([], [], [])

    def own_tokens(self, question: int) -> tuple[int, ...]:
        """Return the tokens of a question's prompt behind its prefix."""
        return self.prompts[question].tokens[self._prefix.length :]

    def piece(self, question: int, offset: int, tokens: Sequence[int]) -> Piece:
        """Return tokens of a question, `offset` after the end of its prefix."""
        return Piece(self._rows[question], question, PARENTLESS, offset, tuple(tokens))

    def state(self) -> tuple[KeyValues, Columns]:
        """Return what `rewind` goes back to."""
        return key_values(self._cache), self._keys

    def rewind(self, state: tuple[KeyValues, Columns]) -> None:
        """Forget all tokens since a state."""
        self._cache, self._keys = cache_of(state[0]), state[1]

    def pick(self, states: torch.Tensor) -> torch.Tensor:
        """Return the states of the last tokens of this pass's questions, [questions, width].

        `states` are a module's output in this pass, [rows, columns, width].
        """
        owners, rows, columns = self._places
        picked = states.new_zeros(len(self._rows), states.shape[-1])
        picked[owners] = states[rows, columns]
        return picked

    def run(self, pieces: Sequence[Piece], *, every: bool = False) -> list[torch.Tensor]:
        """Append tokens and return logits, [tokens, vocabulary] for each piece.

        In padded rows there is at most one piece in a row. Logits are those after each token
        (`every`), or after the last only.
        """
        tokens, columns, ends = lay_out(pieces, len(self._keys.owner), self._device)
        self._keys = self._keys.followed_by(columns)
        starts = [
            end - (len(piece.tokens) if every else 1)
            for piece, end in zip(pieces, ends, strict=True)
        ]
        self._places = (
            [piece.owner for piece in pieces],
            [piece.row for piece in pieces],
            [end - 1 for end in ends],
        )
        spans = [range(start, end) for start, end in zip(starts, ends, strict=True)]
        wanted = sorted(set().union(*spans))
        all_wanted = len(wanted) == tokens.shape[1]
        output = self._model(
            input_ids=tokens,
            attention_mask=self._mask(columns),
            position_ids=self._positions(columns),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=0 if all_wanted else torch.tensor(wanted, device=self._device),
            **self._cross_mask(tokens.shape[1]),
        )
        at = {column: index for index, column in enumerate(wanted)}
        return [
            output.logits[piece.row, at[span[0]] : at[span[-1]] + 1]
            for piece, span in zip(pieces, spans, strict=True)
        ]

    def _positions(self, columns: Columns) -> torch.Tensor:
        positions = self._prefix.next_position[:, None] + columns.offset
        axes = self._prefix.axes
        return positions if axes is None else positions.expand(axes, *positions.shape)

    def _mask(self, columns: Columns) -> Any:
        length = self._prefix.length
        if not self._packed:
            before = self._keys.owner.new_ones(len(self._keys.owner), length)
            return torch.cat([before, (self._keys.owner >= 0).long()], dim=1)
        config = self._model.config.get_text_config()
        full = visible(columns, self._keys, length)
        kinds = layer_kinds(config)
        if kinds == {"full_attention"}:
            return self._as_attention_takes_it(full)
        sliding = visible(columns, self._keys, length, int(config.sliding_window))
        if kinds == {"sliding_attention"} or bool((full == sliding).all()):
            return self._as_attention_takes_it(sliding)
        return {
            "full_attention": self._as_attention_takes_it(full),
            "sliding_attention": self._as_attention_takes_it(sliding),
        }

    def _as_attention_takes_it(self, mask: torch.Tensor) -> torch.Tensor:
        if attention(self._model) == "sdpa":
            return mask
        # The eager kernel adds its mask to the scores.
        dtype = self._model.dtype
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(
            ~mask, torch.finfo(dtype).min
        )

    def _cross_mask(self, tokens: int) -> dict[str, torch.Tensor]:
        mask = self._prefix.cross_mask
        if mask is None:
            return {}
        return {"cross_attention_mask": mask.expand(-1, tokens, *mask.shape[2:])}


# No owner has this number.
PARENTLESS = -2


def attention(model: Any) -> str:
    """Return the name of the language model's attention kernel."""
    return str(model.config.get_text_config()._attn_implementation)


def layer_kinds(config: Any) -> set[str]:
    """Return the kinds of attention of a language model's layers, as transformers names them."""
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return set(kinds)
    window = getattr(config, "sliding_window", None)
    return {"full_attention" if window is None else "sliding_attention"}
