"""Best-of-N and voting by scores that other tools wrote: the figures of a run, for a reward model Stepward never saw.

There are no validation problems beside such scores, so nothing is chosen: every voting and aggregation is in the rows,
and who reports one of them says beforehand which.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.accuracy import Accuracies, measure_table
from stepward.evaluation.aggregation import AGGREGATIONS, vote_weights
from stepward.evaluation.external_answers import group_answers
from stepward.evaluation.external_fields import Neutral
from stepward.evaluation.external_rows import read_columns
from stepward.evaluation.external_table import tabulate_columns
from stepward.evaluation.summary import Row, rows_of
from stepward.evaluation.table import CandidateTable, ModelScores
from stepward.evaluation.voting import Ties
from stepward.grading import grade
from stepward.grading.graders import load_grader

Floats = NDArray[np.float64]

Progress = Callable[[str, int, int], None]
"""Takes the stage's name, how much of it is done, and of how much."""

BY_ORDER = ("best", "weighted_max")
"""Votings for which only the scores' order counts."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured, and by which rules.

    Attributes:
        problems: How many problems.
        candidates: How many solutions of all problems.
        fewest: The fewest of a problem.
        most: The most of a problem.
        without_answer: How many solutions have no answer; they count as wrong and vote for none.
        grader: Who graded: a grader's name, or None where the rows say `correct`.
        undecided: How many distinct answers grading did not end for; they count as wrong.
        ties: What becomes of answers that tie in a vote of all candidates.
        rewards: Whether scores are one number of any size a solution.
        in_unit: Whether all of them lie in [0, 1] even so, as probabilities do.
        models: `<method>/seed-<seed>` of every model.
    """

    problems: int
    candidates: int
    fewest: int
    most: int
    without_answer: int
    grader: str | None
    undecided: int
    ties: Ties
    rewards: bool
    in_unit: bool
    models: tuple[str, ...]

    def lines(self) -> list[str]:
        """What a reader of the figures must know, a sentence or two a line."""
        each = f"{self.most:,} each" if self.fewest == self.most else f"{self.fewest:,} to {self.most:,} each"
        graded = "by the rows' own `correct`" if self.grader is None else f"by {self.grader}"
        undecided = f" ({self.undecided:,} answers undecided, counted as wrong)" if self.undecided else ""
        tied = "the first in the file wins a vote of all candidates, else shared" if self.ties == "first" else "shared"
        lines = [
            f"{self.problems:,} problem{'s' * (self.problems > 1)}, {self.candidates:,} candidates ({each}), "
            f"{self.without_answer:,} without an answer (wrong, no vote); graded {graded}{undecided}; ties: {tied}."
        ]
        if self.rewards:
            lines.append("Scores are rewards: best-of-N by their order, weighted votes by their logistic.")
        if self.rewards and self.in_unit:
            lines.append("All lie in [0, 1]: if they are probabilities, write them as step_scores: [p].")
        return lines


@dataclass(frozen=True, slots=True)
class External:
    """The figures of external scores.

    Attributes:
        rows: As in a run's `summary.json`.
        measured: Accuracies by problem.
        facts: What was measured.
    """

    rows: tuple[Row, ...]
    measured: Accuracies
    facts: Facts


