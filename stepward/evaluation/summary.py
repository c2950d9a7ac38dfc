"""The whole evaluation of a run: every method at every N, what validation chose, and by how much it wins.

A method is a kind of reward model, `majority` or `pass`. How a kind's scores are used (best-of-N or weighted voting)
and aggregated is chosen on validation problems, never on the test problems it is then reported on. Every combination
is in the rows all the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.accuracy import VOTINGS, Accuracies, measure
from stepward.evaluation.aggregation import AGGREGATIONS
from stepward.evaluation.candidates import Candidates, gather, tabulate
from stepward.evaluation.slices import QuintileRow, slice_rows
from stepward.evaluation.statistics import interval, resamples, spread
from stepward.records import Problem, Scores, Solution

Floats = NDArray[np.float64]

NS = (1, 2, 4, 8, 16, 32, 64)

FIXED_AGGREGATION = {"orm": "last"}
"""An ORM's score is by definition the one at the last token, so for it nothing is chosen."""


@dataclass(frozen=True, slots=True)
class Row:
    """One method at one N on the test problems; a row of `summary.json`.

    Attributes:
        method: `majority`, `pass` (oracle pass@N), or a kind of reward model.
        voting: `best` (best-of-N), `weighted` (reward-weighted voting), or None without a reward model.
        aggregation: `min`, `prod`, `last` or `mean`; None without a reward model.
        n: How many candidates are chosen from.
        mean: Accuracy in [0, 1], over problems and seeds.
        std: Standard deviation over seeds; None with fewer than two.
        low: Lower end of the 95% interval, bootstrapped over problems.
        high: Upper end.
        seeds: How many seeds; 0 without a reward model.
        problems: How many problems.
    """

    method: str
    voting: str | None
    aggregation: str | None
    n: int
    mean: float
    std: float | None
    low: float
    high: float
    seeds: int
    problems: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What validation chose for one kind of reward model; a row of `chosen.json`.

    Attributes:
        method: The kind.
        voting: `best` or `weighted`.
        aggregation: The best one for this voting on validation problems; of equals the first of `AGGREGATIONS`.
        n: The size of the candidate sets it was chosen at.
        validation: Its accuracy on the validation problems, in [0, 1].
        overall: Whether this voting is the method's better one; exactly one of a method's choices is.
        seeds: The method's seeds.
        problems: How many validation problems.
    """

    method: str
    voting: str
    aggregation: str
    n: int
    validation: float
    overall: bool
    seeds: tuple[int, ...]
    problems: int


@dataclass(frozen=True, slots=True)
class Margin:
    """A paired difference of accuracies on the test problems; a row of `margins.json`.

    Attributes:
        method: A kind, under its overall choice; under its choice for `best` where `against` is the kind itself.
        against: `majority`, another kind under its overall choice, or the kind itself at another N.
        voting: The method's voting.
        aggregation: The method's aggregation.
        n: The method's N.
        against_n: The other's N.
        mean: Mean difference, in [-1, 1].
        low: Lower end of its 95% interval, by a paired bootstrap over problems.
        high: Upper end.
        wins: Whether the interval lies above 0.
    """

    method: str
    against: str
    voting: str
    aggregation: str
    n: int
    against_n: int
    mean: float
    low: float
    high: float
    wins: bool


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures of a run: see `Row`, `Choice`, `Margin` and `QuintileRow`."""

    rows: tuple[Row, ...]
    chosen: tuple[Choice, ...]
    margins: tuple[Margin, ...]
    quintiles: tuple[QuintileRow, ...]

    @property
    def n(self) -> int:
        """The size of the candidate sets at which methods are chosen and compared."""
        return self.quintiles[0].n

    @property
    def methods(self) -> tuple[str, ...]:
        """The kinds of reward model, in the order of the rows."""
        return tuple(dict.fromkeys(choice.method for choice in self.chosen))

    def choice(self, method: str, voting: str | None = None) -> Choice:
        """A kind's choice for one voting, or overall."""
        found = [c for c in self.chosen if c.method == method and (c.overall if voting is None else c.voting == voting)]
        return found[0]

    def row(self, method: str, n: int, voting: str | None = None, aggregation: str | None = None) -> Row:
        """The row of a method at N.

        Raises:
            KeyError: There is no such row.
        """
        for row in self.rows:
            if (row.method, row.voting, row.aggregation, row.n) == (method, voting, aggregation, n):
                return row
        raise KeyError((method, voting, aggregation, n))

    def margin(self, method: str, against: str) -> Margin | None:
        """The margin of a method against another; None where it was not measured."""
        return next((m for m in self.margins if (m.method, m.against) == (method, against)), None)


