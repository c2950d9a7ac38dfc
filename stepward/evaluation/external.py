"""Best-of-N and voting by scores that other tools wrote: the figures of a run, for a reward model Stepward never saw.

Where scores of validation problems are given too, voting and aggregation are chosen on them as a run's are. Without
them nothing is chosen: every voting and aggregation is in the rows, and who reports one of them says beforehand which.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np

from stepward.errors import StepwardError
from stepward.evaluation.accuracy import Accuracies
from stepward.evaluation.aggregation import AGGREGATIONS
from stepward.evaluation.external_answers import group_answers
from stepward.evaluation.external_candidates import ScoredCandidate, candidates_of
from stepward.evaluation.external_columns import Columns
from stepward.evaluation.external_fields import Neutral
from stepward.evaluation.external_measure import Rules, check_sizes
from stepward.evaluation.external_rows import read_columns
from stepward.evaluation.external_table import Tabulated, tabulate_columns
from stepward.evaluation.figures import Choice, Evaluation, Row, n_of_choice
from stepward.evaluation.slices import QuintileRow, halves, quintile_rows, slice_rows
from stepward.evaluation.slicings import Traits, lower_median
from stepward.evaluation.summary import FIXED_AGGREGATION, choose, facts_of, margins_of, rows_of, uses_of
from stepward.evaluation.voting import Ties
from stepward.grading import grade
from stepward.grading.graders import load_grader

Progress = Callable[[str, int, int], None]
"""Takes the stage's name, how much of it is done, and of how much."""


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
        files: What was read.
        validation_files: What voting and aggregation were chosen by.
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
    files: tuple[str, ...]
    validation_files: tuple[str, ...]

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
        evaluation: As a run's; without quintiles and slices unless they were asked for.
        facts: What was measured.
        candidates: What a report shows of the problems, likewise.
    """

    evaluation: Evaluation
    facts: Facts
    candidates: tuple[ScoredCandidate, ...] = ()

    @property
    def rows(self) -> tuple[Row, ...]:
        """As in a run's `summary.json`."""
        return self.evaluation.rows


