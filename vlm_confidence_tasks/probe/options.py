"""Tokenises an option's text as the continuation of a prompt."""

from collections.abc import Sequence
from typing import Any

from vlm_confidence_tasks.probe.backend import ProbeError

Tokens = tuple[int, ...]

# How many tokens at a prompt's end are decoded.
PROMPT_END = 4


def option_tokens(tokenizer: Any, text: str, spaced: bool) -> Tokens:
    """Return the tokens of an option's text as in a generated answer.

    The text is encoded after a line break, which tokenizers do not merge with the text after
    it, and the break's own tokens are removed. This way SentencePiece, which adds a leading
    space to every text, adds one only if one separates prompt and option (`spaced`), as other
    tokenizers do.

    Raises:
        ProbeError: The text has no tokens.
    """
    text = f" {text}" if spaced else text
    line_break, encoded = (
        tuple(tokenizer.encode(part, add_special_tokens=False)) for part in ("\n", f"\n{text}")
    )
    # Vocabularies without a line break may encode it as nothing or as part of the next token.
    if encoded[: len(line_break)] == line_break:
        tokens = encoded[len(line_break) :]
    else:
        tokens = tuple(tokenizer.encode(text, add_special_tokens=False))
    if not tokens:
        raise ProbeError(f"option {text!r} has no tokens in this model's vocabulary")
    return tokens


def begins_with_space(tokenizer: Any, prompt: Sequence[int]) -> bool:
    r"""Whether an answer to a prompt, given as token ids, begins with a space.

    It does ("ASSISTANT:" + " Yes") unless the prompt ends with white space
    ("assistant\n" + "Yes") or with a special token.
    """
    end = [int(token) for token in prompt[-PROMPT_END:]]
    special = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    if not end or end[-1] in special:
        return False
    text = tokenizer.decode(end, clean_up_tokenization_spaces=False)
    return bool(text) and not text[-1].isspace()


def options_of(tokenizer: Any, texts: Sequence[str], prompt: Sequence[int]) -> list[Tokens]:
    """Return the tokens of each option's text after a prompt, given as token ids."""
    if not texts:
        return []
    spaced = begins_with_space(tokenizer, prompt)
    return [option_tokens(tokenizer, text, spaced) for text in texts]
