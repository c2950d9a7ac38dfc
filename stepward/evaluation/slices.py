"""Accuracy by difficulty: fifths of the problems by the generator's pass rate.

The pass rate is that of the very candidates the methods choose from (their own grades), not of other draws. So a
problem that is hard by bad luck is in the hard fifth: the slices compare methods with one another, and say little about
the slope of any one of them. Every row carries this in `by`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.evaluation.candidates import Candidates

BY = "pass rate of the same candidates, by their own grades"


@dataclass(frozen=True, slots=True)
class QuintileRow:
    """One method's accuracy in one fifth of the problems.

    Attributes:
        quintile: 1, the hardest, to 5, the easiest.
        by: What difficulty is measured by.
        pass_low: The lowest pass rate in the fifth.
        pass_high: The highest.
        problems: How many problems are in it.
        method: `majority`, `pass` or a kind of reward model.
        voting: `best`, `weighted` or None.
        aggregation: The one chosen for the method and voting on validation problems; None without a reward model.
        n: The size of the candidate sets.
        accuracy: Mean over seeds and problems, in [0, 1].
    """

    quintile: int
    by: str
    pass_low: float
    pass_high: float
    problems: int
    method: str
    voting: str | None
    aggregation: str | None
    n: int
    accuracy: float


def quintiles(candidates: Sequence[Candidates]) -> list[NDArray[np.int64]]:
    """Indices of the problems of each fifth, hardest first; of equal pass rates the smaller id comes first.

    With fewer than five problems, as many parts as there are problems.
    """
    order = sorted(range(len(candidates)), key=lambda i: (candidates[i].pass_rate, candidates[i].problem.id))
    return [np.asarray(part) for part in np.array_split(order, min(5, len(order)))]


def slice_rows(
    candidates: Sequence[Candidates],
    method: str,
    voting: str | None,
    aggregation: str | None,
    n: int,
    per_problem: NDArray[np.float64],
) -> list[QuintileRow]:
    """One method's rows, a fifth each, from its accuracies [problem]."""
    rows = []
    for number, members in enumerate(quintiles(candidates), start=1):
        rates = [candidates[index].pass_rate for index in members]
        accuracy = float(per_problem[members].mean())
        rows.append(
            QuintileRow(number, BY, min(rates), max(rates), len(members), method, voting, aggregation, n, accuracy)
        )
    return rows