@dataclass(frozen=True, slots=True)
class _Part:
    """Files of scores of the test or the validation problems, read and put in order."""

    tabulated: Tabulated
    rewards: bool
    by_rows: bool
    undecided: int
    ids: tuple[str, ...]
    traits: tuple[Traits, ...]
    candidates: tuple[ScoredCandidate, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the models."""
        return tuple(f"{model.method}/seed-{model.seed}" for model in self.tabulated.models)


def evaluate_scores(
    files: Sequence[Path],
    *,
    validation: Sequence[Path] = (),
    ns: Sequence[int] | None = None,
    aggregations: Sequence[str] | None = None,
    subsets: int = 400,
    seed: int = 0,
    grader: str = "math",
    ties: Ties = "first",
    neutral: Neutral | None = None,
    in_full: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> External:
    """Measures what the scores in the files are worth.

    Args:
        files: See `external_rows.read_columns`.
        validation: The same models' scores of other problems, by which voting and aggregation are chosen; without any,
            best-of-N by the last step's score, or by the first aggregation asked for, stands for a method.
        ns: The sizes of candidate sets; powers of two up to the smallest number of candidates of a problem, and that
            number, if not given.
        aggregations: Names of `AGGREGATIONS`; all if not given. Rewards, one number a solution, have `last` alone.
        subsets: Random subsets a problem and N for voting.
        seed: Seed of these subsets and of the intervals.
        grader: Grades and groups answers, a name for `stepward.grading.graders.load_grader`.
        ties: Which of answers that tie in a vote of all a problem's candidates wins: the `first` in the file, or all
            `share` the win equally, as they always do in random subsets, which have no order.
        neutral: What neutral counts as where step scores are triples [wrong, neutral, right].
        in_full: Whether accuracies by difficulty and other slices are measured too, and texts kept for a report.
        progress: Told now and then what is done, how much of it, and of how much.

    Raises:
        StepwardError: Bad input, named by file, row and field; an N above a problem's number of candidates; an unknown
            aggregation or grader; a problem that is both a test and a validation problem.
    """
    names = _aggregations(aggregations)
    if subsets < 1:
        raise StepwardError(f"subsets is {subsets}; expected at least 1")
    part = _read(files, grader, neutral, progress, in_full=in_full)
    if part.rewards:
        if aggregations is not None and names != ("last",):
            raise StepwardError(
                f"--aggregation {names[0]}: the rows have one `score` a solution, which is `last` alone"
            )
        names = ("last",)
    rules = Rules(names, part.rewards, seed, subsets, ties)
    sizes = check_sizes(part.tabulated.table, ns)
    at = n_of_choice(sizes)
    held = _read(validation, grader, neutral, partial(_validation, progress)) if validation else None
    if held is not None:
        _check_apart(part, held)
        check_sizes(held.tabulated.table, (at,))
    measured = _measured(part, rules, sizes, progress)
    chosen = (
        _asked_for(measured, at, names)
        if held is None
        else choose(_measured(held, rules, (at,), partial(_validation, progress)), at, names)
    )
    evaluation = Evaluation(
        rows=rows_of(measured, seed=seed),
        chosen=chosen,
        margins=margins_of(measured, chosen, seed, at),
        quintiles=_quintiles(part, rules, chosen, at) if in_full else (),
        slices=slice_rows(part.traits, measured, uses_of(chosen), at, seed=seed) if in_full else (),
        facts=facts_of(part.tabulated.table, measured),
        accuracies=measured,
    )
    return External(evaluation, _facts(part, rules, grader, files, validation), part.candidates)


def _read(
    files: Sequence[Path], grader: str, neutral: Neutral | None, progress: Progress, *, in_full: bool = False
) -> _Part:
    """Reads files and puts their rows in order; the columns themselves are let go, since they may be large."""
    of_math = load_grader(grader) is grade
    columns = read_columns(files, neutral=neutral, of_math=of_math, progress=partial(progress, "reading"))
    grouped = group_answers(columns, grader, _counter(progress, "grading answers", len(columns.asked)))
    tabulated = tabulate_columns(columns, grouped)
    return _Part(
        tabulated,
        columns.rewards,
        columns.asked[0].correct is not None,
        grouped.undecided.total(),
        tuple(map(columns.solution_id, tabulated.rows.tolist())) if in_full else (),
        tuple(_traits(columns, tabulated)) if in_full else (),
        tuple(candidates_of(columns, tabulated)) if in_full else (),
    )


def _traits(columns: Columns, tabulated: Tabulated) -> list[Traits]:
    starts = tabulated.table.starts
    counts = np.diff(tabulated.models[0].starts)
    found = []
    for problem, asked in enumerate(columns.asked[index] for index in tabulated.asked):
        own = counts[starts[problem] : starts[problem + 1]]
        steps = None if columns.rewards else lower_median(own, np.ones_like(own))
        found.append(Traits(asked.level, asked.subject, steps))
    return found


def _validation(progress: Progress, stage: str, done: int, total: int) -> None:
    """Tells of a stage of the validation problems."""
    progress(f"{stage}, validation", done, total)


def _check_apart(test: _Part, held: _Part) -> None:
    """Refuses validation problems that are tested on, or that other models scored."""
    if both := set(test.tabulated.table.problems) & set(held.tabulated.table.problems):
        raise StepwardError(f"problem {min(both)!r}: it is both a test and a validation problem; split them apart")
    if odd := set(test.names) ^ set(held.names):
        raise StepwardError(f"scores by {min(odd)}: only of the test or only of the validation problems; score both")
    if test.rewards != held.rewards:
        raise StepwardError("validation: one has `step_scores` and the other `score`; score both alike")


def _measured(part: _Part, rules: Rules, ns: tuple[int, ...], progress: Progress) -> Accuracies:
    table = part.tabulated.table
    after = _counter(progress, "measuring", len(table.problems) * (1 + rules.rewards))
    return rules.measure(table, part.tabulated.models, ns, progress=after)


def _asked_for(measured: Accuracies, at: int, names: Sequence[str]) -> tuple[Choice, ...]:
    """What stands for a method where nothing is chosen: best-of-N, with the vote of the same aggregation beside it."""
    usual = "last" if "last" in names else names[0]
    found = []
    for method, seeds in measured.seeds.items():
        fixed = FIXED_AGGREGATION.get(method, usual)
        name = fixed if fixed in names else usual
        found += [Choice(method, voting, name, at, None, voting == "best", seeds, 0) for voting in ("best", "weighted")]
    return tuple(found)


def _quintiles(part: _Part, rules: Rules, chosen: Sequence[Choice], at: int) -> tuple[QuintileRow, ...]:
    table = part.tabulated.table
    return quintile_rows(
        halves(part.ids, table.copies, table.starts), table, part.tabulated.models, uses_of(chosen), at,
        seed=rules.seed,
        # Halves have no first: there, equals share.
        measure=lambda half, models, n, names: replace(rules, ties="share").measure(half, models, (n,), names),
    )  # fmt: skip


def _facts(part: _Part, rules: Rules, grader: str, files: Sequence[Path], validation: Sequence[Path]) -> Facts:
    table, models = part.tabulated.table, part.tabulated.models
    counts = np.diff(table.starts)
    return Facts(
        problems=len(table.problems),
        candidates=len(table.answers),
        fewest=int(counts.min()),
        most=int(counts.max()),
        without_answer=int((table.answers < 0).sum()),
        grader=None if part.by_rows else grader,
        undecided=part.undecided,
        ties=rules.ties,
        rewards=part.rewards,
        in_unit=all(bool(model.steps.min() >= 0 and model.steps.max() <= 1) for model in models),
        models=part.names,
        files=tuple(map(str, files)),
        validation_files=tuple(map(str, validation)),
    )


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
