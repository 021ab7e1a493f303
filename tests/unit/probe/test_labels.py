"""Which tokens say which label, for tokenizers of each kind."""

from __future__ import annotations

import pytest

from vlm_confidence_tasks.probe import label_tokens

from .tiny import YES_NO


def pieces_of(tokenizer, tokens):
    return set(tokenizer.convert_ids_to_tokens(list(tokens)))


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


def test_byte_level_spellings(tokenizer):
    yes, no = label_tokens(tokenizer, YES_NO)
    cases = ("Yes", "yes", "YES")
    assert pieces_of(tokenizer, yes) == {mark + case for mark in ("", "\u0120") for case in cases}
    assert {"No", "\u0120No", "no", "\u0120no"} <= pieces_of(tokenizer, no)


@pytest.mark.parametrize("kind", ["sentencepiece"], indirect=True)
def test_sentencepiece_spellings_include_the_piece_without_its_mark(any_tokenizer):
    # encode() always gives the marked piece; after a newline or a bracket the model writes
    # the other one.
    assert any_tokenizer.tokenize("Yes") == any_tokenizer.tokenize(" Yes") == ["\u2581Yes"]
    yes, _ = label_tokens(any_tokenizer, YES_NO)
    assert {"\u2581Yes", "Yes"} <= pieces_of(any_tokenizer, yes)


@pytest.mark.parametrize("kind", ["sentencepiece", "tiktoken"], indirect=True)
def test_a_letter_after_a_bracket_is_included_if_it_is_one_token(any_tokenizer):
    first, *_ = label_tokens(any_tokenizer, ("A", "B", "C", "D"))
    assert any(piece.endswith("(A") for piece in pieces_of(any_tokenizer, first))


def test_a_letter_is_spelled_in_both_cases(any_tokenizer):
    _, second = label_tokens(any_tokenizer, ("A", "B"))
    assert {"b", "B"} <= pieces_of(any_tokenizer, second)


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
