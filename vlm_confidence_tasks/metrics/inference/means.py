"""Intervals and tests of means: the studentized bootstrap over images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from vlm_confidence_tasks.metrics.functional.checks import Floats, positive_integer
from vlm_confidence_tasks.metrics.inference.clusters import (
    LEVEL,
    Interval,
    numbered,
    one_image_decides,
    sides,
    smallest_alpha,
    sums,
    table,
    too_few,
)

DRAWS = 2000
# Where fewer draws lie beyond a quantile, the tail's fall is taken from more of them.
TAIL = 10
_ENOUGH = 100 * TAIL

# How many cluster weights are held at once: 64 MiB of float32.
_BLOCK = 1 << 24
# Under this share of a mean's variance, what is left of it is rounding.
_NO_SPREAD = 1e-20
_ROUNDING = 1e-6


def _drawn(clusters: int, draws: int, seed: int) -> Iterator[Floats]:
    """Yield how often each draw takes each cluster, [B, K]; the same at every call."""
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // clusters)
    for done in range(0, draws, block):
        size = min(block, draws - done), clusters
        cells = rng.integers(clusters, size=size, dtype=np.int32)
        cells += clusters * np.arange(size[0], dtype=np.int32)[:, None]
        counts = np.bincount(cells.ravel(), minlength=cells.size).reshape(size)
        yield counts.astype(np.float32)


@lru_cache(maxsize=1)
def _kept(clusters: int, draws: int, seed: int) -> tuple[Floats, ...]:
    """Keep the weights of one block for the next metric on as many clusters."""
    return tuple(_drawn(clusters, draws, seed))


def _weighted(columns: Floats, draws: int, seed: int) -> Floats:
    """Return the sums of [K, C] columns in each draw, [B, C]."""
    clusters = len(columns)
    blocks = _kept if clusters * draws <= _BLOCK else _drawn
    return np.concatenate(
        [block @ columns.astype(np.float32) for block in blocks(clusters, draws, seed)]
    ).astype(np.float64)


def mean_interval(
    totals: ArrayLike,
    counts: ArrayLike,
    clusters: ArrayLike,
    *,
    paired: ArrayLike | None = None,
    within: tuple[float, float] = (-np.inf, np.inf),
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval | None:
    """Interval of sum(totals) / sum(counts), or of its difference in two conditions.

    Images are drawn with replacement and bring all of their rows. Each draw's distance from
    the estimate is divided by its own standard error, the linearised one of a ratio:
    t* = (m* - m) / se*. At 95% the interval is [m - q(97.5%) se, m - q(2.5%) se] with quantiles q
    of t*, at least those of Student's t with (images - 1) degrees of freedom, and the jackknife's
    se (times sqrt((K - 1) / K), as the draws have it). Skewed numbers and few images are held by
    it, where a percentile interval is too narrow. Of 1,000 draws or more, quantiles with fewer than
    10 draws beyond them are read from an exponential tail, which falls as it does from the 50th
    furthest draw to the 10th: so an interval of any level takes as many draws.

    Args:
        totals: Sum of each row's numbers, [N].
        counts: How many numbers each row stands for, [N] (or what else divides the totals).
        clusters: The image of each row, [N].
        paired: Whether each row is of the second condition, [N]. If given, the interval is
            of the second's mean minus the first's, on the same drawn images.
        within: The range that the number cannot leave; the ends are clipped to it.
        level: Of the interval, in (0, 1).
        draws: Number of draws.
        seed: Seed of the generator of this call; no global state is used.

    Returns:
        None if a mean does not exist, of under 5 images with a count on a side or one with over
        half of it, and if all images agree, since these say nothing of how images differ.

    Raises:
        ValueError: No rows, columns of different lengths, numbers that are not finite, a count
            that is negative or is 0 beside a total, or `draws` under 1.

    Source: Efron and Tibshirani 1993, section 12.5; clusters: Cameron, Gelbach and Miller 2008.

    >>> found = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0], [1] * 5, list("abcde"))
    >>> found.estimate, found.low < 2.0, found.high > 4.0
    (3.0, True, True)
    """
    draws = positive_integer("draws", draws)
    found = studentized_mean(totals, counts, clusters, paired, draws, seed)
    return None if found is None else found.interval(level, within)


def mean_p(
    totals: ArrayLike,
    counts: ArrayLike,
    clusters: ArrayLike,
    *,
    paired: ArrayLike | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> float | None:
    """Two-sided p of the test that the mean, or the difference, is 0: `mean_interval` inverted.

    The largest of three: twice the share of draws whose t* lies as far from 0 as the observed
    t = m / se, on its side; Student's p with (images - 1) degrees of freedom; and the smallest
    level at which a test holds, by the most influential image (`smallest_alpha`). It is under
    0.05 where the 95% interval excludes 0, and only there.

    Args:
        totals: As of `mean_interval`, like those that follow.
        counts: How many numbers each row stands for.
        clusters: The image of each row.
        paired: Whether each row is of the second condition.
        draws: Number of draws.
        seed: Seed of the generator of this call; no global state is used.

    Returns:
        None where there is no interval, and where one image carries over 30% of the variance.

    Raises:
        ValueError: As of `mean_interval`.

    Source: Hall and Wilson 1991 on tests by the bootstrap.

    >>> values = [0.3, 0.1, 0.4, 0.1, 0.5, 0.8, 0.2, 0.6, 0.5, 0.3, 0.5, 0.8]
    >>> round(mean_p(values, [1] * 12, range(12)), 3)
    0.028
    >>> mean_p([0.0] * 11 + [5.0], [1] * 12, range(12)) is None
    True
    """
    draws = positive_integer("draws", draws)
    found = studentized_mean(totals, counts, clusters, paired, draws, seed)
    return None if found is None else found.p()


@dataclass(frozen=True)
class StudentizedMean:
    """A mean or a difference, its standard error, and the t* of draws in increasing order.

    Attributes:
        images: How many there are.
        influence: The share of the variance that the most influential of them carries.
        draws: t*, [B].
    """

    estimate: float
    error: float
    images: int
    influence: float
    draws: Floats

    def interval(
        self, level: float = LEVEL, within: tuple[float, float] = (-np.inf, np.inf)
    ) -> Interval:
        """Return the interval of a level: see `mean_interval`."""
        low, high = self._reach((1.0 - level) / 2.0)
        low, high = (float(np.clip(self.estimate - self.error * t, *within)) for t in (high, low))
        return Interval(self.estimate, low, high, self.influence)

    def _reach(self, tail: float) -> tuple[float, float]:
        """Return the quantiles of t that leave a share of it on either side, Student's at least."""
        low, high = -_quantile(-self.draws[::-1], tail), _quantile(self.draws, tail)
        # Student's own error has not the draws' factor.
        least = stdtrit(self.images - 1, 1.0 - tail) * self._factor
        # Infinite where a draw's images agree: Student's width is left.
        return (
            min(low if np.isfinite(low) else 0.0, -least),
            max(high if np.isfinite(high) else 0.0, least),
        )

    def p(self) -> float | None:
        """Return the p of the test against 0: see `mean_p`."""
        if one_image_decides(self.influence):
            return None
        t = self.estimate / self.error
        towards = self.draws if t > 0 else -self.draws[::-1]
        student = 2.0 * stdtr(self.images - 1, -abs(t) / self._factor)
        # Where the interval has Student's width for want of another, so has p.
        at_level = _quantile(towards, (1.0 - LEVEL) / 2.0)
        drawn = 2.0 * _share_beyond(towards, abs(t)) if np.isfinite(at_level) else 0.0
        return float(min(1.0, max(student, drawn, smallest_alpha(self.influence))))

    @property
    def _factor(self) -> float:
        return float(np.sqrt(self.images / (self.images - 1)))


