"""Means over seeds, and bootstrap intervals over problems, which `stepward.evaluation.stats.crossed` widens by seeds.

The standard deviation is over seeds, with the problems fixed. Resamples are of problems, with each problem's accuracy
averaged over seeds first; one set of them serves every method, which makes differences between methods paired.

Which interval, was decided by its coverage (docs/evaluation.md has the figures). For a difference of two methods the
percentile bootstrap holds, with its percentiles moved out for few problems. For one accuracy it does not: near 0 and 1
it is too narrow, and a sample without any right answer, as 50 problems at 3% accuracy often are, gives no width at all.
So accuracies are resampled on the score scale, where Wilson's interval for shares lives.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import atan, erf, exp, lgamma, pi, sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 2000

Z = 1.959963984540054
"""Between minus and plus this lie 95% of the standard normal distribution."""

FEW = 10
"""Below so many problems, resamples of them say little of their spread: intervals are at least Wilson's."""

_CELLS = 4_000_000
"""Most weights that are held at once."""


def seed_std(seed_means: Floats) -> float | None:
    """Standard deviation over seeds [seed], with the divisor n - 1; None for fewer than two seeds."""
    return float(np.std(seed_means, ddof=1)) if len(seed_means) > 1 else None


def resamples(problems: int, seed: int, count: int = RESAMPLES) -> Floats:
    """Weights [resample, problem] of `count` bootstrap resamples of the problems, each row adding up to 1."""
    return np.concatenate(list(_resamples(problems, seed, count)))


def _resamples(problems: int, seed: int, count: int) -> Iterator[Floats]:
    """The weights, some rows at a time: those of 10^5 problems are more than fit in memory."""
    generator = np.random.default_rng([seed, problems])
    even, rows = np.full(problems, 1.0 / problems), max(1, _CELLS // problems)
    for start in range(0, count, rows):
        yield generator.multinomial(problems, even, size=min(rows, count - start)) / problems


def resampled_means(per_problem: Floats, seed: int, count: int = RESAMPLES) -> Floats:
    """Bootstrap means over problems.

    Args:
        per_problem: A column a method [problem, method].
        seed: Seed of the resamples, the same for all columns.
        count: How many.

    Returns:
        Means [resample, method]; of a column in which all problems are equal, exactly that value.
    """
    # A mean is taken out first and put back, so that equal values give an interval of exactly no width.
    centre = per_problem[0]
    rest = per_problem - centre
    parts = [weights @ rest for weights in _resamples(len(per_problem), seed, count)]
    return np.asarray(np.concatenate(parts) + centre)


def percentiles(means: Floats, problems: int) -> tuple[Floats, Floats]:
    """The ends [...] of the 95% percentile interval of resampled means [resample, ...].

    For few problems the percentiles are further out than 2.5 and 97.5, as Student's distribution is wider than the
    normal one and a resample's variance smaller than the population's (Hesterberg 2015, "expanded percentile").
    """
    outer = 100 * _normal(-student_point(problems - 1) * sqrt(problems / (problems - 1))) if problems > 1 else 0.0
    low, high = np.percentile(means, [outer, 100 - outer], axis=0)
    return low, high


def accuracy_interval(means: Floats, per_problem: Floats, widening: Floats | float = 1.0) -> tuple[Floats, Floats]:
    """The 95% interval of accuracies in [0, 1], by the bootstrap on the score scale.

    A share's error grows with its distance from 0 and 1. So the percentiles are those of (m* - m)/sqrt(m(1 - m)), of
    the resampled means m* and the mean m; and the ends are the shares p at which (p - m)/sqrt(p(1 - p)) is as much:
    Wilson's interval, with the resamples in the place of the normal distribution. The variance is raised by the error
    of its own estimate, 1 + sum d^4/(sum d^2)^2 of the deviations d: much only where few problems deviate. Where all
    are 0 or all are 1 resamples tell nothing, and it is Wilson's own interval, than which that of fewer than `FEW`
    problems is never narrower. Only of another value that more problems share are both ends that value.

    Args:
        means: From `resampled_means` [resample, method].
        per_problem: Accuracies [problem, method].
        widening: How many times as wide the interval is for other reasons than problems [method].

    Returns:
        Lower and upper ends [method], in [0, 1].
    """
    problems, mean = len(per_problem), per_problem.mean(axis=0)
    deviations = (per_problem - mean) ** 2
    squares, fourths = deviations.sum(axis=0), (deviations**2).sum(axis=0)
    unsure = np.divide(fourths, squares**2, out=np.zeros_like(squares), where=squares**2 > 0)
    size = mean * (1 - mean)
    inside = (size > 0) & (problems > 1)
    scale = widening * np.sqrt((1 + unsure) * problems / max(problems - 1, 1) / np.where(inside, size, 1.0))
    low, high = np.percentile((means - mean) * scale, [2.5, 97.5], axis=0)
    wilson = Z / sqrt(problems)
    low, high = np.where(inside, low, -wilson), np.where(inside, high, wilson)
    if problems < FEW:
        low, high = np.minimum(low, -wilson), np.maximum(high, wilson)
    return _inverted(mean, low, -1.0), _inverted(mean, high, 1.0)


def _inverted(mean: Floats, score: Floats, sign: float) -> Floats:
    """The share p below (sign -1) or above (1) the mean with (mean - p)^2 = score^2 p (1 - p)."""
    square = score**2
    half = np.sqrt(square * (mean * (1 - mean) + square / 4))
    return np.clip((mean + square / 2 + sign * half) / (1 + square), 0.0, 1.0)


def _normal(value: float) -> float:
    """The standard normal distribution function."""
    return (1 + erf(value / sqrt(2))) / 2


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)


