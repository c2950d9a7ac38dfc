"""The whole evaluation of a run: every method at every N, what validation chose, and by how much it wins.

A method is a kind of reward model, `majority` or `pass`. How a kind's scores are used (best-of-N or weighted voting)
and aggregated is chosen on validation problems, never on the test problems it is then reported on. Every combination
is in the rows all the same.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.accuracy import Accuracies, measure_table
from stepward.evaluation.best_of_n.aggregation import AGGREGATIONS
from stepward.evaluation.best_of_n.answer_groups import equivalence_fn
from stepward.evaluation.best_of_n.candidates import gather, table_of, tabulate
from stepward.evaluation.best_of_n.records import Evaluation, MetricRow, PairedDifference, SelectedConfig, selection_n
from stepward.evaluation.best_of_n.slices import (
    MethodConfig,
    problem_attributes,
    quintile_rows,
    slice_rows,
    split_halves,
)
from stepward.evaluation.best_of_n.table import CandidateTable
from stepward.evaluation.stats.bootstrap import accuracy_interval, resampled_means, seed_std
from stepward.evaluation.stats.crossed import mean_variance
from stepward.evaluation.stats.paired_test import Paired, Sides, direction, holm, paired_many
from stepward.records import Problem, Scores, Solution

__all__ = ["NS", "Evaluation", "MetricRow", "PairedDifference", "SelectedConfig", "evaluate", "rows_of", "selection_n"]

Floats = NDArray[np.float64]

NS = (1, 2, 4, 8, 16, 32, 64)

CHOSEN_VOTINGS = ("best", "weighted")
"""Between which is chosen; the other votings are in the rows."""

FIXED_AGGREGATION = {"orm": "last", "prm_outcome": "last"}
"""An ORM's score is by definition the one at the last token, so for it nothing is chosen."""


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
    grader: str = "math",
    progress: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Measures every method on the test problems.

    Args:
        problems: The test problems; every one counts in every denominator.
        solutions: Their candidates.
        scores: Every model's scores of every candidate.
        validation: The same three of the validation problems, by which votings and aggregations are chosen.
        ns: The sizes of the candidate sets.
        choose_at: The N, one of `ns`, at which methods are chosen and compared; `selection_n(ns)` if not given.
        seed: Seed of the subsets for voting and of the bootstrap.
        subsets: Random subsets a problem and N for voting.
        grader: Which answers are one, is told by this grader.
        progress: Called after each problem, validation's too.

    Raises:
        StepwardError: A record is missing, surplus or broken, or a problem has too few candidates; names the record.
    """
    sizes = tuple(sorted(set(ns)))
    if not sizes or sizes[0] < 1:
        raise StepwardError(
            f"evaluation: the N to measure are {list(ns)}, expected at least one, each at least 1",
            code="bad_value",
            field="ns",
        )
    at = choose_at if choose_at is not None else selection_n(sizes)
    if at not in sizes:
        raise StepwardError(
            f"evaluation: methods are to be chosen at N = {at}, which is not among {list(sizes)}",
            code="bad_value",
            field="choose_at",
        )
    test = gather(problems, solutions, at_least=sizes[-1], part="test")
    held = gather(validation[0], validation[1], at_least=at, part="validation")
    if both := {one.problem.id for one in test} & {one.problem.id for one in held}:
        raise StepwardError(
            f"problem {min(both)}: it is both a test and a validation problem; split them apart",
            code="conflict",
            field="problems",
        )
    table, held_table = tabulate(test, scores, part="test"), tabulate(held, validation[2], part="validation")
    names = [{f"{model.method}/seed-{model.seed}" for model in one} for one in (table, held_table)]
    if odd := names[0] ^ names[1]:
        raise StepwardError(
            f"scores by {min(odd)}: only on the test or only on the validation candidates; score both",
            code="mismatch",
            field="scores",
        )
    same = equivalence_fn(grader)
    columns = table_of(test, same)
    alone = {"answers_alone": same.alone} if same.alone else {}
    measured = measure_table(columns, table, sizes, seed=seed, subsets=subsets, progress=progress)
    held_columns = table_of(held, same)
    chosen = choose(measure_table(held_columns, held_table, (at,), seed=seed, subsets=subsets, progress=progress), at)
    uses, ids = method_configs(chosen), [solution.id for one in test for solution in one.solutions]
    return Evaluation(
        rows=rows_of(measured, seed=seed),
        chosen=chosen,
        margins=margins_of(measured, chosen, seed, at),
        quintiles=quintile_rows(
            split_halves(ids, columns.copies, columns.starts), columns, table, uses, at, seed=seed,
            measure=lambda part, models, n, names: measure_table(
                part, models, (n,), seed=seed, subsets=subsets, aggregations=names
            ),
        ),
        slices=slice_rows(problem_attributes(test), measured, uses, at),
        facts=provenance(columns, measured) | {"distinct_candidates": len(ids)} | alone,
        accuracies=measured,
    )  # fmt: skip


def provenance(table: CandidateTable, measured: Accuracies) -> dict[str, int]:
    """What else to know of the candidates, in numbers of draws and problems."""
    drawn = np.add.reduceat(table.copies, table.starts[:-1])
    silent = np.add.reduceat(table.copies * (table.answers < 0), table.starts[:-1])
    return {
        "problems": len(drawn),
        "candidates": int(drawn.sum()),
        "fewest_candidates": int(drawn.min()),
        "without_answer": int(silent.sum()),
        "problems_without_answer": int((silent == drawn).sum()),
        "problems_without_right": int((measured.passed[:, -1] == 0).sum()),
        "models": sum(len(seeds) for seeds in measured.seeds.values()),
    }


def rows_of(measured: Accuracies, *, seed: int) -> tuple[MetricRow, ...]:
    """The rows of `summary.json`: majority, pass@N, then every method, voting and aggregation, at every N.

    Args:
        measured: The accuracies, problem by problem.
        seed: Seed of the bootstrap.
    """
    keys: list[tuple[str, str | None, str | None]] = [("majority", None, None), ("pass", None, None)]
    found = [measured.majority[None], measured.passed[None], *measured.scored.values()]
    keys += list(measured.scored)
    per_problem = np.concatenate([accuracy.mean(axis=0) for accuracy in found], axis=1)
    columns = [accuracy[:, :, which] for accuracy in found for which in range(len(measured.ns))]
    widening = np.array([mean_variance([column]).widening for column in columns])
    lows, highs = accuracy_interval(resampled_means(per_problem, seed), per_problem, widening)
    means, rows, column = per_problem.mean(axis=0), [], 0
    for (method, voting, aggregation), accuracy in zip(keys, found, strict=True):
        by_seed = accuracy.mean(axis=1)
        for which, n in enumerate(measured.ns):
            rows.append(
                MetricRow(
                    method=method,
                    voting=voting,
                    aggregation=aggregation,
                    n=n,
                    mean=float(means[column]),
                    std=seed_std(by_seed[:, which]),
                    low=float(min(lows[column], means[column])),  # equal but for rounding where there is no width
                    high=float(max(highs[column], means[column])),
                    seeds=0 if voting is None else len(accuracy),
                    problems=accuracy.shape[1],
                )
            )
            column += 1
    return tuple(rows)


def choose(held: Accuracies, at: int, aggregations: Sequence[str] = tuple(AGGREGATIONS)) -> tuple[SelectedConfig, ...]:
    """What validation problems say of how each method's scores are best used.

    Args:
        held: The methods' accuracies on these problems.
        at: The N of choice.
        aggregations: Those to choose among; the earlier of equals is taken.
    """
    chosen = []
    for kind, seeds in held.seeds.items():
        fixed = [name for name in aggregations if name == FIXED_AGGREGATION.get(kind)]
        names = fixed or list(aggregations)
        means = {pair: float(held.at(kind, *pair, at).mean()) for pair in product(CHOSEN_VOTINGS, names)}
        best = {voting: max(names, key=lambda name: means[voting, name]) for voting in CHOSEN_VOTINGS}
        overall = max(CHOSEN_VOTINGS, key=lambda voting: means[voting, best[voting]])
        for voting in CHOSEN_VOTINGS:
            pair = (voting, best[voting])
            chosen.append(
                SelectedConfig(kind, *pair, at, means[pair], voting == overall, seeds, held.majority.shape[0])
            )
    return tuple(chosen)


def margins_of(
    measured: Accuracies, chosen: Sequence[SelectedConfig], seed: int, at: int
) -> tuple[PairedDifference, ...]:
    """Each kind against majority, all pairs of kinds, and each kind's best-of-N against itself at the largest N."""
    overall = {choice.method: choice for choice in chosen if choice.overall}
    accuracy = {kind: measured.by_seed(kind, c.voting, c.aggregation, at) for kind, c in overall.items()}
    majority, most = measured.majority[None, :, measured.ns.index(at)], measured.ns[-1]
    pairs: list[tuple[SelectedConfig, str, int, Sides]]
    pairs = [(overall[kind], "majority", at, (accuracy[kind], majority)) for kind in overall]
    # ER is what the others are measured against; among these, what came later against what came before.
    order = sorted(overall, key=lambda kind: kind == "er")
    ranked = [(kind, other) for index, kind in enumerate(order) for other in order[:index]]
    for kind, other in sorted(ranked, key=lambda pair: pair[0] != "er"):
        pairs.append((overall[kind], other, at, (accuracy[kind], accuracy[other])))
    for choice in chosen:
        if choice.voting == "best" and most > at:
            use = (choice.method, choice.voting, choice.aggregation)
            grown = measured.by_seed(*use, most) - measured.by_seed(*use, at)  # the same models, seed by seed
            pairs.append((choice, choice.method, most, (grown, np.zeros_like(majority))))
    found = paired_many([sides for *_, sides in pairs], seed=seed)
    seeds = {kind: len(each) for kind, each in measured.seeds.items()}
    return tuple(
        _margin(choice, against, n, at, one, p_holm, seeds)
        for (choice, against, n, _), one, p_holm in zip(pairs, found, holm(found), strict=True)
    )


def _margin(
    choice: SelectedConfig, against: str, n: int, against_n: int, found: Paired, p_holm: float, seeds: Mapping[str, int]
) -> PairedDifference:
    better = direction(found.low, found.high, p_holm)
    return PairedDifference(
        method=choice.method,
        against=against,
        voting=choice.voting,
        aggregation=choice.aggregation,
        n=n,
        against_n=against_n,
        mean=found.mean,
        low=found.low,
        high=found.high,
        wins=better > 0,
        loses=better < 0,
        p=found.p,
        p_holm=p_holm,
        needed=found.needed,
        seeds=seeds[choice.method],
        against_seeds=seeds.get(against, 0),
    )


def method_configs(chosen: Sequence[SelectedConfig]) -> list[MethodConfig]:
    """What slices are told of: the baselines, and every kind's choice for both votings."""
    uses = [MethodConfig("majority", None, None), MethodConfig("pass", None, None)]
    return uses + [MethodConfig(choice.method, choice.voting, choice.aggregation) for choice in chosen]
