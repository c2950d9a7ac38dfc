"""Two methods on the same problems: by how much they differ, whether by more than chance, and how many problems tell.

Everything works on differences problem by problem, with each method's accuracies averaged over seeds first. That a
problem is hard for both then takes nothing away.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from stepward.evaluation.statistics import Z, percentiles, resampled_means

Floats = NDArray[np.float64]

EXACT = 15
"""Most differing problems for which every flip of signs is tried."""

FLIPS = 10_000
"""Random flips for more of them."""

_POWER = 0.8416212335729143
"""Above minus this lie 80% of the standard normal distribution."""

_FEWEST = 6
"""With fewer differing problems not even one sign for all of them is significant: 2/2^5 is above 5%."""

_CELLS = 4_000_000
_NOTHING = 1e-9
"""Differences up to this come of closed forms and means that were rounded in two orders: there is none."""

_EQUAL = 1e-9
"""Sums of flipped differences this close, relative to all of them, are one sum rounded in two orders."""


@dataclass(frozen=True, slots=True)
class Paired:
    """A paired comparison of two methods' accuracies.

    Attributes:
        mean: Mean difference, first less second, in [-1, 1].
        low: Lower end of its 95% interval, by a paired bootstrap over problems. Where fewer than six problems differ
            it is not above 0, nor is the upper end below: no flips of so few signs are significant.
        high: Upper end.
        p: How likely a mean difference at least this far from 0, either way, is where the two methods can't be told
            apart: by the flips of the differences' signs. 1 where no problem differs.
        needed: How many problems of this kind a two-sided test at 5% needs to see a difference of this size with a
            power of 80%; None where the mean difference is 0, or there is one problem.
    """

    mean: float
    low: float
    high: float
    p: float
    needed: int | None


def paired(first: Floats, second: Floats, *, seed: int) -> Paired:
    """Compares two methods on the same problems.

    Args:
        first: Accuracies, averaged over seeds [problem].
        second: The other method's, likewise.
        seed: Seed of the resamples and of the flips.

    Raises:
        ValueError: They are not of the same problems, of one at least.
    """
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"accuracies of {first.shape} and {second.shape}: expected the same problems, at least one")
    return paired_columns((first - second)[:, None], seed=seed)[0]


def paired_columns(differences: Floats, *, seed: int) -> list[Paired]:
    """`paired` of many pairs of methods at once, on the same resamples and flips.

    Args:
        differences: A column a pair [problem, pair].
        seed: Seed of the resamples and of the flips.
    """
    if not differences.shape[1]:
        return []
    differences = np.where(np.abs(differences) <= _NOTHING, 0.0, differences)
    lows, highs = percentiles(resampled_means(differences, seed), len(differences))
    few = np.count_nonzero(differences, axis=0) < _FEWEST
    lows, highs = np.where(few, np.minimum(lows, 0.0), lows), np.where(few, np.maximum(highs, 0.0), highs)
    chances = sign_flips(differences, seed=seed)
    return [
        Paired(float(column.mean()), float(low), float(high), float(p), needed_problems(column))
        for column, low, high, p in zip(differences.T, lows, highs, chances, strict=True)
    ]


def sign_flips(differences: Floats, *, seed: int) -> Floats:
    """The two-sided p [pair] of the sign-flip permutation test of a mean of 0, of each column [problem, pair].

    If the methods can't be told apart, each problem's difference might as well have the other sign. Over all flips
    where at most `EXACT` problems differ, the test is exact; else over `FLIPS` random ones, of which with the data's
    own as one more (Phipson and Smyth 2010), so that p is never 0.
    """
    found = np.ones(differences.shape[1])
    many = []
    for column in range(differences.shape[1]):
        moved = differences[differences[:, column] != 0, column]
        if len(moved) > EXACT:
            many.append(column)
        elif len(moved):
            every = 1.0 - 2.0 * (np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved)) & 1)
            found[column] = _as_far(every @ moved, moved).mean()
    if many:
        counted = np.zeros(len(many))
        for signs in _random_signs(len(differences), seed):
            counted += _as_far(signs @ differences[:, many], differences[:, many]).sum(axis=0)
        found[many] = (1 + counted) / (1 + FLIPS)
    return found


def _as_far(sums: Floats, differences: Floats) -> NDArray[np.bool_]:
    """Whether flipped sums are at least as far from 0 as the sum of the differences."""
    return np.asarray(
        np.abs(sums) >= np.abs(differences.sum(axis=0)) - _EQUAL * np.abs(differences).sum(axis=0), dtype=bool
    )


def _random_signs(problems: int, seed: int) -> Iterator[Floats]:
    """`FLIPS` rows of random signs [flip, problem], some at a time."""
    generator = np.random.default_rng([seed, problems, FLIPS])
    rows = max(1, _CELLS // problems)
    for start in range(0, FLIPS, rows):
        bits = generator.integers(0, 2, size=(min(rows, FLIPS - start), problems), dtype=np.int8)
        yield np.asarray(1.0 - 2.0 * bits)


def needed_problems(differences: Floats) -> int | None:
    """How many problems a two-sided paired test at 5% needs, to see this mean difference with a power of 80%.

    By the normal approximation with Guenther's (1981) allowance for an estimated variance. Nothing below six is said,
    since no flip of fewer signs is significant.

    Args:
        differences: Differences of two methods' accuracies [problem].

    Returns:
        The number of problems; None where the mean is 0, for no number tells apart what does not differ, and where
        there is one problem, which says nothing of how they vary.
    """
    mean = float(differences.mean())
    if abs(mean) <= _NOTHING or len(differences) < 2:
        return None
    variance = float(differences.var(ddof=1))
    return max(_FEWEST, ceil((Z + _POWER) ** 2 * variance / mean**2 + Z**2 / 2))
