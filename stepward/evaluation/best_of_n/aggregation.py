"""How a solution's step scores become the solution's score.

Which way is best depends on where the labels came from (last for Monte-Carlo labels, product or minimum for people's),
so all five are computed for every model. Solutions differ in length; their scores lie end to end in one flat array and
are reduced slice by slice, because a run has hundreds of thousands of them.

The product of many small scores underflows, and then solutions that differ would tie. So candidates are ranked by the
product's logarithm, and votes are weighed by the product relative to the problem's best candidate, which no argmax
can tell from the product itself. The sum of log odds is a number of any size; what votes is its logistic, a score in
[0, 1] again, relative to the problem's best candidate too.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CLIP = 2.0**-30
"""For log odds a score is at least this and at most 1 less this, so that 0 and 1 stay finite: 20.8 either way. It is
less than the distance from 1 of any other float32, so no two scores of a model become one."""


def _min(flat: Floats, starts: Ints) -> Floats:
    return np.asarray(np.minimum.reduceat(flat, starts))


def _log_prod(flat: Floats, starts: Ints) -> Floats:
    with np.errstate(divide="ignore"):  # a score of 0 makes the product 0: its logarithm is -inf, which ranks last
        return np.asarray(np.add.reduceat(np.log(flat), starts))


def _prod(flat: Floats, starts: Ints) -> Floats:
    return np.asarray(np.exp(_log_prod(flat, starts)))


def _logodds(flat: Floats, starts: Ints) -> Floats:
    clipped = np.clip(flat, CLIP, 1 - CLIP)
    return np.asarray(np.add.reduceat(np.log(clipped) - np.log1p(-clipped), starts))


def _last(flat: Floats, starts: Ints) -> Floats:
    return np.asarray(flat[np.append(starts[1:], len(flat)) - 1])


def _mean(flat: Floats, starts: Ints) -> Floats:
    lengths = np.diff(np.append(starts, len(flat)))
    return np.asarray(np.add.reduceat(flat, starts) / lengths)


AGGREGATIONS: dict[str, Callable[[Floats, Ints], Floats]] = {
    "min": _min,
    "prod": _prod,
    "last": _last,
    "mean": _mean,
    "logodds": _logodds,
}
"""By name: (flat scores [step], index of each solution's first step [solution]) -> the solutions' scores [solution]."""


def aggregate(name: str, scores: Sequence[float]) -> float:
    """One solution's score from its step scores.

    Args:
        name: A key of `AGGREGATIONS`.
        scores: The step scores [step], in [0, 1], at least one.

    Raises:
        ValueError: There is no step.
        KeyError: `name` is not an aggregation.
    """
    if not scores:
        raise ValueError("a solution without steps has no score")
    return float(AGGREGATIONS[name](np.asarray(scores, dtype=np.float64), np.zeros(1, dtype=np.int64))[0])


def ranks(name: str, flat: Floats, starts: Ints) -> Floats:
    """The solutions' scores [solution] up to a monotone map that keeps small products apart.

    What was added up is rounded to 12 decimals: equal sums that were rounded in two orders are a tie, or solutions of
    other lengths would differ under a score that is the same everywhere.
    """
    if name in ("min", "last"):
        return AGGREGATIONS[name](flat, starts)
    return np.asarray(np.round(_log_prod(flat, starts) if name == "prod" else AGGREGATIONS[name](flat, starts), 12))


def vote_weights(name: str, rank: Floats, problems: Ints | None = None) -> Floats:
    """The weights [solution] with which candidates vote, from their `ranks` [solution].

    Equal to the scores (for `logodds`, to their logistic) up to one positive factor a problem; all 0 where every
    product is 0.

    Args:
        name: A key of `AGGREGATIONS`.
        rank: The candidates' ranks, of one problem or of several end to end.
        problems: The index of each problem's first candidate [problem]; None for one problem.
    """
    if name not in ("prod", "logodds"):
        return rank
    starts = np.zeros(1, dtype=np.int64) if problems is None else problems
    logs = -np.logaddexp(0.0, -rank) if name == "logodds" else rank
    best = np.repeat(np.maximum.reduceat(logs, starts), np.diff(np.append(starts, len(logs))))
    return np.where(np.isneginf(best), 0.0, np.exp(logs - np.where(np.isneginf(best), 0.0, best)))
