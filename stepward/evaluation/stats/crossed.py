"""What problems and seeds leave to chance in a mean over both, or in the difference of two such means.

Problems and seeds are crossed: every model of a method is measured on every problem. So the variance of a mean is that
over problems, of accuracies averaged over seeds, and that over seeds, of means over problems; what problem and seed
make together is in both, and is taken out once. Two methods share their problems, but not their seeds: seed 0 of one
and seed 0 of another are two trainings.

With five seeds their variance is hardly known. Student's distribution allows for that, by degrees of freedom between
those of the seeds and of the problems; docs/evaluation.md says which, and what simulation says of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from stepward.evaluation.stats.bootstrap import student_point, student_tail

Floats = NDArray[np.float64]

_NOTHING = 1e-18
"""A variance up to this comes of closed forms and means that were rounded in two orders: there is none."""


@dataclass(frozen=True, slots=True)
class MeanVariance:
    """How far a mean is from what other problems and other seeds would give.

    Attributes:
        problems: Its variance over problems, the models being these.
        seeds: What seeds add to it, at least 0; 0 without seeds, or with one, of which nothing can be told.
        freedom: Degrees of freedom of both together.
        seed_freedom: Those of the seeds' part; 0 where it is 0.
        size: How many problems there are.
    """

    problems: float
    seeds: float
    freedom: float
    seed_freedom: float
    size: int

    @property
    def arm(self) -> float:
        """Half the width of the 95% interval by Student's distribution."""
        return student_point(self.freedom) * sqrt(self.problems + self.seeds)

    @property
    def widening(self) -> float:
        """How many times as wide an interval over problems and seeds is as one over problems alone, at least 1."""
        alone = student_point(max(self.size - 1, 1)) * sqrt(self.problems)
        return max(1.0, self.arm / alone) if alone > 0 else 1.0

    def p(self, mean: float) -> float:
        """Two-sided p of a mean of 0."""
        error = sqrt(self.problems + self.seeds)
        return student_tail(abs(mean) / error, self.freedom) if error > 0 else float(mean == 0)


def mean_variance(sides: Sequence[Floats]) -> MeanVariance:
    """Measures the chance in a mean over problems and seeds.

    Args:
        sides: Accuracies [seed, problem] of a method, or of two whose difference is meant; one row where there are no
            seeds. For two uses of the same models, their difference seed by seed.
    """
    size = sides[0].shape[1]
    mean = sides[0].mean(axis=0) - sides[1].mean(axis=0) if len(sides) > 1 else sides[0].mean(axis=0)
    problems = float(mean.var(ddof=1)) / size if size > 1 else 0.0
    problems = 0.0 if problems <= _NOTHING else problems
    parts = [_of_seeds(side) for side in sides if len(side) > 1]
    apart = sum(part[0] for part in parts)
    whole = max(apart, _as_if_alike(parts))
    seeds = whole - sum(part[1] for part in parts)
    if seeds <= _NOTHING:
        return MeanVariance(problems, 0.0, max(size - 1, 1), 0.0, size)
    # Freedom is that of the sides by themselves, also where the variance is the pooled one: were it the pooled one's
    # too, a side of two seeds that deviate far more than the other's ten would be taken for known.
    own = apart**2 / sum(part[0] ** 2 / part[2] for part in parts)
    squares = whole**2 / own
    # Satterthwaite's, but no more than the seeds' own over their share: where few seeds happen to be close to one
    # another, his are too many.
    welch = (problems + seeds) ** 2 / (problems**2 / max(size - 1, 1) + squares)
    freedom = max(1.0, min(welch, own * (problems + seeds) / seeds))
    return MeanVariance(problems, seeds, freedom, own, size)


def _as_if_alike(parts: Sequence[tuple[float, float, int]]) -> float:
    """The variance over seeds of all sides together, if a seed of one deviates as much as one of another.

    Two seeds often happen to be close to one another; ten of the other side then say better what a seed does.
    """
    freedom = sum(part[2] for part in parts)
    pooled = sum(part[2] * part[0] * (part[2] + 1) for part in parts) / max(freedom, 1)
    return pooled * sum(1 / (part[2] + 1) for part in parts)


def _of_seeds(accuracies: Floats) -> tuple[float, float, int]:
    """The variance of the mean over seeds; how much of it problem and seed make together; and degrees of freedom."""
    seeds, problems = accuracies.shape
    by_seed = accuracies.mean(axis=1)
    rest = accuracies - accuracies.mean(axis=0) - by_seed[:, None] + by_seed.mean()
    together = float((rest**2).sum()) / ((seeds - 1) * max(problems - 1, 1)) / (seeds * problems)
    return float(by_seed.var(ddof=1)) / seeds, together, seeds - 1