def n_of_choice(ns: Sequence[int]) -> int:
    """The N at which methods are chosen and compared: 16, or the largest if 16 is not among them."""
    return 16 if 16 in ns else max(ns)


def evaluate(
    problems: Sequence[Problem],
    solutions: Sequence[Solution],
    scores: Sequence[Scores],
    *,
    validation: tuple[Sequence[Problem], Sequence[Solution], Sequence[Scores]],
    ns: Sequence[int] = NS,
    choose_at: int | None = None,
    seed: int = 0,
    subsets: int = 400,
    progress: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Measures every method on the test problems.

    Args:
        problems: The test problems; every one counts in every denominator.
        solutions: Their candidates.
        scores: Every model's scores of every candidate.
        validation: The same three of the validation problems, by which votings and aggregations are chosen.
        ns: The sizes of the candidate sets.
        choose_at: The N, one of `ns`, at which methods are chosen and compared; `n_of_choice(ns)` if not given.
        seed: Seed of the subsets for voting and of the bootstrap.
        subsets: Random subsets a problem and N for voting.
        progress: Called after each problem, validation's too.

    Raises:
        StepwardError: A record is missing, surplus or broken, or a problem has too few candidates; names the record.
    """
    sizes = tuple(sorted(set(ns)))
    if not sizes or sizes[0] < 1:
        raise StepwardError(f"evaluation: the N to measure are {list(ns)}, expected at least one, each at least 1")
    at = choose_at if choose_at is not None else n_of_choice(sizes)
    if at not in sizes:
        raise StepwardError(f"evaluation: methods are to be chosen at N = {at}, which is not among {list(sizes)}")
    test = gather(problems, solutions, at_least=sizes[-1], part="test")
    held = gather(validation[0], validation[1], at_least=at, part="validation")
    if both := {one.problem.id for one in test} & {one.problem.id for one in held}:
        raise StepwardError(f"problem {min(both)}: it is both a test and a validation problem; split them apart")
    table, held_table = tabulate(test, scores, part="test"), tabulate(held, validation[2], part="validation")
    if odd := set(table.models) ^ set(held_table.models):
        name = f"{min(odd).kind}/seed-{min(odd).seed}"
        raise StepwardError(f"scores by {name}: only on the test or only on the validation candidates; score both")
    measured = measure(test, table, sizes, seed=seed, subsets=subsets, progress=progress)
    chosen = _choose(measure(held, held_table, (at,), seed=seed, subsets=subsets, progress=progress), at)
    weights = resamples(len(test), seed)
    return Evaluation(
        rows=_rows(measured, weights),
        chosen=chosen,
        margins=_margins(measured, chosen, weights, at),
        quintiles=_quintiles(test, measured, chosen, at),
    )


def _rows(measured: Accuracies, weights: Floats) -> tuple[Row, ...]:
    rows = _rows_of("majority", None, None, measured.majority[None], measured.ns, weights, seeds=0)
    rows += _rows_of("pass", None, None, measured.passed[None], measured.ns, weights, seeds=0)
    for (kind, voting, aggregation), accuracy in measured.scored.items():
        rows += _rows_of(kind, voting, aggregation, accuracy, measured.ns, weights, seeds=len(accuracy))
    return tuple(rows)


def _rows_of(
    method: str,
    voting: str | None,
    aggregation: str | None,
    accuracy: Floats,
    ns: Sequence[int],
    weights: Floats,
    *,
    seeds: int,
) -> list[Row]:
    """A method's rows, from its accuracies [seed, problem, n]."""
    per_problem, by_seed = accuracy.mean(axis=0), accuracy.mean(axis=1)
    # Rounding may leave an end at -1e-17.
    low, high = (np.clip(end, 0, 1) for end in interval(weights, per_problem))
    mean = per_problem.mean(axis=0)
    return [
        Row(
            method=method,
            voting=voting,
            aggregation=aggregation,
            n=n,
            mean=float(mean[column]),
            std=spread(by_seed[:, column]),
            low=float(low[column]),
            high=float(high[column]),
            seeds=seeds,
            problems=accuracy.shape[1],
        )
        for column, n in enumerate(ns)
    ]


def _choose(held: Accuracies, at: int) -> tuple[Choice, ...]:
    chosen = []
    for kind, seeds in held.seeds.items():
        names = [FIXED_AGGREGATION[kind]] if kind in FIXED_AGGREGATION else list(AGGREGATIONS)
        means = {pair: float(held.at(kind, *pair, at).mean()) for pair in product(VOTINGS, names)}
        best = {voting: max(names, key=lambda name: means[voting, name]) for voting in VOTINGS}
        overall = max(VOTINGS, key=lambda voting: means[voting, best[voting]])
        for voting in VOTINGS:
            pair = (voting, best[voting])
            chosen.append(Choice(kind, *pair, at, means[pair], voting == overall, seeds, held.majority.shape[0]))
    return tuple(chosen)


def _margins(measured: Accuracies, chosen: Sequence[Choice], weights: Floats, at: int) -> tuple[Margin, ...]:
    """Each kind against majority; ER against hard and soft; each kind's best-of-N against itself at the largest N."""
    overall = {choice.method: choice for choice in chosen if choice.overall}
    accuracy = {kind: measured.at(kind, c.voting, c.aggregation, at) for kind, c in overall.items()}
    majority = measured.majority[:, measured.ns.index(at)]
    margins = [_margin(overall[kind], "majority", at, at, accuracy[kind] - majority, weights) for kind in overall]
    for other in ("hard", "soft"):
        if "er" in overall and other in overall:
            margins.append(_margin(overall["er"], other, at, at, accuracy["er"] - accuracy[other], weights))
    most = measured.ns[-1]
    for choice in chosen:
        if choice.voting == "best" and most > at:
            pair = (choice.method, choice.voting, choice.aggregation)
            margins.append(
                _margin(choice, choice.method, most, at, measured.at(*pair, most) - measured.at(*pair, at), weights)
            )
    return tuple(margins)


def _margin(choice: Choice, against: str, n: int, against_n: int, difference: Floats, weights: Floats) -> Margin:
    low, high = interval(weights, difference)
    return Margin(
        method=choice.method,
        against=against,
        voting=choice.voting,
        aggregation=choice.aggregation,
        n=n,
        against_n=against_n,
        mean=float(difference.mean()),
        low=float(low),
        high=float(high),
        wins=bool(low > 0),
    )


def _quintiles(
    test: Sequence[Candidates], measured: Accuracies, chosen: Sequence[Choice], at: int
) -> tuple[QuintileRow, ...]:
    column = measured.ns.index(at)
    rows = slice_rows(test, "majority", None, None, at, measured.majority[:, column])
    rows += slice_rows(test, "pass", None, None, at, measured.passed[:, column])
    for c in chosen:
        accuracy = measured.at(c.method, c.voting, c.aggregation, at)
        rows += slice_rows(test, c.method, c.voting, c.aggregation, at, accuracy)
    return tuple(rows)