def student_tail(value: float, freedom: float) -> float:
    """The chance that Student's distribution is further from 0 than a value of at least 0, either way."""
    # With value = sqrt(freedom) tan(angle) the density is a power of a cosine, which few nodes integrate.
    reach = atan(min(value, 60.0 if freedom > 50 else value) / sqrt(freedom))
    angles = reach * (_NODES + 1) / 2
    scale = 2 * exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / sqrt(pi)
    inside = scale * reach / 2 * float(_WEIGHTS @ np.cos(angles) ** (freedom - 1))
    return min(1.0, max(0.0, 1.0 - inside))


@lru_cache(maxsize=4096)
def student_point(freedom: float) -> float:
    """The 97.5% point of Student's distribution, of at least one degree of freedom."""
    low, high = Z, 13.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if student_tail(middle, freedom) > 0.05 else (low, middle)
    return high


_AT_ONCE = 2**24
"""Numbers of a matrix of draws; more resamples are drawn one part after another."""

_FEW = 500
"""Up to so many kinds of rows, drawing their counts is the faster way."""


def resampled_sums(rows: Floats, seed: int, count: int = RESAMPLES) -> Floats:
    """The sums [resample, figure] over `count` bootstrap resamples of rows [row, figure]."""
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    generator = np.random.default_rng([seed, len(rows)])
    if len(kinds) > max(_FEW, len(rows) / 4):  # little is gained by kinds, and drawing rows one by one is faster
        return np.stack([_draw(len(rows), generator) @ rows for _ in range(count)])
    part = max(1, _AT_ONCE // len(kinds))
    return np.concatenate(
        [
            generator.multinomial(len(rows), counts / len(rows), size=min(part, count - start)) @ kinds
            for start in range(0, count, part)
        ]
    )


def _draw(rows: int, generator: np.random.Generator) -> Floats:
    """How often each row is drawn in one resample [row]."""
    return np.bincount(generator.integers(rows, size=rows), minlength=rows).astype(np.float64)


def resampled_shares(hits: int, rows: int, generator: np.random.Generator, count: int = RESAMPLES) -> Floats:
    """The share of hits [resample] in bootstrap resamples of rows of which so many are hits."""
    return generator.binomial(rows, hits / rows, size=count) / rows


def share_limits(hits: int, rows: int, generator: np.random.Generator) -> tuple[float, float]:
    """The 95% interval of a share of rows, as of any accuracy."""
    right = (np.arange(rows) < hits).astype(np.float64)
    return accuracy_limits(resampled_shares(hits, rows, generator), right)


def accuracy_limits(drawn: Floats, per_row: Floats) -> tuple[float, float]:
    """The 95% interval of a mean of rows in [0, 1] from its resamples: `statistics.accuracy_interval` of one method."""
    low, high = accuracy_interval(drawn[:, None], per_row[:, None])
    mean = per_row.mean()  # which rounding may leave just outside
    return float(min(low[0], mean)), float(max(high[0], mean))


def resampled_aucs(scores: Floats, right: NDArray[np.bool_], owners: NDArray[np.int64], seed: int) -> Floats:
    """The area under the ROC curve [resample] of steps, in bootstrap resamples of the rows they belong to.

    Args:
        scores: `[step]`.
        right: `[step]`, whether the step is right.
        owners: `[step]`, the row it belongs to, from 0.
        seed: Decides the resamples.

    Returns:
        NaN where a resample has steps of one class only.
    """
    order = np.argsort(scores, kind="stable")
    ordered, good, owner = scores[order], right[order], owners[order]
    # For each wrong step, how many right ones come before its score, and up to it: those beyond are ranked rightly.
    before, up_to = (np.searchsorted(ordered[good], ordered[~good], side) for side in ("left", "right"))
    of_right, of_wrong = owner[good], owner[~good]
    rows = int(owners.max()) + 1
    generator = np.random.default_rng([seed, rows])
    areas = np.full(RESAMPLES, np.nan)
    for index in range(RESAMPLES):
        copies = _draw(rows, generator)
        rights, wrongs = np.concatenate([[0], np.cumsum(copies[of_right])]), copies[of_wrong]
        pairs = rights[-1] * wrongs.sum()
        if pairs:
            areas[index] = wrongs @ (rights[-1] - (rights[before] + rights[up_to]) / 2) / pairs
    return areas


def limits(values: Floats) -> tuple[float, float] | tuple[None, None]:
    """The 2.5th and 97.5th percentile of a figure's resamples; None twice where it is often undefined (NaN) there."""
    defined = values[np.isfinite(values)]
    if len(defined) < 0.95 * len(values):
        return None, None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)
