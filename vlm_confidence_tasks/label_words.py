"""How answers write labels: in other words, in full-width forms, in which case."""

# Full-width forms, character by character, so that places in the text stay what they are.
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
# Yes and no in other words, the longer before what it begins with.
OTHER_WORDS = {
    **dict.fromkeys(("是的", "是", "对的", "對的", "对", "對", "没错", "沒錯"), "yes"),
    **dict.fromkeys(("有的", "有", "正确", "正確", "yeah", "yep", "yup"), "yes"),
    **dict.fromkeys(("不是的", "不是", "不对", "不對", "不", "否", "错误", "錯誤"), "no"),
    **dict.fromkeys(("没有", "沒有", "没", "沒", "nope", "nah"), "no"),
}


def plain(text: str) -> str:
    """Return a text with its full-width forms as ASCII; every character keeps its place.

    >>> plain("Answer\uff1a\uff22")
    'Answer:B'
    """
    return text.translate(_FULL_WIDTH)


def full_width(text: str) -> str:
    """Return a text with its ASCII characters in their full-width forms.

    >>> plain(full_width("(B)"))
    '(B)'
    """
    return text.translate({plain: wide for wide, plain in _FULL_WIDTH.items()})


def own_forms(word: str) -> set[str]:
    """Return a word in the cases that answers write it in.

    >>> sorted(own_forms("Yes")), sorted(own_forms("A"))
    (['YES', 'Yes', 'yes'], ['A', 'a'])
    """
    return {word, word.lower(), word.upper(), word[:1].upper() + word[1:].lower()}


def other_forms(label: str) -> set[str]:
    """Return the other words that mean a label, in the same cases.

    >>> sorted(form for form in other_forms("No") if form.isascii())
    ['NAH', 'NOPE', 'Nah', 'Nope', 'nah', 'nope']
    """
    words = [word for word, meant in OTHER_WORDS.items() if meant == label.casefold()]
    return {form for word in words for form in own_forms(word)}
