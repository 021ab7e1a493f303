"""How every table and text writes a number."""

# The fewest images of docs/studies/power.md, and how many times as many a plan may ask for.
FEWEST_MEASURED, FURTHEST = 30, 100


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


def images_told(needed: int, images: int) -> str:
    """Say how many images an effect takes, in two digits, rounded up.

    From `FEWEST_MEASURED` on, up to `FURTHEST` times as many as there are: beyond, their variance
    says too little.

    >>> images_told(1139, 60), images_told(15257, 30), images_told(8, 60)
    ('1,200', 'over 3,000', 'up to 30')
    """
    if needed > FURTHEST * images:
        return f"over {FURTHEST * images:,}"
    if needed < FEWEST_MEASURED:
        return f"up to {FEWEST_MEASURED}"
    unit = 10 ** max(0, len(str(needed)) - 2)
    return f"{-(-needed // unit) * unit:,}"
