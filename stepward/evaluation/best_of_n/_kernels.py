"""The inner loops of measuring, compiled by numba; what they mean is said where they are called.

One problem at a time goes through: 10,000 problems of 256 candidates, 400 subsets each and 25 models times aggregations
are 10^10 additions, which no loop in Python and no matrix of all of them at once can hold. Everything is in float64 and
on one thread, and no sum is reordered, so a figure is the same on every machine.

numba is imported with this module, which takes a second; so this module is imported where it is needed.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Bools = NDArray[np.bool_]

Function = TypeVar("Function", bound=Callable[..., Any])

TIE = 1e-12
"""Sums this close, relative to the larger, are one sum rounded in two orders: a tie."""


def _compiled(function: Function) -> Function:
    """The function compiled at its first call, and kept on disc where some folder can be written."""
    try:
        made: Any = numba.njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # neither the package's folder nor the user's can hold a cache
        made = numba.njit(error_model="numpy")(function)
    return cast(Function, made)


@_compiled
def _next(state: NDArray[np.uint64]) -> np.uint64:
    """The next 64 random bits of SplitMix64 (Steele, Lea and Flood 2014); `state` [1] moves on."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    bits = state[0]
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.uint64(bits ^ (bits >> np.uint64(31)))


@_compiled
def _below(state: NDArray[np.uint64], bound: int) -> np.int64:
    """A uniformly random number from 0 to below `bound`, without bias (Lemire 2019)."""
    limit = np.uint64(bound)
    product = (_next(state) >> np.uint64(32)) * limit
    low = product & np.uint64(0xFFFFFFFF)
    if low < limit:
        least = (np.uint64(0x100000000) - limit) % limit
        while low < least:
            product = (_next(state) >> np.uint64(32)) * limit
            low = product & np.uint64(0xFFFFFFFF)
    return np.int64(product >> np.uint64(32))


@_compiled
def shuffle(seed: int, pool: Ints, orders: Ints) -> None:
    """Fills each row of `orders` [subset, most] with the first of a shuffle of `pool` [drawn candidate].

    Every subset has random numbers of its own, so neither their number nor `most` changes what is drawn.
    """
    total, most = len(pool), orders.shape[1]
    starts, state, mixed = np.zeros(1, np.uint64), np.zeros(1, np.uint64), np.empty_like(pool)
    starts[0] = np.uint64(seed)
    for subset in range(len(orders)):
        state[0] = _next(starts)
        mixed[:] = pool
        for place in range(most):
            other = place + _below(state, total - place)
            chosen = mixed[other]
            mixed[other] = mixed[place]
            orders[subset, place] = chosen


@_compiled
def _share(votes: Floats, seen: Ints, present: int, right: Bools, first: bool) -> float:
    """The right answers' share of a vote that may be tied; `votes` [answer] of those that are `present` in `seen`."""
    top = 0.0
    for place in range(present):
        top = max(top, votes[seen[place]])
    level = top - TIE * top
    winners, good, earliest = 0, 0, -1
    for place in range(present):
        answer = seen[place]
        if votes[answer] >= level:
            winners += 1
            good += right[answer]
            if earliest < 0 or answer < earliest:
                earliest = answer
    if first:
        return 1.0 if right[earliest] else 0.0
    return good / winners


@_compiled
def _read_out(
    sums: Floats, counts: Floats, seen: Ints, present: int, right: Bools, first: bool, tops: Floats, into: Floats
) -> None:
    """Adds the right answers' share of every column's votes to `into` [column]: by sums, then by means.

    `into` has twice as many columns as `sums` [answer, column]; `tops` [2, column] has room for the most votes that a
    wrong and a right answer have.
    """
    tops[:] = -1.0
    columns = sums.shape[1]
    for place in range(present):
        own, top = sums[seen[place]], tops[1 if right[seen[place]] else 0]
        share = 1.0 / counts[seen[place]]
        for column in range(columns):
            # `max` would look for NaN, and could not do several columns at once.
            votes = own[column]
            mean = votes * share
            top[column] = votes if votes > top[column] else top[column]
            top[columns + column] = mean if mean > top[columns + column] else top[columns + column]
    wrong, good, close = tops[0], tops[1], 0
    for column in range(2 * columns):
        largest = good[column] if good[column] > wrong[column] else wrong[column]
        tied = abs(good[column] - wrong[column]) <= TIE * largest
        into[column] += 1.0 if good[column] > wrong[column] and not tied else 0.0
        close += tied
    if close:
        votes_of = np.empty(len(counts))
        for column in range(2 * columns):
            if abs(good[column] - wrong[column]) <= TIE * max(good[column], wrong[column]):
                for place in range(present):
                    answer = seen[place]
                    votes_of[answer] = sums[answer, column % columns]
                    if column >= columns:
                        votes_of[answer] *= 1.0 / counts[answer]
                into[column] += _share(votes_of, seen, present, right, first)


