"""Best-of-N, pass@N and the vote by an answer's best score, exactly: means over every N-subset, without drawing any.

Let's Verify Step by Step measured best-of-N by 400 random subsets; the mean over all subsets has a closed form, so the
curve has no sampling noise of its own. In each of them the best score of a subset is s with the probability that the
subset lies within the candidates that score at most s, but not within those below s.

What ties on the best score shares equally: among candidates for best-of-N, among answers for the vote, of which each
then counts once, however often it was drawn. A candidate without an answer can be picked, and is wrong, but has no
vote.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Bools = NDArray[np.bool_]

_MOST_NODES = 64
"""Integration is exact up to twice as many tied answers, and to 12 digits for thousands."""


@lru_cache(maxsize=64)
def subset_probabilities(total: int, ns: tuple[int, ...]) -> Floats:
    """The share of the N-subsets of `total` candidates that lie within the first L: C(L, N) / C(total, N).

    Returns:
        Shares [total + 1, n], row L, to 12 digits and more for thousands of candidates.

    Raises:
        StepwardError: An N is below 1, or above `total`.
    """
    for n in ns:
        if not 1 <= n <= total:
            raise StepwardError(
                f"best of {n} needs 1 to {total} candidates, as many as were drawn; draw more or lower N",
                code="too_few",
                field="ns",
            )
    # C(L - 1, N) / C(L, N) = (L - N) / L: downwards from 1, and never a binomial, which would not fit in a float.
    lengths = np.arange(total, 0, -1, dtype=np.float64)[:, None]
    steps = np.maximum(lengths - np.array(ns, dtype=np.float64), 0.0) / lengths
    shares = np.ascontiguousarray(np.concatenate([np.ones((1, len(ns))), np.cumprod(steps, axis=0)])[::-1])
    shares.setflags(write=False)  # the array is cached and shared
    return shares


@lru_cache(maxsize=_MOST_NODES)
def _legendre(nodes: int) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    places, weights = np.polynomial.legendre.leggauss(nodes)
    return (np.asarray(places) + 1) / 2, np.asarray(weights) / 2


def best_of_n_vote_accuracy(
    ranks: Floats, answers: Ints, right: Bools, correct: Bools, copies: Longs, ns: Sequence[int]
) -> Floats:
    """Expected accuracies of best-of-N, and of the answer with the best-scored candidate (`weighted_max`).

    Args:
        ranks: A row of scores a method [method, candidate]; only their order counts, and minus infinity is the least.
        answers: The number of each candidate's answer, -1 for none [candidate].
        right: Grades [answer].
        correct: Grades [candidate].
        copies: How many draws each candidate stands for [candidate].
        ns: The subset sizes.

    Returns:
        Accuracies [method, 2, n]: of best-of-N, then of the vote.

    Raises:
        StepwardError: An N is below 1, or above the number of drawn candidates.
    """
    from stepward.evaluation.best_of_n import _kernels as kernels

    shares = subset_probabilities(int(copies.sum()), tuple(ns))
    nodes, weights = _legendre(min(max(len(right) + 1, 2) // 2, _MOST_NODES))
    into = np.empty((len(ranks), 2, len(ns)))
    kernels.choose(ranks, answers, right, correct, copies, shares, nodes, weights, into)
    return into


def best_of_n(scores: Floats, correct: Bools, copies: Longs, ns: Sequence[int]) -> Floats:
    """Expected accuracy of the best-scored candidate of a uniformly random N-subset of the drawn candidates.

    Args:
        scores: Scores [candidate]; only their order counts.
        correct: Grades [candidate].
        copies: How many of the drawn candidates each one stands for [candidate].
        ns: The subset sizes.

    Returns:
        Accuracies [n].

    Raises:
        StepwardError: An N is below 1, or above the number of drawn candidates.
    """
    answers, right = np.where(correct, 0, 1).astype(np.int32), np.array([True, False])
    ranks = np.ascontiguousarray(scores, dtype=np.float64)[None]
    return np.asarray(best_of_n_vote_accuracy(ranks, answers, right, correct, copies.astype(np.int64), ns)[0, 0])


def pass_at_n(correct: Bools, copies: Longs, ns: Sequence[int]) -> Floats:
    """The chance [n] that a random N-subset holds a correct candidate, unbiased: 1 - C(total - right, N)/C(total, N).

    Raises:
        StepwardError: An N is below 1, or above the number of drawn candidates.
    """
    wrong = int(copies[~correct].sum())
    return np.asarray(1.0 - subset_probabilities(int(copies.sum()), tuple(ns))[wrong])
