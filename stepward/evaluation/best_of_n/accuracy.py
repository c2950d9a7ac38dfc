"""Every method's accuracy on every problem, from which means, intervals and slices are taken.

Methods that need no reward model are `majority` and `pass`. Each kind of reward model is used to pick the best-scored
candidate (`best`) and to decide a vote, by the sum (`weighted`), the mean (`weighted_mean`) or the largest
(`weighted_max`) of an answer's scores, under every aggregation.

Measuring goes block by block of problems, so that beside the table and its step scores it holds little: 10^5 problems
of 1,860 candidates are a matter of memory for the scores themselves.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.aggregation import AGGREGATIONS, ranks, vote_weights
from stepward.evaluation.best_of_n.closed_form import best_of_n_vote_accuracy, pass_at_n
from stepward.evaluation.best_of_n.table import CandidateTable, ModelScores
from stepward.evaluation.best_of_n.voting import ProblemAnswers, Ties, first_of_best, vote

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

VOTINGS = ("best", "weighted", "weighted_mean", "weighted_max")

_BLOCK = 1 << 16
"""Most candidates of several problems that are aggregated at once; a larger problem is a block of its own."""


@dataclass(frozen=True, slots=True)
class Accuracies:
    """Expected accuracies in [0, 1].

    Attributes:
        ns: The sizes of the candidate sets, ascending.
        majority: [problem, n].
        passed: pass@N [problem, n].
        seeds: By method, its models' seeds.
        scored: By (method, voting, aggregation) [seed, problem, n].
        problems: The problems' ids [problem].
    """

    ns: tuple[int, ...]
    majority: Floats
    passed: Floats
    seeds: dict[str, tuple[int, ...]]
    scored: dict[tuple[str, str, str], Floats]
    problems: Sequence[str] = ()

    def at(self, method: str, voting: str, aggregation: str, n: int) -> Floats:
        """One method's accuracy at one N, averaged over seeds [problem]."""
        return np.asarray(self.by_seed(method, voting, aggregation, n).mean(axis=0))

    def by_seed(self, method: str, voting: str, aggregation: str, n: int) -> Floats:
        """One method's accuracy at one N [seed, problem]."""
        return np.asarray(self.scored[method, voting, aggregation][:, :, self.ns.index(n)])


@dataclass(frozen=True, slots=True)
class _Measured:
    """What is measured [voting, column, problem, n], a column being an aggregation of a model, and without models."""

    scored: Floats
    majority: Floats
    passed: Floats


def measure_table(
    table: CandidateTable,
    models: Sequence[ModelScores],
    ns: Sequence[int],
    *,
    seed: int,
    subsets: int,
    ties: Ties = "share",
    aggregations: Sequence[str] = tuple(AGGREGATIONS),
    progress: Callable[[], None] = lambda: None,
) -> Accuracies:
    """Measures every method at every N.

    Args:
        table: The candidates.
        models: What each reward model gives them; of one method there may be several, with seeds of their own.
        ns: The sizes, none above a problem's number of draws.
        seed: From which, with the problem's id, the subsets for voting are drawn.
        subsets: How many subsets a problem and N.
        ties: Of votes of all candidates of a problem: whether tied answers share the win, or the first of them in the
            table has it. Random subsets have no order, and best-of-N picks a candidate: there ties always share.
        aggregations: Which to measure.
        progress: Called after each problem.

    Raises:
        StepwardError: There is no problem, or an N that a problem has too few candidates for; grades contradict one
            another; or scores do not fit the table. Names the problem or model.
    """
    sizes = tuple(sorted(set(ns)))
    _check(table, models, sizes)
    columns, problems = len(aggregations) * len(models), len(table.problems)
    measured = _Measured(np.empty((len(VOTINGS), columns, problems, len(sizes))), *np.empty((2, problems, len(sizes))))
    for block in _blocks(table.starts):
        ranked, weights = _aggregated(table, models, aggregations, block)
        begin = table.starts[block.start]
        for row in range(block.start, block.stop):
            own = slice(table.starts[row] - begin, table.starts[row + 1] - begin)
            ballot = _ballot(table, row)
            _measure(measured, row, ballot, ranked[:, own], weights[:, own], sizes, seed, subsets, ties)
            progress()
    return _sorted_out(table, models, sizes, aggregations, measured)


def _measure(
    into: _Measured, row: int, ballot: ProblemAnswers, ranked: Floats, weights: Floats, ns: tuple[int, ...], seed: int,
    subsets: int, ties: Ties,
) -> None:  # fmt: skip
    """Measures one problem, from its candidates' ranks and weights [column, candidate]."""
    correct = np.append(ballot.right, False)[ballot.answers]  # -1, without an answer, is the last
    picked = best_of_n_vote_accuracy(
        np.ascontiguousarray(ranked), ballot.answers, ballot.right, correct, ballot.counts, ns
    )
    votes = vote(ballot, ns, weights.T, seed=seed, subsets=subsets, ties=ties)
    total = int(ballot.counts.sum())
    if ties == "first" and total in ns and total > 1:
        picked[:, 1, ns.index(total)] = first_of_best(ballot, ranked)
    into.scored[:, :, row] = picked[:, 0], votes.weighted, votes.weighted_mean, picked[:, 1]
    into.majority[row] = votes.majority
    into.passed[row] = pass_at_n(correct, ballot.counts, ns)


