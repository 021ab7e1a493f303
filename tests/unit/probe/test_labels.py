"""Which tokens say which label, for tokenizers of each kind."""

from __future__ import annotations

import pytest
from loguru import logger
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from vlm_confidence_tasks.probe import label_tokens

from .tiny import YES_NO, make_tokenizer


def spelled(tokenizer, label):
    """Search all tokens for those whose text is the label behind marks, by decoding each."""
    found = set()
    for token in tokenizer.get_vocab().values():
        text = tokenizer.decode([token])
        before, case = text[: -len(label)], text[-len(label) :]
        small = len(label) == 1 and case.islower()
        if case in {label, label.lower(), label.upper()} and not any(map(str.isalnum, before)):
            if before in ("", " ", "(", " (") or not small:
                found.add(token)
    return found


@pytest.mark.parametrize("labels", [YES_NO, ("A", "B", "C", "D")])
def test_all_tokens_that_spell_a_label_are_found(any_tokenizer, labels):
    found = label_tokens(any_tokenizer, labels)
    for label, tokens in zip(labels, found, strict=True):
        assert set(tokens) == spelled(any_tokenizer, label)
        assert list(tokens) == sorted(set(tokens))
        assert len(tokens) >= 2, "with a space before it and without"


def bytes_of(text: str) -> str:
    """Write a text as byte-level vocabularies do."""
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return as_bytes.pre_tokenize_str(text)[0][0]


# Pieces and the label that each spells.
PIECES = {
    **dict.fromkeys(('"Yes', ">Yes", "_YES", ":yes", "\u201cYes", "\xa0yes", "\n\nYes", "Yeah"), 0),
    **dict.fromkeys(("\u662f", "\u6b63\u786e", "\uff39\uff45\uff53"), 0),
    **dict.fromkeys(("-No", "**No", "</No", "\u6ca1\u6709", "\u4e0d", "\uff0cNO"), 1),
    **dict.fromkeys(("yEs", "Yes.", "NoYes", "1No", "xNo", "Note", "\u4e0d\u77e5", "No "), None),
}
LETTERS = {
    **dict.fromkeys(
        ("{B", '"B', "[B", "*B", ":B", "-B", ".B", "=B", "/B", "\u201cB", "\u3010B"), 1
    ),
    **dict.fromkeys(("B", "b", " b", "(b", " (b", "\uff22", "\uff42"), 1),
    **dict.fromkeys(("-b", '"b', "'b", "\u00b0B", "AB", "BB", "B)", "1B", "B'"), None),
}


@pytest.mark.parametrize(("labels", "pieces"), [(YES_NO, PIECES), (("A", "B"), LETTERS)])
def test_labels_fused_with_marks_are_told_from_other_words(labels, pieces):
    vocabulary = {bytes_of(text): token for token, text in enumerate((*pieces, "A", "Yes", "No"))}
    model = Tokenizer(models.WordLevel(vocabulary | {"?": 99}, unk_token="?"))
    model.decoder = decoders.ByteLevel()
    found = label_tokens(PreTrainedTokenizerFast(tokenizer_object=model), labels)
    label_of = {token: label for label, tokens in enumerate(found) for token in tokens}
    for token, (text, label) in enumerate(pieces.items()):
        assert label_of.get(token) == label, text


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
        assert any(form.startswith(spelling) for form in (label, label.upper(), label.title()))


def test_labels_of_one_and_of_several_tokens_can_be_mixed(any_tokenizer):
    yes, quokka = label_tokens(any_tokenizer, ("Yes", "quokka"))
    assert set(yes) == spelled(any_tokenizer, "Yes")
    assert not set(yes) & set(quokka)


@pytest.fixture
def said():
    """What is logged, line by line."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{message}")
    yield lines
    logger.remove(sink)


def test_labels_that_cannot_be_told_apart_have_no_tokens_and_are_named_in_one_line(kind, said):
    tokenizer = make_tokenizer(kind)
    assert label_tokens(tokenizer, ("Yes", "quokka", "quagga")) == ()
    assert label_tokens(tokenizer, ("Yes", "quokka", "quagga")) == ()
    (line,) = said
    assert "'quokka' and 'quagga' begin with the same token (" in line
    assert (
        "'quokka' has no token of its own; 'quagga' has no token of its own; answers to these"
        in line
    )


def test_a_label_that_begins_as_another_does_is_named(said):
    tokenizer = make_tokenizer("byte_level")
    assert label_tokens(tokenizer, ("red", "redder")) == ()
    (line,) = said
    assert (
        "'red' and 'redder' begin with the same token" in line and "'redder' has no token" in line
    )


def test_labels_that_differ_in_case_only_raise(any_tokenizer):
    with pytest.raises(ValueError, match="'Yes' and 'yes' are both spelled 'YES'"):
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
        return b"".join(self.pieces[token] for token in tokens if token != 99).decode()


def test_labels_in_a_byte_level_vocabulary():
    yes, no = label_tokens(BytesTokenizer(), YES_NO)
    assert [BytesTokenizer.pieces[token] for token in yes] == [b"Yes", b" Yes", b"yes"]
    assert [BytesTokenizer.pieces[token] for token in no] == [b"No", b" No", b" no"]
