"""Majority and reward-weighted voting over random N-subsets of a problem's candidates.

Reward-weighted voting is Math-Shepherd's: the answer with the largest sum of the scores of the solutions that give it;
or, as others do, the answer with the largest mean. (The one with the largest score has a closed form:
`stepward.evaluation.best_of_n.closed_form`.) The mean of these votes over all N-subsets has none. Where there are no
more subsets than would be drawn, all are gone through; else they are drawn, seeded by the run's seed and the problem's
id, and every method votes on the same ones: comparisons between methods are paired, and a run's candidates stand in the
order of their ids. One candidate and all candidates need no drawing and are exact.

Answers that tie share the win equally, for a random subset has no order. All candidates of a file do have one: there
the first of the tied answers may win, which is what `Counter.most_common` in other people's scripts does.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]

Ties = Literal["share", "first"]


@dataclass(frozen=True, slots=True)
class ProblemAnswers:
    """One problem's candidates as a vote sees them.

    Attributes:
        problem: The problem's id.
        answers: The number of each candidate's answer, from 0 in the order of first appearance; -1 for a candidate
            without one, which votes for none [candidate].
        right: Grades [answer].
        copies: How many draws each candidate stands for [candidate].
    """

    problem: str
    answers: Ints
    right: NDArray[np.bool_]
    counts: Longs

    @property
    def drawn(self) -> Ints:
        """The candidate that each draw is [draw]."""
        return np.repeat(np.arange(len(self.counts), dtype=np.int32), self.counts)


@dataclass(frozen=True, slots=True)
class Votes:
    """Accuracies of votes, means over subsets.

    Attributes:
        majority: The most common answer's [n].
        weighted: That of the answer with the largest sum of weights [method, n].
        weighted_mean: That of the answer with the largest mean weight [method, n].
    """

    majority: Floats
    weighted: Floats
    weighted_mean: Floats


def draw_orders(ballot: ProblemAnswers, most: int, *, seed: int, subsets: int = 400) -> Ints:
    """Random subsets, as the first N of random orders of the drawn candidates.

    The orders are decided by the seed, the problem's id and the candidates' order: a smaller N takes fewer of the
    same order, so that curves over N are smooth, and more subsets come after the same ones.

    Returns:
        Candidates [subset, most].
    """
    from stepward.evaluation.best_of_n import _kernels as kernels

    digest = hashlib.sha256(f"{seed} {ballot.problem}".encode("utf-8", "surrogatepass")).digest()
    orders = np.empty((subsets, most), dtype=np.int32)
    kernels.shuffle(int.from_bytes(digest[:7], "big"), ballot.drawn, orders)
    return orders


def tally(ballot: ProblemAnswers, orders: Ints, ns: Sequence[int], weights: Floats, *, ties: Ties = "share") -> Votes:
    """The votes of the first N of the given orders, each order counting the same.

    Args:
        ballot: The candidates.
        orders: Candidates [subset, at least the largest N].
        ns: The sizes, ascending.
        weights: A column of weights a method, none below 0 [candidate, method].
        ties: Whether tied answers share the win, or the first of them has it.
    """
    from stepward.evaluation.best_of_n import _kernels as kernels

    columns = weights.shape[1]
    majority, weighted = np.zeros(len(ns)), np.zeros((len(ns), 2 * columns))
    kernels.tally(
        orders, np.array(ns, dtype=np.int32), ballot.answers, ballot.right, np.ascontiguousarray(weights),
        ties == "first", majority, weighted,
    )  # fmt: skip
    weighted /= len(orders)
    return Votes(majority / len(orders), weighted[:, :columns].T, weighted[:, columns:].T)


def vote(
    ballot: ProblemAnswers,
    ns: Sequence[int],
    weights: Floats,
    *,
    seed: int,
    subsets: int = 400,
    ties: Ties = "share",
) -> Votes:
    """Expected accuracy of every vote at every N, exact where there are no more N-subsets than would be drawn.

    Args:
        ballot: The candidates.
        ns: The sizes, ascending.
        weights: A column of weights a method, none below 0 [candidate, method].
        seed: From which, with the problem's id, the subsets are drawn.
        subsets: How many, at most.
        ties: Of all candidates: whether tied answers share the win, or the first of them has it. In a random subset,
            which has no order, they share.

    Raises:
        StepwardError: An N is below 1, or above the number of drawn candidates.
    """
    total, methods = int(ballot.counts.sum()), weights.shape[1]
    for n in ns:
        if not 1 <= n <= total:
            raise StepwardError(
                f"problem {ballot.problem}: a vote of {n} needs 1 to {total} candidates, as many as were drawn; "
                "draw more or lower N",
                code="too_few",
                field="ns",
            )
    votes = Votes(np.zeros(len(ns)), *np.zeros((2, methods, len(ns))))
    if not ballot.right.any():
        return votes
    between = [n for n in ns if 1 < n < total]
    few = [n for n in between if comb(total, n) <= subsets]
    for n in few:
        _fill(votes, ns, [n], tally(ballot, ballot.drawn[_every_subset(total, n)], [n], weights))
    if many := [n for n in between if n not in few]:
        orders = draw_orders(ballot, many[-1], seed=seed, subsets=subsets)
        _fill(votes, ns, many, tally(ballot, orders, many, weights))
    if total in ns:
        _fill(votes, ns, [total], tally(ballot, ballot.drawn[None], [total], weights, ties=ties))
    if 1 in ns and total > 1:
        # A candidate alone wins with its answer, whatever its weight.
        alone = ballot.counts @ (ballot.right[ballot.answers] & (ballot.answers >= 0)) / total
        _fill(votes, ns, [1], Votes(np.full(1, alone), *np.full((2, methods, 1), alone)))
    return votes


@lru_cache(maxsize=64)
def _every_subset(total: int, n: int) -> Ints:
    """The places of every n among so many [subset, n]."""
    return np.array(list(combinations(range(total), n)), dtype=np.int32)


def _fill(votes: Votes, ns: Sequence[int], some: Sequence[int], found: Votes) -> None:
    places = [list(ns).index(n) for n in some]
    votes.majority[places] = found.majority
    votes.weighted[:, places] = found.weighted
    votes.weighted_mean[:, places] = found.weighted_mean


def first_of_best(ballot: ProblemAnswers, ranks: Floats) -> NDArray[np.bool_]:
    """Whether the first of the answers with the best-scored candidate is right, of all candidates [method].

    Args:
        ballot: The candidates.
        ranks: A row of scores a method [method, candidate].
    """
    voiced = ballot.answers >= 0
    if not voiced.any():
        return np.zeros(len(ranks), dtype=bool)
    own = ranks[:, voiced]
    tied = own == own.max(axis=1, keepdims=True)
    earliest = np.where(tied, ballot.answers[voiced], len(ballot.right)).min(axis=1)
    return np.asarray(ballot.right[earliest])
