"""Means over seeds, and bootstrap intervals over problems.

Seeds and problems are two sources of chance and are kept apart: the standard deviation is over seeds, with the problems
fixed; the 95% interval is over problems, with each problem's accuracy averaged over seeds first. One matrix of
resamples serves every method, which makes differences between methods paired.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 2000


def spread(seed_means: Floats) -> float | None:
    """Standard deviation over seeds [seed], with the divisor n - 1; None for fewer than two seeds."""
    return float(np.std(seed_means, ddof=1)) if len(seed_means) > 1 else None


def resamples(problems: int, seed: int, count: int = RESAMPLES) -> Floats:
    """Weights [resample, problem] of `count` bootstrap resamples of the problems, each row adding up to 1."""
    generator = np.random.default_rng([seed, problems])
    drawn = generator.multinomial(problems, np.full(problems, 1.0 / problems), size=count)
    return np.asarray(drawn / problems)


def interval(weights: Floats, per_problem: Floats) -> tuple[Floats, Floats]:
    """The 95% percentile bootstrap interval of a mean over problems.

    Args:
        weights: From `resamples` [resample, problem].
        per_problem: Accuracies, or paired differences of two methods' accuracies [problem, ...].

    Returns:
        Lower and upper ends [...]. Of a value that every problem shares, both ends are that value.
    """
    # The mean is taken out first and put back, so that equal values give an interval of exactly no width.
    centre = per_problem.mean(axis=0)
    means = np.tensordot(weights, per_problem - centre, axes=1)
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return low + centre, high + centre
