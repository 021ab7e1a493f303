"""Tokens of a server, which are known by their bytes alone."""

from collections.abc import Iterator, Sequence
from itertools import islice

from vlm_confidence_tasks.probe.labels import MOST_SPELLINGS, Spellings, split_marks
from vlm_confidence_tasks.probe.top_k import TopKStep


def token_id(data: bytes) -> int:
    """Return a number for a token that is known by its bytes alone, from which they can be told.

    >>> token_bytes(token_id(b" Yes"))
    b' Yes'
    """
    return int.from_bytes(b"\x01" + data, "big")


def token_bytes(token: int) -> bytes:
    """Return the bytes of a token, given its `token_id`."""
    return token.to_bytes((token.bit_length() + 7) // 8, "big")[1:]


def spelled_tokens(steps: Sequence[TopKStep], labels: Sequence[str]) -> list[list[int]]:
    """Return, for each label, those of an answer's and its lists' tokens that stand for it.

    Besides these as many numbers below 0 as there may be other such tokens in a vocabulary: they
    count as unseen.
    """
    words, found = Spellings(labels), [set[int]() for _ in labels]
    for token in {token for step in steps for token in (step.token, *dict(step.likeliest))}:
        label = words.label(_text(token))
        if label is not None:
            found[label].add(token)
    for token, label in _begun(steps, words):
        found[label].add(token)
    unseen = iter(range(-1, -1 - MOST_SPELLINGS * len(labels), -1))
    return [[*sorted(own), *islice(unseen, max(0, MOST_SPELLINGS - len(own)))] for own in found]


def _begun(steps: Sequence[TopKStep], words: Spellings) -> Iterator[tuple[int, int]]:
    """Yield an answer's tokens that begin a label of several tokens, with the label's index."""
    texts = [_text(step.token) for step in steps]
    for index, step in enumerate(steps):
        _, part = split_marks(texts[index])
        label = words.begun(part, "".join([part, *texts[index + 1 :]])) if part else None
        if label is not None:
            yield step.token, label


def _text(token: int) -> str:
    return token_bytes(token).decode("utf-8", "replace")
