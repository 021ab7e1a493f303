"""How an option's text is written as an answer to a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vlm_confidence_tasks.probe.backend import ProbeError

Tokens = tuple[int, ...]

# Tokens at a prompt's end that are looked at.
PROMPT_END = 4


def option_tokens(tokenizer: Any, text: str, spaced: bool) -> Tokens:
    r"""Return the tokens of an option's text as an answer would have them.

    The text is encoded after a line break, which no tokenizer joins with what follows,
    and the break's own tokens are cut off. So SentencePiece, which puts a space before
    whatever it encodes, writes one only if `spaced`, as the other kinds do.

    Args:
        tokenizer: A Hugging Face tokenizer.
        text: Of the option.
        spaced: Whether a space stands between the prompt and the option.

    Raises:
        ProbeError: The text has no tokens.
    """
    text = f" {text}" if spaced else text
    start, whole = (
        tuple(tokenizer.encode(part, add_special_tokens=False)) for part in ("\n", f"\n{text}")
    )
    # Vocabularies without a line break may encode it as nothing, or join it after all.
    if whole[: len(start)] == start:
        tokens = whole[len(start) :]
    else:
        tokens = tuple(tokenizer.encode(text, add_special_tokens=False))
    if not tokens:
        raise ProbeError(f"option {text!r} has no tokens in this model's vocabulary")
    return tokens


def wants_space(tokenizer: Any, prompt: Sequence[int]) -> bool:
    r"""Whether an answer to a prompt begins with a space.

    It does ("ASSISTANT:", then " Yes") unless the prompt ends with white space
    ("assistant\n", then "Yes") or with a special token.

    Args:
        tokenizer: A Hugging Face tokenizer.
        prompt: Its token ids.
    """
    end = [int(token) for token in prompt[-PROMPT_END:]]
    if not end or end[-1] in _special(tokenizer):
        return False
    text = tokenizer.decode(end, clean_up_tokenization_spaces=False)
    return bool(text) and not text[-1].isspace()


def _special(tokenizer: Any) -> set[int]:
    return {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
