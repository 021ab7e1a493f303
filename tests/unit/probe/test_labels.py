"""Which tokens say which label, for tokenizers of each kind."""

from __future__ import annotations

import pytest

from vlm_confidence_tasks.probe import label_tokens

from .tiny import YES_NO


def spelled(tokenizer, label):
    """Search the whole vocabulary for pieces that say the label, marks and bracket aside."""
    cases = {label, label.lower(), label.upper()}
    marked = {
        before + bracket + case
        for before in ("", "\u2581", "\u0120")
        for bracket in ("", "(")
        for case in cases
    }
    return {token for piece, token in tokenizer.get_vocab().items() if piece in marked}


@pytest.mark.parametrize("labels", [YES_NO, ("A", "B", "C", "D")])
def test_all_single_token_spellings_are_found(any_tokenizer, labels):
    found = label_tokens(any_tokenizer, labels)
    for label, tokens in zip(labels, found, strict=True):
        assert set(tokens) == spelled(any_tokenizer, label)
        assert list(tokens) == sorted(set(tokens))
        assert len(tokens) >= 2, "with a space before it and without"


def test_no_labels_have_no_tokens(any_tokenizer):
    assert label_tokens(any_tokenizer, ()) == ()


@pytest.mark.parametrize("label", ["quokka", "kiwi"])
def test_a_label_of_several_tokens_is_represented_by_its_first(any_tokenizer, label):
    # The space before "kiwi" is a token of its own, which begins every other word too.
    assert len(any_tokenizer.tokenize(label)) > 1
    (tokens,) = label_tokens(any_tokenizer, (label,))
    for token in tokens:
        spelling = any_tokenizer.decode([token]).strip()
        assert spelling
        assert label.startswith(spelling)


def test_labels_of_one_and_of_several_tokens_can_be_mixed(any_tokenizer):
    yes, quokka = label_tokens(any_tokenizer, ("Yes", "quokka"))
    assert set(yes) == spelled(any_tokenizer, "Yes")
    assert not set(yes) & set(quokka)


def test_labels_that_share_their_first_token_raise_with_both_names(any_tokenizer):
    with pytest.raises(ValueError, match="'quokka' and 'quagga' begin with the same token"):
        label_tokens(any_tokenizer, ("Yes", "quokka", "quagga"))


def test_labels_that_differ_in_case_only_raise(any_tokenizer):
    with pytest.raises(ValueError, match="'Yes' and 'yes' begin with the same token"):
        label_tokens(any_tokenizer, ("Yes", "yes"))


class BytesTokenizer:
    """What tiktoken's own tokenizers look like in a wrapper: pieces are bytes."""

    pieces = (b"Yes", b" Yes", b"yes", b"No", b" No", b" no", b"(", b"\n")

    def get_vocab(self):
        return {piece: token for token, piece in enumerate(self.pieces)}

    def encode(self, text, add_special_tokens=True):
        assert not add_special_tokens
        rest, tokens = text.encode(), []
        while rest:
            longest = max(filter(rest.startswith, self.pieces), key=len, default=None)
            tokens.append(99 if longest is None else self.pieces.index(longest))
            rest = rest[len(longest or b".") :]
        return tokens

    def decode(self, tokens):
        return b"".join(self.pieces[token] for token in tokens).decode()


def test_labels_in_a_byte_level_vocabulary():
    yes, no = label_tokens(BytesTokenizer(), YES_NO)
    assert [BytesTokenizer.pieces[token] for token in yes] == [b"Yes", b" Yes", b"yes"]
    assert [BytesTokenizer.pieces[token] for token in no] == [b"No", b" No", b" no"]