@_compiled
def tally(
    orders: Ints, ns: Ints, answers: Ints, right: Bools, weights: Floats, first: bool, majority: Floats, into: Floats
) -> None:
    """Votes of the first N of every order: how often an answer is given, and the sums and means of its weights.

    Args:
        orders: Candidates in the order they are added [subset, most].
        ns: The N to read out at, ascending, none above `most` [n].
        answers: Each candidate's answer, -1 for none [candidate].
        right: Grades [answer].
        weights: A column of weights a method, none below 0 [candidate, column].
        first: Whether the first of tied answers wins; otherwise they share.
        majority: To which the sum over subsets of the right answers' shares of the plain vote is added [n].
        into: Likewise [n, 2 * column], by the sums of weights, then by their means.
    """
    columns = weights.shape[1]
    sums, tops = np.zeros((len(right), columns)), np.empty((2, 2 * columns))
    counts, seen = np.zeros(len(right)), np.empty(len(right), np.int32)
    for subset in range(len(orders)):
        present, present_right, place = 0, 0, 0
        for which in range(len(ns)):
            while place < ns[which]:
                candidate = orders[subset, place]
                place += 1
                answer = answers[candidate]
                if answer < 0:
                    continue
                if counts[answer] == 0.0:
                    seen[present] = answer
                    present += 1
                    present_right += right[answer]
                counts[answer] += 1.0
                own, weight = sums[answer], weights[candidate]
                for column in range(columns):
                    own[column] += weight[column]
            if present_right and present_right == present:
                majority[which] += 1.0
                into[which] += 1.0
            elif present_right:
                majority[which] += _share(counts, seen, present, right, first)
                _read_out(sums, counts, seen, present, right, first, tops, into[which])
        for index in range(present):
            counts[seen[index]] = 0.0
            sums[seen[index]] = 0.0


@_compiled
def choose(
    ranks: Floats, answers: Ints, right: Bools, correct: Bools, copies: Longs, shares: Floats,
    nodes: Floats, node_weights: Floats, into: Floats,
) -> None:  # fmt: skip
    """Best-of-N and voting by each answer's largest score, over all N-subsets of one problem's candidates.

    Args:
        ranks: A row of scores a method, of which only the order counts [column, candidate].
        answers: Each candidate's answer, -1 for none [candidate].
        right: Grades [answer].
        correct: Grades [candidate].
        copies: How many draws each candidate stands for [candidate].
        shares: The share of N-subsets that lie within the first L draws [L, n], L from 0 to all.
        nodes: Gauss-Legendre nodes on [0, 1], exact for polynomials of the number of answers less one.
        node_weights: Their weights.
        into: To which accuracies are written [column, 2, n]: best-of-N, then the vote.
    """
    silent = 0
    for candidate in range(len(answers)):
        if answers[candidate] < 0:
            silent += copies[candidate]
    for column in range(len(ranks)):
        into[column] = 0.0
        _choose(ranks[column], answers, right, correct, copies, shares, nodes, node_weights, into[column], silent)


@_compiled
def _choose(
    ranks: Floats, answers: Ints, right: Bools, correct: Bools, copies: Longs, shares: Floats,
    nodes: Floats, node_weights: Floats, into: Floats, silent: int,
) -> None:  # fmt: skip
    """`choose` for one column; `silent` draws have no answer."""
    order, count, ns = np.argsort(ranks), len(ranks), shares.shape[1]
    below, voiced = 0, silent  # draws that score less; of those that vote, with all that don't
    at_level, seen = np.zeros(len(right), np.int64), np.empty(len(right), np.int32)
    start = 0
    while start < count:
        end, drawn, good, answered, present, wrong = start, 0, 0, 0, 0, 0
        while end < count and ranks[order[end]] == ranks[order[start]]:
            candidate = order[end]
            drawn += copies[candidate]
            good += copies[candidate] if correct[candidate] else 0
            answer = answers[candidate]
            if answer >= 0:
                answered += copies[candidate]
                if at_level[answer] == 0:
                    seen[present] = answer
                    present += 1
                    wrong += 0 if right[answer] else 1
                at_level[answer] += copies[candidate]
            end += 1
        if good:
            for n in range(ns):
                into[0, n] += good / drawn * (shares[below + drawn, n] - shares[below, n])
        if present > wrong:
            if wrong == 0:
                for n in range(ns):
                    into[1, n] += shares[voiced + answered, n] - shares[voiced, n]
            else:
                _tied(at_level, seen, present, right, voiced, answered, shares, nodes, node_weights, into[1])
        for place in range(present):
            at_level[seen[place]] = 0
        below += drawn
        voiced += answered
        start = end


@_compiled
def _tied(
    at_level: Longs, seen: Ints, present: int, right: Bools, voiced: int, answered: int, shares: Floats,
    nodes: Floats, node_weights: Floats, into: Floats,
) -> None:  # fmt: skip
    """Adds the right answers' chance to win where several answers tie on the best score, sharing the win equally.

    To share equally is to break the tie by a random order of the answers. An answer wins where it is drawn, and none
    of the answers before it is: where the subset lies within what scores less, this answer, and the answers after it.
    Each of the others comes after it with chance t on its own, t uniform; so the number S of draws that come after is
    a sum of independent terms given t, and its distribution is integrated over t, exactly, by Gauss and Legendre.
    """
    chance, given = np.empty(answered + 1), np.empty(answered + 1)
    for place in range(present):
        own = seen[place]
        if not right[own]:
            continue
        chance[:] = 0.0
        for node in range(len(nodes)):
            given[:] = 0.0
            given[0] = 1.0
            most = 0
            for index in range(present):
                size = at_level[seen[index]]
                if index == place:
                    continue
                for after in range(most, -1, -1):
                    part = given[after]
                    given[after + size] += nodes[node] * part
                    given[after] = (1.0 - nodes[node]) * part
                most += size
            for after in range(most + 1):
                chance[after] += node_weights[node] * given[after]
        for after in range(answered - at_level[own] + 1):
            if chance[after] > 0.0:
                high, low = voiced + after + at_level[own], voiced + after
                for n in range(shares.shape[1]):
                    into[n] += chance[after] * (shares[high, n] - shares[low, n])
