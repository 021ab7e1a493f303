"""The tokens of a vocabulary that stand for each label."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from loguru import logger
from tokenizers.pre_tokenizers import ByteLevel

from vlm_confidence_tasks.label_words import full_width, other_forms, own_forms, plain

# What a token decodes to that holds a part of a character.
BROKEN = "\ufffd"
# What may stand before a letter in lower case, which behind other marks begins a word: "I'd".
_BEFORE_SMALL = ("", " ", "(", " (")
# Behind it a letter is a unit.
_DEGREE = "\u00b0"
# The most tokens that spell one label in a vocabulary of six families, and a few more.
MOST_SPELLINGS = 64
_WORD = re.compile(r"[^\W_]+")
# After these the first token of a word is looked for: vocabularies join it to some of them.
_CONTEXTS = ("", " ", "\n", '"', "(", "*")


class Spellings:
    """The words that name labels, and which of them the text of a token spells.

    A text spells a label if it is one of its words, in a case that is no other word, behind any
    marks: characters that are neither letters nor digits. Letters of options are in upper case;
    in lower case they count alone, after a space or a round bracket.

    >>> words = Spellings(("A", "B"))
    >>> [words.label(text) for text in ("A", '"B', " (b", "-b", "AB", "{B")]
    [0, 1, 1, None, None, 1]

    Attributes:
        own: The label itself in each case, for each label.
        other: The other words for it.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        """Collect the words of labels.

        Raises:
            ValueError: Two labels differ in case only.
        """
        self.own = [own_forms(label) for label in labels]
        self.other = [other_forms(label) for label in labels]
        self._label_of: dict[str, int] = {}
        for index, word in _numbered(self.own):
            first = self._label_of.setdefault(word, index)
            if first != index:
                raise ValueError(
                    f"labels {labels[first]!r} and {labels[index]!r} are both spelled {word!r}: "
                    "their probabilities cannot be separated"
                )
        # A label may be another word for another.
        for index, word in _numbered(self.other):
            self._label_of.setdefault(word, index)

    @property
    def all(self) -> list[str]:
        """All words, in order."""
        return sorted(self._label_of)

    def label(self, text: str) -> int | None:
        """Return the index of the label that a token's text spells, None if it spells none."""
        marks, word = split_marks(plain(text))
        if len(word) == 1 and word.islower() and text[:-1] not in _BEFORE_SMALL:
            return None
        return None if marks.endswith(_DEGREE) else self._label_of.get(word)

    def begun(self, part: str, text: str) -> int | None:
        """Return the label that a text names first, if only that one begins with `part` of it.

        >>> words = Spellings(("Yes", "No"))
        >>> words.begun("Y", "YES."), words.begun("Y", "You"), words.begun("n", "nah")
        (0, None, None)
        """
        found = _WORD.match(text)
        word = "" if found is None else found[0]
        label = self._label_of.get(word)
        if label is None or part == word or (len(part) < 2 and word not in self.own[label]):
            return None
        begins = {other for word, other in self._label_of.items() if word.startswith(part)}
        return label if begins == {label} else None


def _numbered(words: Sequence[Collection[str]]) -> Iterator[tuple[int, str]]:
    """Yield each word with its label's index, in order."""
    return ((label, word) for label, own in enumerate(words) for word in sorted(own))


def split_marks(text: str) -> tuple[str, str]:
    """Return the marks that a text begins with, and the rest.

    >>> split_marks(' "_Yes')
    (' "_', 'Yes')
    """
    ends = (n for n, character in enumerate(text) if character.isalnum() or character == BROKEN)
    end = next(ends, len(text))
    return text[:end], text[end:]


