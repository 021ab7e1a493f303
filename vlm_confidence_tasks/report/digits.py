"""How every table and text writes a number."""


def digits(value: float, places: int = 3, signed: bool = False) -> str:
    """Write a number with a true minus sign, so that only 0 looks like 0.

    Args:
        value: The number.
        places: Digits after the point; a number too small for these has two digits and a power.
        signed: Whether a plus stands before a positive one.

    >>> digits(-0.01234), digits(1e-7), digits(-0.0), digits(-3e-5, 4), digits(0.5, 2, True)
    ('−0.012', '1.0e−07', '0.000', '−3.0e−05', '+0.50')
    """
    small = 0 < abs(value) < 0.5 * 10.0**-places
    plus = "+" if signed and value > 0 else ""
    # Adding 0 turns -0 into 0.
    return plus + f"{value + 0.0:{'.1e' if small else f'.{places}f'}}".replace("-", "−")
