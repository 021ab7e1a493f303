"""Which tokens see which, against plain loops."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.models.shared_prefix.token_columns import (
    PADDING,
    Piece,
    lay_out,
    no_columns,
    visible,
)

CPU = torch.device("cpu")
lengths = st.lists(st.lists(st.integers(1, 4), max_size=4), min_size=1, max_size=3).filter(any)


def pieces_of(rows: list[list[int]]) -> list[Piece]:
    """A question of each length in its row, with tokens that are told apart."""
    made: list[Piece] = []
    for row, own in enumerate(rows):
        for count in own:
            first = 1 + sum(len(piece.tokens) for piece in made)
            tokens = tuple(range(first, first + count))
            made.append(Piece(row, len(made), -2, 0, tokens))
    return made


@given(lengths)
def test_pieces_stand_side_by_side_and_end_where_it_says(rows: list[list[int]]) -> None:
    pieces = pieces_of(rows)
    tokens, columns, ends = lay_out(pieces, len(rows), CPU)
    width = max(map(sum, rows))
    assert tokens.shape == columns.owner.shape == (len(rows), width)
    for piece, end in zip(pieces, ends, strict=True):
        span = slice(end - len(piece.tokens), end)
        assert tuple(tokens[piece.row, span].tolist()) == piece.tokens
        assert set(columns.owner[piece.row, span].tolist()) == {piece.owner}
        assert columns.offset[piece.row, span].tolist() == list(range(len(piece.tokens)))
    assert int((columns.owner != PADDING).sum()) == sum(map(sum, rows))


@given(lengths, st.integers(1, 5), st.none() | st.integers(1, 7))
def test_a_token_sees_its_prefix_and_its_own_question_so_far(
    rows: list[list[int]], prefix: int, window: int | None
) -> None:
    pieces = pieces_of(rows)
    _, columns, _ = lay_out(pieces, len(rows), CPU)
    later = [Piece(piece.row, piece.owner, -2, len(piece.tokens), (99,)) for piece in pieces[::2]]
    # An option of the first question, which sees the question and no later token of it.
    later.append(Piece(pieces[0].row, 50, pieces[0].owner, len(pieces[0].tokens), (98, 97)))
    _, step, _ = lay_out(later, len(rows), CPU)
    keys = no_columns(len(rows), CPU).followed_by(columns).followed_by(step)
    for queries in (columns, step):
        seen_keys = columns if queries is columns else keys
        found = visible(queries, seen_keys, prefix, window)
        assert found.shape == (
            len(rows),
            1,
            queries.owner.shape[1],
            prefix + seen_keys.owner.shape[1],
        )
        for row in range(len(rows)):
            held = list(
                zip(seen_keys.owner[row].tolist(), seen_keys.offset[row].tolist(), strict=True)
            )
            for query in range(queries.owner.shape[1]):
                owner, offset = int(queries.owner[row, query]), int(queries.offset[row, query])
                parent = int(queries.parent[row, query])
                expected = [
                    owner == PADDING or window is None or offset + prefix - key < window
                    for key in range(prefix)
                ]
                expected += [
                    theirs in (owner, parent)
                    and theirs != PADDING
                    and at <= offset
                    and (window is None or offset - at < window)
                    for theirs, at in held
                ]
                assert found[row, 0, query].tolist() == expected