def label_tokens(tokenizer: Any, labels: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Return, for each label, the tokens that stand for it at the answer position.

    These are all tokens of the vocabulary that spell it (`Spellings`), alone or fused with the
    marks before it ("Yes", " Yes", '"Yes', "YES"; "A", "(A", "{A", "*A"), and the first token of
    each of its spellings of several tokens, unless another label begins with it too.

    Returns:
        () if a label has no token of its own, since the probabilities of all are then unknown: a
        warning names it and the token that it shares.

    Raises:
        ValueError: Two labels differ in case only.
    """
    return _label_tokens(tokenizer, tuple(labels))


# Once for a tokenizer's labels: so long takes the look, and so often is the warning given.
@lru_cache(maxsize=64)
def _label_tokens(tokenizer: Any, labels: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    if not labels:
        return ()
    words = Spellings(labels)
    spelled = dict(_spelled(tokenizer, words))
    own = set(_first_tokens(tokenizer, words.own, parts=True))
    # Too much else begins as "nah" does.
    chinese = [{word for word in other if not word.isascii()} for other in words.other]
    claims: dict[int, set[int]] = {}
    for token, label in (*spelled.items(), *own, *_first_tokens(tokenizer, chinese, parts=False)):
        claims.setdefault(token, set()).add(label)
    # What a token spells alone goes before what it begins.
    label_of = {token: min(claim) for token, claim in claims.items() if len(claim) == 1} | spelled
    tokens = tuple(
        tuple(sorted(token for token, label in label_of.items() if label == index))
        for index in range(len(labels))
    )
    shared: dict[tuple[int, ...], list[str]] = {}
    for token, _ in sorted(own):
        if len(claims[token]) > 1:
            shared.setdefault(tuple(sorted(claims[token])), []).append(tokenizer.decode([token]))
    _warn(shared, labels, tokens)
    return tokens if all(tokens) else ()


def _warn(
    shared: Mapping[tuple[int, ...], Sequence[str]],
    labels: Sequence[str],
    tokens: Sequence[Sequence[int]],
) -> None:
    """Say in one line which labels begin with the same token, and which have none of their own."""
    parts = [
        f"{' and '.join(repr(labels[index]) for index in claim)} begin with the same token "
        f"({', '.join(map(repr, dict.fromkeys(texts)))})"
        for claim, texts in shared.items()
    ]
    parts += [
        f"{label!r} has no token of its own"
        for label, own in zip(labels, tokens, strict=True)
        if not own
    ]
    if parts:
        lost = "answers so spelled" if all(tokens) else "answers to these questions"
        logger.warning(
            f"labels in this model's vocabulary: {'; '.join(parts)}; {lost} have no probabilities "
            "and no confidence (position_unknown)"
        )


def _spelled(tokenizer: Any, words: Spellings) -> Iterator[tuple[int, int]]:
    """Yield each token that spells a label, with the label's index.

    Of the vocabulary's pieces only those are decoded that may spell one, as byte-level BPE or
    SentencePiece writes it.
    """
    forms = {form for word in words.all for form in (word, full_width(word))}
    as_bytes = ByteLevel(add_prefix_space=False, use_regex=False)
    forms |= {as_bytes.pre_tokenize_str(form)[0][0] for form in forms}
    # SentencePiece has a token for each byte, which may be a letter.
    alike = re.compile(rf"[^A-Za-z0-9]*(?:{'|'.join(map(re.escape, sorted(forms)))})|<0x..>")
    ends = {form[-1:] for form in forms} | {">"}
    for piece, token in _vocabulary(tokenizer).items():
        text = piece.decode("utf-8", "replace") if isinstance(piece, bytes) else piece
        if text[-1:] in ends and alike.fullmatch(text):
            label = words.label(tokenizer.decode([token]))
            if label is not None:
                yield token, label


# It takes a second where there are 260,000 pieces.
@lru_cache(maxsize=2)
def _vocabulary(tokenizer: Any) -> Mapping[str | bytes, int]:
    vocabulary: Mapping[str | bytes, int] = tokenizer.get_vocab()
    return vocabulary


def _first_tokens(
    tokenizer: Any, words: Sequence[Collection[str]], parts: bool
) -> Iterator[tuple[int, int]]:
    """Yield the first token of each word of several tokens behind each mark, and its label's index.

    `parts` tells whether it may be a part of a character.
    """
    for label, word in _numbered(words):
        for before in _CONTEXTS:
            encoded = tokenizer.encode(before + word, add_special_tokens=False)
            texts = ((token, split_marks(tokenizer.decode([token]))[1]) for token in encoded)
            token, begun = next(((token, text) for token, text in texts if text), (-1, word))
            whole = begun != word and word.startswith(begun)
            if whole or (parts and begun.startswith(BROKEN)):
                yield token, label
