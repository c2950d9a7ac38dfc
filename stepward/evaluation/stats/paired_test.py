"""Two methods on the same problems: by how much they differ, whether by more than chance, and how many problems tell.

Everything works on differences problem by problem, with each method's accuracies averaged over seeds first. That a
problem is hard for both then takes nothing away. What other seeds would have changed is added (`crossed`): intervals
and p are over problems and seeds. A method without seeds has nothing to add, and one with a single seed is measured as
that one model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.stats.bootstrap import Z, percentiles, resampled_means, student_point
from stepward.evaluation.stats.crossed import MeanVariance, mean_variance

Floats = NDArray[np.float64]

Sides = tuple[Floats, Floats]
"""Two methods' accuracies [seed, problem] on the same problems, one row without seeds; seeds of their own."""

EXACT = 15
"""Most differing problems for which every flip of signs is tried."""

FLIPS = 10_000
"""Random flips for more of them."""

LEVEL = 0.05
"""What p, corrected for the number of comparisons, is at most where two methods are said to differ."""

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
        low: Lower end of its 95% interval over problems and seeds: a paired bootstrap over problems, widened by what
            the seeds add. Where fewer than six problems differ it is not above 0, nor is the upper end below: no flips
            of so few signs are significant.
        high: Upper end.
        p: How likely a mean difference at least this far from 0, either way, is where the two methods are equally
            good: the larger of that by flips of the problems' signs and, where seeds differ by more than problems
            explain, that by Student's distribution over problems and seeds. 1 where no problem differs.
        needed: How many problems of this kind a two-sided test at 5% needs to see a difference of this size with a
            power of 80%, with as many seeds; None where the mean difference is 0, where there is one problem, or where
            seeds differ so much that no number of problems would do.
    """

    mean: float
    low: float
    high: float
    p: float
    needed: int | None


def paired(first: Floats, second: Floats, *, seed: int) -> Paired:
    """Compares two methods on the same problems.

    Args:
        first: Accuracies [seed, problem], or [problem] where there are no seeds.
        second: The other method's, likewise, of models of its own. For two uses of the same models give their
            difference seed by seed, and zeros [problem].
        seed: Seed of the resamples and of the flips.

    Raises:
        ValueError: They are not of the same problems, of one at least.
        StepwardError: One is NaN or infinite.
    """
    sides = np.atleast_2d(first), np.atleast_2d(second)
    if max(one.ndim for one in sides) > 2 or sides[0].shape[1] != sides[1].shape[1] or not sides[0].size:
        raise ValueError(f"accuracies of {first.shape} and {second.shape}: expected the same problems, at least one")
    for name, side in zip(("first", "second"), sides, strict=True):
        broken = np.flatnonzero(~np.isfinite(side).all(axis=0))
        if len(broken):
            raise StepwardError(
                f"{name}: the accuracy on problem {broken[0] + 1} is no finite number",
                code="not_finite",
                row=int(broken[0]) + 1,
                field=name,
            )
    return paired_many([sides], seed=seed)[0]


def paired_many(pairs: Sequence[Sides], *, seed: int) -> list[Paired]:
    """`paired` of many pairs of methods at once, on the same resamples and flips.

    Args:
        pairs: Both sides of each, all on the same problems.
        seed: Seed of the resamples and of the flips.
    """
    if not pairs:
        return []
    means = np.stack([first.mean(axis=0) - second.mean(axis=0) for first, second in pairs], axis=1)
    differences = np.where(np.abs(means) <= _NOTHING, 0.0, means)
    lows, highs = percentiles(resampled_means(differences, seed), len(differences))
    chances = [mean_variance(sides) for sides in pairs]
    flipped = sign_flips(differences, seed=seed)
    return [_told(*one) for one in zip(differences.T, lows, highs, chances, flipped.tolist(), strict=True)]


def _told(differences: Floats, low: float, high: float, chance: MeanVariance, p: float) -> Paired:
    """One pair, from its differences by problem, and their interval and p over problems alone."""
    mean = float(differences.mean())
    if chance.seeds and differences.any():
        low, high = mean + (low - mean) * chance.widening, mean + (high - mean) * chance.widening
        if not chance.problems:  # every problem differs alike, so only seeds tell how much chance there is
            low, high = mean - chance.arm, mean + chance.arm
        p = max(p, chance.p(mean))
    if np.count_nonzero(differences) < _FEWEST:
        low, high = min(low, 0.0), max(high, 0.0)
    return Paired(mean, float(low), float(high), p, _needed(differences, chance))


class Compared(Protocol):
    """A comparison with its interval and p."""

    @property
    def low(self) -> float | None: ...  # noqa: D102
    @property
    def high(self) -> float | None: ...  # noqa: D102
    @property
    def p(self) -> float | None: ...  # noqa: D102


def holm(comparisons: Sequence[Compared]) -> list[float]:
    """The p of comparisons, corrected for being several (Holm 1979): a false one among them in at most 5 of 100 cases.

    Where both sides are the same figures, as majority voting in two runs on one set of candidates, there is nothing to
    be mistaken about, and the comparison is not counted.
    """
    counted = [(one.p, place) for place, one in enumerate(comparisons) if one.p is not None and is_counted(one)]
    found, largest = [1.0] * len(comparisons), 0.0
    for rank, (p, place) in enumerate(sorted(counted)):
        largest = max(largest, min(1.0, (len(counted) - rank) * p))
        found[place] = largest
    return found


def is_counted(one: Compared) -> bool:
    """Whether a comparison could be mistaken: not where both sides are the same figures."""
    return (one.low, one.high) != (0.0, 0.0)


def direction(low: float, high: float, p_holm: float) -> int:
    """Which of two methods is better beyond chance, all comparisons considered: 1, -1, or 0 where it can't be told."""
    return 0 if p_holm > LEVEL else 1 if low > 0 else -1 if high < 0 else 0


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
    return _needed(differences, mean_variance([differences[None]]))


def _needed(differences: Floats, chance: MeanVariance) -> int | None:
    mean = float(differences.mean())
    if abs(mean) <= _NOTHING or chance.size < 2:
        return None
    by_seeds = (student_point(max(chance.seed_freedom, 1.0)) + _POWER) ** 2 * chance.seeds
    if by_seeds >= mean**2:
        return None
    variance = chance.problems * chance.size
    return max(_FEWEST, ceil((Z + _POWER) ** 2 * variance / (mean**2 - by_seeds) + Z**2 / 2))
