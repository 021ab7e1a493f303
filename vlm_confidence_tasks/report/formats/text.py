"""What a table's cell may hold, in every format."""


def one_line(text: str) -> str:
    r"""Turn white space into blanks, and what no page shows into a sign that stands for it.

    >>> one_line(" a\r\nb\x00 \u202ec")
    'a b\ufffd \ufffdc'
    """
    shown = " ".join(text.split())
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in shown)
