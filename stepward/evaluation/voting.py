"""Majority and reward-weighted voting over random N-subsets of a problem's candidates.

Reward-weighted voting is Math-Shepherd's: the answer with the largest sum of the scores of the solutions that give it.
Its mean over all N-subsets has no closed form, so subsets are drawn, seeded by the run's seed and the problem's id, and
every method votes on the same ones: comparisons between methods are paired, and no arrival order changes a figure.
One candidate and all candidates need no drawing and are exact.

A subset is its counts of each distinct solution, computed once; a vote of every model is then one product of matrices
an answer.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError

Floats = NDArray[np.float64]

_TIE = 1e-12
"""Sums this close, relative to the largest, are one sum rounded in two orders: a tie."""


@dataclass(frozen=True, slots=True)
class Subsets:
    """N-subsets of one problem's candidates.

    Attributes:
        counts: How often each distinct solution is in each subset [subset, distinct solution].
        shares: The weight of each subset in the mean [subset], adding up to 1.
    """

    counts: Floats
    shares: Floats


def draw_subsets(
    copies: NDArray[np.int64], ns: Sequence[int], *, problem_id: str, seed: int, subsets: int = 400
) -> list[Subsets]:
    """Subsets for each N: every one for N = 1 and N = all candidates, `subsets` uniformly random ones between.

    The subsets for different N are the first N of the same shuffles, so that curves over N are smooth.

    Raises:
        StepwardError: An N is below 1, or above the number of drawn candidates.
    """
    total = int(copies.sum())
    for n in ns:
        if not 1 <= n <= total:
            raise StepwardError(
                f"problem {problem_id}: a vote of {n} needs 1 to {total} candidates, as many as were drawn; "
                "draw more or lower N"
            )
    digest = hashlib.sha256(problem_id.encode("utf-8", "surrogatepass")).digest()[:8]
    generator = np.random.default_rng([seed, int.from_bytes(digest, "big")])
    candidates = np.repeat(np.arange(len(copies)), copies)
    shuffled = generator.permuted(np.tile(candidates, (subsets, 1)), axis=1)
    return [_subsets_of(n, copies, shuffled) for n in ns]


def _subsets_of(n: int, copies: NDArray[np.int64], shuffled: NDArray[np.int64]) -> Subsets:
    total, distinct, rows = int(copies.sum()), len(copies), len(shuffled)
    if n == total:
        return Subsets(copies[None, :].astype(np.float64), np.ones(1))
    if n == 1:
        return Subsets(np.eye(distinct), copies / total)
    cells = np.arange(rows)[:, None] * distinct + shuffled[:, :n]
    counts = np.bincount(cells.ravel(), minlength=rows * distinct).reshape(rows, distinct)
    return Subsets(counts.astype(np.float64), np.full(rows, 1.0 / rows))


def vote(
    subsets: Sequence[Subsets], answers: Sequence[str | None], correct: NDArray[np.bool_], weights: Floats
) -> Floats:
    """Expected accuracy of the answer with the largest sum of weights, over each N's subsets.

    Answers are one where their strings are. Answers that tie share the win equally. A solution without an answer votes
    for none; a subset in which no solution has an answer counts as wrong.

    Args:
        subsets: From `draw_subsets`, one an N.
        answers: Each distinct solution's answer [distinct solution].
        correct: Grades [distinct solution], the same for solutions with one answer.
        weights: A column of weights a method, none below 0 [distinct solution, method]; ones give majority voting.

    Returns:
        Accuracies [n, method].
    """
    groups: dict[str, list[int]] = {}
    for index, answer in enumerate(answers):
        if answer is not None:
            groups.setdefault(answer, []).append(index)
    right = np.array([bool(correct[members[0]]) for members in groups.values()], dtype=bool)
    accuracy = np.zeros((len(subsets), weights.shape[1]))
    if right.any():
        for row, drawn in enumerate(subsets):
            accuracy[row] = drawn.shares @ _wins(drawn.counts, list(groups.values()), right, weights)
    return accuracy


def _wins(counts: Floats, groups: list[list[int]], right: NDArray[np.bool_], weights: Floats) -> Floats:
    """The share of each subset's win that goes to right answers [subset, method]."""
    votes = np.empty((len(groups), len(counts), weights.shape[1]))
    for votes_of_answer, members in zip(votes, groups, strict=True):
        drawn = counts[:, members]
        np.matmul(drawn, weights[members], out=votes_of_answer)
        votes_of_answer[drawn.sum(axis=1) == 0] = -1.0  # not in this subset: below a sum of zero weights
    top = votes.max(axis=0)
    winners = votes >= top - _TIE * np.abs(top)
    share = winners[right].sum(axis=0) / winners.sum(axis=0)
    return np.asarray(np.where(top < 0, 0.0, share))