def _sorted_out(
    table: CandidateTable, models: Sequence[ModelScores], ns: tuple[int, ...], aggregations: Sequence[str],
    measured: _Measured,
) -> Accuracies:  # fmt: skip
    """The columns by method, voting and aggregation."""
    of = {method: [index for index, one in enumerate(models) if one.method == method] for method in _methods(models)}
    scored = {
        (method, voting, name): measured.scored[way, [which * len(models) + index for index in indices]]
        for method, indices in of.items()
        for way, voting in enumerate(VOTINGS)
        for which, name in enumerate(aggregations)
    }
    seeds = {method: tuple(models[index].seed for index in indices) for method, indices in of.items()}
    return Accuracies(ns, measured.majority, measured.passed, seeds, scored, table.problems)


def _methods(models: Sequence[ModelScores]) -> list[str]:
    return list(dict.fromkeys(model.method for model in models))


def _blocks(starts: Longs) -> Iterator[slice]:
    """The problems, so many at a time that they have `_BLOCK` candidates, or one that has more."""
    first, problems = 0, len(starts) - 1
    while first < problems:
        fits = int(np.searchsorted(starts, starts[first] + _BLOCK, side="right")) - 1
        last = min(max(fits, first + 1), problems)
        yield slice(first, last)
        first = last


def _aggregated(
    table: CandidateTable, models: Sequence[ModelScores], aggregations: Sequence[str], block: slice
) -> tuple[Floats, Floats]:
    """The ranks and vote weights of one block's candidates, each [column, candidate], a problem's one after another."""
    begin, end = table.starts[block.start], table.starts[block.stop]
    ranked = np.empty((len(aggregations) * len(models), end - begin))
    weights = np.empty_like(ranked)
    problems = table.starts[block] - begin
    for index, model in enumerate(models):
        starts = model.starts[begin : end + 1]
        steps = np.asarray(model.steps[starts[0] : starts[-1]], dtype=np.float64)
        for which, name in enumerate(aggregations):
            column = which * len(models) + index
            ranked[column] = ranks(name, steps, np.asarray(starts[:-1] - starts[0]))
            weights[column] = vote_weights(name, ranked[column], problems)
    return ranked, weights


def _ballot(table: CandidateTable, row: int) -> ProblemAnswers:
    own = slice(table.starts[row], table.starts[row + 1])
    answers = np.array(table.answers[own], dtype=np.int32)
    correct, problem = np.asarray(table.correct[own], dtype=bool), table.problems[row]
    right = np.zeros(int(answers.max()) + 1, dtype=bool)
    right[answers[correct & (answers >= 0)]] = True
    if (np.append(right, False)[answers] != correct).any():
        raise StepwardError(
            f"problem {problem}: one answer is graded right in one candidate and wrong in another, or a candidate "
            "without an answer is graded right; grade the answers again",
            code="mismatch",
            field="correct",
        )
    return ProblemAnswers(problem, answers, right, np.array(table.copies[own], dtype=np.int64))


def _check(table: CandidateTable, models: Sequence[ModelScores], ns: tuple[int, ...]) -> None:
    """That every problem has enough candidates, and every candidate scores that can be aggregated and voted with."""
    if not ns or ns[0] < 1:
        raise StepwardError(
            f"evaluation: the N to measure are {list(ns)}, expected at least one, each at least 1",
            code="bad_value",
            field="ns",
        )
    if not len(table.problems):
        raise StepwardError("evaluation: there are no problems; expected at least one", code="empty", field="problems")
    if (np.diff(table.starts) < 1).any():
        problem = table.problems[int(np.argmax(np.diff(table.starts) < 1))]
        raise StepwardError(
            f"problem {problem}: it has no candidates, expected at least {ns[-1]}", code="too_few", field="candidates"
        )
    drawn = np.add.reduceat(table.copies, table.starts[:-1])
    if (drawn < ns[-1]).any():
        short = int(np.argmax(drawn < ns[-1]))
        raise StepwardError(
            f"problem {table.problems[short]}: {drawn[short]} candidates, expected at least {ns[-1]}; "
            "lower the largest N, or draw more",
            code="too_few",
            field="ns",
        )
    seen: set[tuple[str, int]] = set()
    for model in models:
        name = f"scores by {model.method}, seed {model.seed}"
        if (model.method, model.seed) in seen:
            raise StepwardError(
                f"{name}: there twice; give each model its own name or seed", code="duplicate", field="seed"
            )
        seen.add((model.method, model.seed))
        if len(model.starts) != len(table.answers) + 1 or model.starts[-1] != len(model.steps):
            raise StepwardError(
                f"{name}: they are not one list a candidate; score every candidate once",
                code="mismatch",
                field="scores",
            )
        if (model.starts[1:] <= model.starts[:-1]).any():
            raise StepwardError(
                f"{name}: a candidate has no step score; expected at least one", code="missing", field="scores"
            )
        # Both comparisons are false for NaN.
        if not (model.steps.min() >= 0.0 and model.steps.max() <= 1.0):
            step = int(np.flatnonzero(~((model.steps >= 0.0) & (model.steps <= 1.0)))[0])
            candidate = int(np.searchsorted(model.starts, step, side="right"))  # from 1
            raise StepwardError(
                f"{name}: candidate {candidate} has the step score {model.steps[step]}, which is not in [0, 1]; the "
                "logistic of a reward is",
                code="bad_value" if np.isfinite(model.steps[step]) else "not_finite",
                row=candidate,
                field="scores",
            )