def _quantile(draws: Floats, tail: float) -> float:
    """Return the quantile of draws, in increasing order, with a share `tail` beyond it."""
    # Rounding must not add one.
    beyond = int(tail * draws.size + 1e-6)
    if beyond >= TAIL or draws.size < _ENOUGH:
        return float(draws[-1 - beyond])
    far, scale = _tail(draws)
    return far + scale * float(np.log(TAIL / (tail * (draws.size + 1))))


def _share_beyond(draws: Floats, t: float) -> float:
    """Return the share of draws, in increasing order, from t on: `_quantile` inverted."""
    count = draws.size - int(np.searchsorted(draws, t))
    if count >= TAIL or draws.size < _ENOUGH:
        return count / (draws.size + 1)
    far, scale = _tail(draws)
    return TAIL / (draws.size + 1) * float(np.exp((far - t) / scale)) if scale > 0 else 0.0


def _tail(draws: Floats) -> tuple[float, float]:
    """Return where the exponential tail of draws begins, and how far it takes to fall by e."""
    near, far = float(draws[-5 * TAIL]), float(draws[-TAIL])
    return far, (far - near) / np.log(5.0) if np.isfinite(far) else np.inf


def studentized_mean(
    totals: ArrayLike,
    counts: ArrayLike,
    clusters: ArrayLike,
    paired: ArrayLike | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> StudentizedMean | None:
    """Return what an interval and a test need; None where there is neither."""
    index, size = numbered(clusters)
    rows = np.hstack([table("totals", totals, len(index)), table("counts", counts, len(index))])
    if (rows[:, 1] < 0).any() or rows[rows[:, 1] == 0, 0].any():
        raise ValueError("counts must not be negative, nor 0 where there is a total")
    parts = [sums(index, size, rows * side[:, None]) for side in sides(paired, len(index))]
    if any(too_few(part[:, 1]) for part in parts):
        return None
    signs = (1.0,) if len(parts) == 1 else (-1.0, 1.0)
    means = [part[:, 0].sum() / part[:, 1].sum() for part in parts]
    shares = np.column_stack([part[:, 1] / part[:, 1].sum() for part in parts])
    influence = np.column_stack(
        [part[:, 0] / part[:, 1].sum() for part in parts]
    ) - shares * np.array(means)
    moved = (influence / (1.0 - shares)) @ np.array(signs)
    squares = (moved - moved.mean()) ** 2
    spread = float(squares.sum())
    if spread <= _NO_SPREAD * max(float(np.square(means).max()), _NO_SPREAD):
        return None
    error = np.sqrt(spread) * (size - 1) / size
    drawn = np.sort(_studentized(influence / error, shares, np.array(signs), draws, seed))
    return StudentizedMean(
        estimate=float(np.dot(signs, means)),
        error=float(error),
        images=size,
        influence=float(squares.max() / spread),
        # No draw has two images that differ: Student's width is left.
        draws=drawn if drawn.size else np.zeros(1),
    )


def _studentized(influence: Floats, shares: Floats, signs: Floats, draws: int, seed: int) -> Floats:
    """Return (m* - m) / se* of the draws in which a mean exists, [<= B].

    With influence e and share w of each image, the draw's weights c give
    m* - m = sum(c e) / sum(c w) =: d, and e* = (e - d w) / sum(c w), se*^2 = sum(c e*^2): of
    two conditions, e* is the difference.
    """
    columns = np.hstack([influence, shares])
    first, second = np.triu_indices(columns.shape[1])
    table = np.hstack([columns, columns[:, first] * columns[:, second]])
    drawn = _weighted(table, draws, seed)
    conditions = len(signs)
    drawn = drawn[(drawn[:, conditions : 2 * conditions] > 0).all(axis=1)]
    weight = drawn[:, conditions : 2 * conditions]
    moved = drawn[:, :conditions] / weight
    coefficients = np.hstack([signs / weight, -signs * moved / weight])
    products = drawn[:, 2 * conditions :] * np.where(first == second, 1.0, 2.0)
    variance = (products * coefficients[:, first] * coefficients[:, second]).sum(axis=1)
    distance = moved @ signs
    # In units of the standard error; what is smaller is the rounding of float32.
    spread, away = variance > _ROUNDING, np.abs(distance) > _ROUNDING
    ratio = distance / np.sqrt(np.where(spread, variance, 1.0))
    studentized: Floats = np.where(spread, ratio, np.copysign(np.inf, distance))[spread | away]
    return studentized