def evaluate_scores(
    files: Sequence[Path],
    *,
    ns: Sequence[int] | None = None,
    aggregations: Sequence[str] | None = None,
    subsets: int = 400,
    seed: int = 0,
    grader: str = "math",
    ties: Ties = "first",
    neutral: Neutral | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> External:
    """Measures what the scores in the files are worth.

    Args:
        files: See `external_rows.read_columns`.
        ns: The sizes of candidate sets; powers of two up to the smallest number of candidates of a problem, and that
            number, if not given.
        aggregations: Names of `AGGREGATIONS`; all if not given. Rewards, one number a solution, have `last` alone.
        subsets: Random subsets a problem and N for voting.
        seed: Seed of these subsets and of the intervals.
        grader: Grades and groups answers, a name for `stepward.grading.graders.load_grader`.
        ties: Which of answers that tie in a vote of all a problem's candidates wins: the `first` in the file, or all
            `share` the win equally, as they always do in random subsets, which have no order.
        neutral: What neutral counts as where step scores are triples [wrong, neutral, right].
        progress: Told now and then what is done, how much of it, and of how much.

    Raises:
        StepwardError: Bad input, named by file, row and field; an N above a problem's number of candidates; an unknown
            aggregation or grader.
    """
    names = _aggregations(aggregations)
    if subsets < 1:
        raise StepwardError(f"subsets is {subsets}; expected at least 1")
    of_math = load_grader(grader) is grade
    columns = read_columns(files, neutral=neutral, of_math=of_math, progress=partial(progress, "reading"))
    grouped = group_answers(columns, grader, _counter(progress, "grading answers", len(columns.asked)))
    table, models = tabulate_columns(columns, grouped)
    rewards, by_rows = columns.rewards, columns.asked[0].correct is not None
    in_unit = bool(columns.scores.min() >= 0 and columns.scores.max() <= 1)
    if rewards:
        if aggregations is not None and names != ("last",):
            raise StepwardError(
                f"--aggregation {names[0]}: the rows have one `score` a solution, which is `last` alone"
            )
        names = ("last",)
    del columns
    sizes = _sizes(table, ns)
    after = _counter(progress, "measuring", len(table.problems) * (1 + rewards))
    measured = _measure(table, models, sizes, names, rewards, seed=seed, subsets=subsets, ties=ties, progress=after)
    counts = np.diff(table.starts)
    facts = Facts(
        problems=len(table.problems),
        candidates=len(table.answers),
        fewest=int(counts.min()),
        most=int(counts.max()),
        without_answer=int((table.answers < 0).sum()),
        grader=None if by_rows else grader,
        undecided=grouped.undecided.total(),
        ties=ties,
        rewards=rewards,
        in_unit=in_unit,
        models=tuple(f"{model.method}/seed-{model.seed}" for model in models),
    )
    return External(rows_of(measured, seed=seed), measured, facts)


def _counter(progress: Progress, stage: str, total: int) -> Callable[[], None]:
    """What is called after each of so many."""
    done = count(1)
    return lambda: progress(stage, next(done), total)


def _aggregations(given: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(given)) if given else tuple(AGGREGATIONS)
    for name in names:
        if name not in AGGREGATIONS:
            raise StepwardError(f"--aggregation {name}: expected one or more of {', '.join(AGGREGATIONS)}")
    return names


def _sizes(table: CandidateTable, ns: Sequence[int] | None) -> tuple[int, ...]:
    """The N to measure at, in order."""
    counts = np.diff(table.starts)
    fewest = int(counts.min())
    if ns is None:
        return tuple(sorted({2**power for power in range(fewest.bit_length())} | {fewest}))
    sizes = tuple(sorted(set(ns)))
    if not sizes or sizes[0] < 1:
        raise StepwardError(f"--ns {','.join(map(str, ns))}: expected at least one N, each at least 1")
    if sizes[-1] > fewest:
        short = int((counts < sizes[-1]).sum())
        raise StepwardError(
            f"problem {table.problems[int(counts.argmin())]!r} has {fewest} candidates, fewer than N = {sizes[-1]} "
            f"({short:,} of {len(counts):,} problems have too few); give --ns up to {fewest}, or score more solutions"
        )
    return sizes


def _measure(
    table: CandidateTable,
    models: Sequence[ModelScores],
    ns: tuple[int, ...],
    aggregations: Sequence[str],
    rewards: bool,
    *,
    seed: int,
    subsets: int,
    ties: Ties,
    progress: Callable[[], None],
) -> Accuracies:
    """Every voting under the aggregations asked for.

    A vote needs weights that are not negative, and a reward may be any number; so votes are weighed by its logistic,
    the chance that Bradley and Terry give the solution against one of reward 0. Where only the order counts it is the
    reward itself that ranks, since the logistic of large rewards is 1 for all of them.
    """
    if not rewards:
        return measure_table(
            table, models, ns, seed=seed, subsets=subsets, ties=ties, aggregations=aggregations, progress=progress
        )
    problems = np.asarray(table.starts[:-1])
    weights = [replace(model, steps=vote_weights("logodds", model.steps, problems)) for model in models]
    measured = measure_table(
        table, weights, ns, seed=seed, subsets=subsets, ties=ties, aggregations=aggregations, progress=progress
    )
    ranked = [replace(model, steps=_ranks(model.steps)) for model in models]
    by_order = measure_table(
        table, ranked, ns, seed=seed, subsets=1, ties=ties, aggregations=aggregations, progress=progress
    )
    scored = {key: by_order.scored[key] if key[1] in BY_ORDER else value for key, value in measured.scored.items()}
    return replace(measured, scored=scored)


def _ranks(rewards: Floats) -> Floats:
    """Numbers in (0, 1] in the order of the rewards; equal ones for equal ones."""
    levels, level = np.unique(rewards, return_inverse=True)
    return (level + 1.0) / len(levels)
