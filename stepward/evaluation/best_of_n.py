"""Best-of-N and pass@N, exactly: the mean over every N-subset of a problem's candidates, without drawing any.

Let's Verify Step by Step measured best-of-N by 400 random subsets; the mean over all subsets has a closed form, so the
curve has no sampling noise of its own.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError

Floats = NDArray[np.float64]


@lru_cache(maxsize=64)
def subset_shares(total: int, ns: tuple[int, ...]) -> Floats:
    """The share of the N-subsets of `total` candidates that lie within the first L: C(L, N) / C(total, N).

    Returns:
        Shares [total + 1, n], row L, each the correctly rounded ratio of two exact integers.

    Raises:
        StepwardError: An N is below 1, or above `total`.
    """
    for n in ns:
        if not 1 <= n <= total:
            raise StepwardError(
                f"best of {n} needs 1 to {total} candidates, as many as were drawn; draw more or lower N"
            )
    shares = np.array([[comb(first, n) / comb(total, n) for n in ns] for first in range(total + 1)])
    shares.setflags(write=False)  # the array is cached and shared
    return shares


def best_of_n(scores: Floats, correct: NDArray[np.bool_], copies: NDArray[np.int64], ns: Sequence[int]) -> Floats:
    """Expected accuracy of the best-scored candidate of a uniformly random N-subset of the drawn candidates.

    The best score of a subset is s with the probability that the subset lies within the candidates that score at most
    s but not within those below s. Candidates that tie on the best score share the choice equally, so what is chosen
    among them is correct with the share of correct candidates at that score.

    Args:
        scores: Scores [distinct solution]; only their order counts.
        correct: Grades [distinct solution].
        copies: How many of the drawn candidates each distinct solution stands for [distinct solution].
        ns: The subset sizes.

    Returns:
        Accuracies [n].

    Raises:
        StepwardError: An N is below 1, or above the number of drawn candidates.
    """
    levels, level = np.unique(scores, return_inverse=True)
    drawn = np.bincount(level, weights=copies, minlength=len(levels))
    right = np.bincount(level, weights=copies * correct, minlength=len(levels))
    up_to = np.concatenate([[0], np.cumsum(drawn)]).astype(np.int64)
    chance = np.diff(subset_shares(int(up_to[-1]), tuple(ns))[up_to], axis=0)
    return np.asarray((right / drawn) @ chance)


def pass_at_n(correct: NDArray[np.bool_], copies: NDArray[np.int64], ns: Sequence[int]) -> Floats:
    """The chance [n] that a random N-subset holds a correct candidate, unbiased: 1 - C(total - right, N)/C(total, N).

    Raises:
        StepwardError: An N is below 1, or above the number of drawn candidates.
    """
    wrong = int(copies[~correct].sum())
    return np.asarray(1.0 - subset_shares(int(copies.sum()), tuple(ns))[wrong])
