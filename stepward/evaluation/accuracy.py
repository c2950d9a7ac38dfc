"""Every method's accuracy on every problem, from which means, intervals and slices are taken.

Methods that need no reward model are `majority` and `pass`; each kind of reward model is used to pick the best-scored
candidate (`best`) and to weigh a vote (`weighted`), under every aggregation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.evaluation.aggregation import AGGREGATIONS, vote_weights
from stepward.evaluation.best_of_n import best_of_n, pass_at_n
from stepward.evaluation.candidates import Candidates, ScoreTable
from stepward.evaluation.voting import draw_subsets, vote

Floats = NDArray[np.float64]

VOTINGS = ("best", "weighted")


@dataclass(frozen=True, slots=True)
class Accuracies:
    """Expected accuracies in [0, 1].

    Attributes:
        ns: The sizes of the candidate sets.
        majority: [problem, n].
        passed: pass@N [problem, n].
        seeds: By kind, its models' seeds.
        scored: By (kind, voting, aggregation) [seed, problem, n].
    """

    ns: tuple[int, ...]
    majority: Floats
    passed: Floats
    seeds: dict[str, tuple[int, ...]]
    scored: dict[tuple[str, str, str], Floats]

    def at(self, kind: str, voting: str, aggregation: str, n: int) -> Floats:
        """One method's accuracy at one N, averaged over seeds [problem]."""
        return np.asarray(self.scored[kind, voting, aggregation][:, :, self.ns.index(n)].mean(axis=0))


def measure(
    candidates: Sequence[Candidates],
    table: ScoreTable,
    ns: Sequence[int],
    *,
    seed: int,
    subsets: int,
    progress: Callable[[], None] = lambda: None,
) -> Accuracies:
    """Measures every method at every N.

    Args:
        candidates: The problems' candidates, from `gather`.
        table: Their scores, from `tabulate`.
        ns: The sizes, none above a problem's number of candidates.
        seed: From which, with the problem's id, the subsets for voting are drawn.
        subsets: How many subsets a problem and N.
        progress: Called after each problem.
    """
    sizes, models = tuple(ns), len(table.models)
    best = np.empty((len(AGGREGATIONS), models, len(candidates), len(sizes)))
    weighted = np.empty_like(best)
    majority, passed = np.empty((2, len(candidates), len(sizes)))
    for row, one in enumerate(candidates):
        columns = [np.ones((len(one.solutions), 1))]
        for which, name in enumerate(AGGREGATIONS):
            rank = table.ranks[name][row]
            for model in range(models):
                best[which, model, row] = best_of_n(rank[:, model], one.correct, one.copies, sizes)
            columns += [vote_weights(name, rank[:, model])[:, None] for model in range(models)]
        drawn = draw_subsets(one.copies, sizes, problem_id=one.problem.id, seed=seed, subsets=subsets)
        answers = [solution.answer for solution in one.solutions]
        votes = vote(drawn, answers, one.correct, np.concatenate(columns, axis=1))
        majority[row] = votes[:, 0]
        weighted[:, :, row] = votes[:, 1:].T.reshape(len(AGGREGATIONS), models, len(sizes))
        passed[row] = pass_at_n(one.correct, one.copies, sizes)
        progress()
    kinds = list(dict.fromkeys(model.kind for model in table.models))
    scored: dict[tuple[str, str, str], Floats] = {}
    for kind in kinds:
        seeds = [index for index, model in enumerate(table.models) if model.kind == kind]
        for voting, measured in zip(VOTINGS, (best, weighted), strict=True):
            for which, name in enumerate(AGGREGATIONS):
                scored[kind, voting, name] = measured[which, seeds]
    seeds_of = {kind: tuple(model.seed for model in table.models if model.kind == kind) for kind in kinds}
    return Accuracies(sizes, majority, passed, seeds_of, scored)
