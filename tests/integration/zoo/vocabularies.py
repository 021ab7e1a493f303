"""Tokenizers of the three kinds that vision-language models use, trained here on a few lines.

They differ in how a word that follows a space is written: byte-level BPE has a piece
"ĠYes" beside "Yes"; SentencePiece marks it "▁Yes" and puts that mark before whatever it
encodes; tiktoken's vocabularies are byte-level too, but split by another pattern and look
whole words up before they merge.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

# What the random models can say: labels as tokenizers spell them, and words around them.
SPOKEN = ("Yes", "No", "yes", "no", "the", "red", "is", "A", "B", "circle", ".", "answer")

_WORDS = ("Yes", "No", "yes", "no", "YES", "NO", *"ABCD", "the", "red", "is", "circle", "answer")
_CORPUS = [
    "Is there a red circle in the image?",
    "Is there a blue square in the image?",
    "Answer the question using a single word or phrase.",
    "You are a helpful assistant. Describe this image in detail.",
    " system user assistant USER: ASSISTANT: The answer is (A (B (C (D ) .",
    # Every word after a space, and after letters that are too rare to be joined to it:
    # so a piece with the space and one without are both learnt.
    *(f"{before}{word}" for word in _WORDS for before in (" ", "\n", "(")),
] * 20 + [f"{letter}{word}" for word in _WORDS for letter in "XZQJKxzqjk"]

_TIKTOKEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def make(
    kind: str, special: Sequence[str], *, padding_side: str = "right", **named: str
) -> PreTrainedTokenizerFast:
    """Return a tokenizer of `kind` with the given special tokens.

    Args:
        kind: "byte_level", "sentencepiece" or "tiktoken".
        special: Further special tokens, such as image placeholders.
        padding_side: Where batches are padded, unless an adapter decides.
        named: `bos_token`, `eos_token` and so on.
    """
    wanted = list(dict.fromkeys([*named.values(), *special]))
    tokenizer = Tokenizer.from_str(_trained(kind, tuple(wanted)))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        additional_special_tokens=[token for token in wanted if token not in named.values()],
        clean_up_tokenization_spaces=False,
        padding_side=padding_side,
        **named,
    )


@functools.cache
def _trained(kind: str, special: tuple[str, ...]) -> str:
    return {"byte_level": _byte_level, "sentencepiece": _sentencepiece, "tiktoken": _tiktoken}[
        kind
    ](special).to_str()


def _byte_level(special: tuple[str, ...]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return _train_bytes(tokenizer, special)


def _tiktoken(special: tuple[str, ...]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_TIKTOKEN_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return _train_bytes(tokenizer, special)


def _train_bytes(tokenizer: Tokenizer, special: tuple[str, ...]) -> Tokenizer:
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(special),
        min_frequency=5,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    return tokenizer


def _sentencepiece(special: tuple[str, ...]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    metaspace = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    newlines = pre_tokenizers.Split("\n", "removed")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([newlines, metaspace])
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<unk>", *special],
        min_frequency=5,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    tokenizer.pre_tokenizer = metaspace
    # As in Llama's vocabulary, a byte that no piece covers is a piece of its own.
    learned = json.loads(tokenizer.to_str())
    vocabulary = learned["model"]["vocab"]
    for byte in range(256):
        vocabulary.setdefault(f"<0x{byte:02X}>", len(vocabulary))
    learned["model"]["byte_fallback"] = True
    tokenizer = Tokenizer.from_str(json.dumps(learned))
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer
