"""The tokens of a vocabulary that stand for each label."""

from collections.abc import Sequence
from typing import Any

# How tokenizers write a word that follows a space: SentencePiece and byte-level BPE.
_SPACE_MARKS = ("\u2581", "\u0120")


def label_tokens(tokenizer: Any, labels: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Return, for each label, the tokens that stand for it at the answer position.

    These are the label's single-token spellings: unchanged, in lower and in upper case,
    after a space, after an opening bracket ("Yes", " Yes", "yes", "YES"; "A", " A",
    "(A", "a"). A label without a single-token spelling is represented by the first token of
    its spellings.

    Raises:
        ValueError: Two labels begin with the same token, so that their probabilities
            cannot be separated.
    """
    vocabulary = tokenizer.get_vocab()
    tokens = tuple(tuple(sorted(_spelled(tokenizer, vocabulary, label))) for label in labels)
    for i, own in enumerate(tokens):
        for other, others in zip(labels[:i], tokens[:i], strict=True):
            if shared := set(own) & set(others):
                raise ValueError(
                    f"labels {other!r} and {labels[i]!r} begin with the same token "
                    f"{tokenizer.convert_ids_to_tokens(min(shared))!r} in this model's vocabulary: "
                    "their probabilities cannot be separated"
                )
    return tokens


def spellings(label: str) -> set[str]:
    """Return how answers spell a label: in three cases, plain, after a space or a bracket."""
    cases = {label, label.lower(), label.upper()}
    return {before + case for case in cases for before in ("", " ", "(", " (")}


def _spelled(tokenizer: Any, vocabulary: dict[str, int], label: str) -> set[int]:
    encoded = [tokenizer.encode(text, add_special_tokens=False) for text in spellings(label)]
    single = {tokens[0] for tokens in encoded if len(tokens) == 1}
    # SentencePiece encodes every text with a leading space; the piece without it, which
    # follows a newline or a bracket, has to be looked up in the vocabulary.
    single |= {
        vocabulary[mark + case]
        for case in {label, label.lower(), label.upper()}
        for mark in ("", *_SPACE_MARKS)
        if mark + case in vocabulary
    }
    return single or _first_tokens(tokenizer, [" " + label, label])


def _first_tokens(tokenizer: Any, texts: Sequence[str]) -> set[int]:
    """Return the first token of each text that is not only white space."""
    first = set()
    for text in texts:
        tokens = tokenizer.encode(text, add_special_tokens=False)
        first.add(next(token for token in tokens if tokenizer.decode([token]).strip()))
    return first
