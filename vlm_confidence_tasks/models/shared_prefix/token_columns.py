"""How tokens of many questions stand in the rows of one batch, and which see which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

PADDING = -1


@dataclass(frozen=True)
class Piece:
    """Consecutive tokens of one question behind its prefix.

    Attributes:
        owner: Whose they are: tokens see earlier ones of the same owner.
        parent: Another owner whose earlier tokens they see: the question of an option.
        offset: Distance of the first from the end of the prefix.
    """

    row: int
    owner: int
    parent: int
    offset: int
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Columns:
    """The tokens behind the prefixes of a batch; all of shape [rows, columns].

    Attributes:
        owner: Whose token stands in a column; `PADDING` for none's.
        parent: The other owner whose tokens it sees.
        offset: Its distance from the end of the prefix; 0 for padding.
    """

    owner: torch.Tensor
    parent: torch.Tensor
    offset: torch.Tensor

    def followed_by(self, more: Columns) -> Columns:
        """Return these columns and others after them."""
        pairs = ((getattr(self, name), getattr(more, name)) for name in _FIELDS)
        return Columns(*(torch.cat(pair, dim=1) for pair in pairs))


_FIELDS = ("owner", "parent", "offset")


def no_columns(rows: int, device: torch.device) -> Columns:
    """Return the columns of rows that hold their prefix only."""
    empty = torch.empty(rows, 0, dtype=torch.long, device=device)
    return Columns(empty, empty, empty)


def lay_out(
    pieces: Sequence[Piece], rows: int, device: torch.device
) -> tuple[torch.Tensor, Columns, list[int]]:
    """Lay pieces, in order within each row, out side by side, padded on the left.

    Returns:
        Token ids, [rows, columns]; what stands in the columns; the column after each piece's last.
    """
    table: list[list[tuple[int, int, int, int]]] = [[] for _ in range(rows)]
    for piece in pieces:
        table[piece.row] += [
            (token, piece.owner, piece.parent, piece.offset + index)
            for index, token in enumerate(piece.tokens)
        ]
    width = max(map(len, table))
    padding = [width - len(row) for row in table]
    filled = [
        [(0, PADDING, PADDING, 0)] * count + row for count, row in zip(padding, table, strict=True)
    ]
    numbers = torch.tensor(filled, dtype=torch.long, device=device)
    tokens, owner, parent, offset = numbers.unbind(dim=2)
    ends = []
    for piece in pieces:
        padding[piece.row] += len(piece.tokens)
        ends.append(padding[piece.row])
    return tokens, Columns(owner, parent, offset), ends


def visible(
    queries: Columns, keys: Columns, prefix: int, window: int | None = None
) -> torch.Tensor:
    """Return which keys each query sees, [rows, 1, queries, prefix + keys].

    A query sees the prefix, and the tokens of its owner and of its parent up to its own offset.
    Padding sees the prefix, since attention over nothing is not a number, and is seen by none.

    Args:
        queries: The columns of this pass, which are the last of `keys`.
        keys: All columns so far.
        prefix: Number of tokens of the prefix.
        window: Tokens see those at a smaller distance only (sliding-window attention); None: all.
    """
    owner, parent = queries.owner[:, :, None], queries.parent[:, :, None]
    distance = queries.offset[:, :, None] - keys.offset[:, None]
    theirs = keys.owner[:, None]
    own = ((theirs == owner) | (theirs == parent)) & (theirs != PADDING) & (distance >= 0)
    before = torch.arange(-prefix, 0, device=own.device)
    gap = queries.offset[:, :, None] - before
    shared = torch.ones_like(gap, dtype=torch.bool) if window is None else gap < window
    if window is not None:
        own = own & (distance < window)
        shared = shared | (queries.owner == PADDING)[:, :, None]
    return torch.cat([shared, own], dim=2)[:, None]
