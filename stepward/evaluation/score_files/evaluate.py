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
from stepward.evaluation.best_of_n.accuracy import Accuracies
from stepward.evaluation.best_of_n.aggregation import AGGREGATIONS
from stepward.evaluation.best_of_n.evaluate import (
    FIXED_AGGREGATION,
    choose,
    margins_of,
    method_configs,
    provenance,
    rows_of,
)
from stepward.evaluation.best_of_n.records import Evaluation, MetricRow, SelectedConfig, selection_n
from stepward.evaluation.best_of_n.slices import (
    ProblemAttributes,
    QuintileRow,
    lower_median,
    quintile_rows,
    slice_rows,
    split_halves,
)
from stepward.evaluation.best_of_n.voting import Ties
from stepward.evaluation.score_files.candidates import ScoredCandidate, candidates_of
from stepward.evaluation.score_files.columns import Neutral, ProblemEntry
from stepward.evaluation.score_files.measure import Rules, check_sizes
from stepward.evaluation.score_files.provenance import Provenance, SplitProvenance
from stepward.evaluation.score_files.reader import read_columns
from stepward.evaluation.score_files.table import Grouped, TableWithIndex, grade_and_group, tabulate_columns
from stepward.grading import grade
from stepward.grading.graders import load_grader
from stepward.records import Problem

Progress = Callable[[str, int, int], None]
"""Takes the stage's name, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class ScoreFileEvaluation:
    """The figures of external scores.

    Attributes:
        evaluation: As a run's; without quintiles and slices unless they were asked for.
        facts: What was measured.
        problems: The problems, likewise; without a question or a reference where the rows have none.
        candidates: What a report shows of the problems, likewise.
    """

    evaluation: Evaluation
    facts: Provenance
    problems: tuple[Problem, ...] = ()
    candidates: tuple[ScoredCandidate, ...] = ()

    @property
    def rows(self) -> tuple[MetricRow, ...]:
        """As in a run's `summary.json`."""
        return self.evaluation.rows


@dataclass(frozen=True, slots=True)
class _Part:
    """Files of scores of the test or the validation problems, read and put in order."""

    tabulated: TableWithIndex
    facts: SplitProvenance
    rewards: bool
    by_rows: bool
    ids: tuple[str, ...]
    traits: tuple[ProblemAttributes, ...]
    problems: tuple[Problem, ...]
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
    ties: Ties = "share",
    neutral: Neutral | None = None,
    in_full: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> ScoreFileEvaluation:
    """Measures what the scores in the files are worth.

    Args:
        files: See `stepward.evaluation.score_files.reader.read_columns`.
        validation: The same models' scores of other problems, by which voting and aggregation are chosen; without any,
            best-of-N by the last step's score, or by the first aggregation asked for, stands for a method.
        ns: The sizes of candidate sets; powers of two up to the smallest number of candidates of a problem, and that
            number, if not given.
        aggregations: Names of `AGGREGATIONS`; all if not given. Rewards, one number a solution, have `last` alone.
        subsets: Random subsets a problem and N for voting.
        seed: Seed of these subsets and of the intervals.
        grader: Grades and groups answers, a name for `stepward.grading.graders.load_grader`.
        ties: What becomes of answers that tie in a vote of all a problem's candidates: they `share` the win equally, as
            in random subsets, which have no order; or the `first` in the file has it, which lifts or lowers the last
            point of a curve over N where right answers stand first or last.
        neutral: What neutral counts as where step scores are triples [wrong, neutral, right].
        in_full: Whether accuracies by difficulty and other slices are measured too, and texts kept for a report.
        progress: Told now and then what is done, how much of it, and of how much.

    Raises:
        StepwardError: Bad input, named by file, row and field; an N above a problem's number of candidates; an unknown
            aggregation or grader; a problem that is both a test and a validation problem.
    """
    names = _aggregations(aggregations)
    if subsets < 1:
        raise StepwardError(f"subsets is {subsets}; expected at least 1", code="bad_value", field="subsets")
    part = _read(files, grader, neutral, progress, in_full=in_full)
    if part.rewards:
        if aggregations is not None and names != ("last",):
            raise StepwardError(
                f"--aggregation {names[0]}: the rows have one `score` a solution, which is `last` alone",
                code="conflict",
                field="--aggregation",
            )
        names = ("last",)
    rules = Rules(names, part.rewards, seed, subsets, ties)
    sizes = check_sizes(part.tabulated.table, ns)
    at = selection_n(sizes)
    held = _read(validation, grader, neutral, partial(_validation, progress)) if validation else None
    if held is not None:
        _check_validation(part, held, at)
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
        slices=slice_rows(part.traits, measured, method_configs(chosen), at, seed=seed) if in_full else (),
        facts=provenance(part.tabulated.table, measured),
        accuracies=measured,
    )
    return ScoreFileEvaluation(evaluation, _facts(part, held, rules, grader), part.problems, part.candidates)


def _read(
    files: Sequence[Path], grader: str, neutral: Neutral | None, progress: Progress, *, in_full: bool = False
) -> _Part:
    """Reads files and puts their rows in order; the columns themselves are let go, since they may be large."""
    before = [_state(path) for path in files] if in_full else []
    of_math = load_grader(grader) is grade
    columns = read_columns(files, neutral=neutral, of_math=of_math, progress=partial(progress, "reading"))
    grouped = grade_and_group(columns, grader, _counter(progress, "grading answers", len(columns.asked)))
    tabulated = tabulate_columns(columns, grouped)
    facts = _part_facts(files, tabulated, grouped)
    by_rows = columns.asked[0].correct is not None
    if not in_full:
        return _Part(tabulated, facts, columns.rewards, by_rows, (), (), (), ())
    candidates = tuple(candidates_of(columns, tabulated, partial(progress, "reading texts")))
    for path, state in zip(files, before, strict=True):
        if _state(path) != state:
            raise StepwardError(
                f"{path}: it changed while it was read; evaluate the scores again", code="changed", file=path
            )
    names = np.repeat(np.array(tabulated.table.problems, dtype=object), np.diff(tabulated.table.starts))
    # Solutions of two problems may have one id, and their draws are not to be halved alike.
    ids = [f"{name} {columns.solution_id(row)}" for name, row in zip(names, tabulated.rows.tolist(), strict=True)]
    asked = [columns.asked[index] for index in tabulated.asked]
    traits = tuple(_traits(asked, tabulated, columns.rewards))
    problems = tuple(_problem(one) for one in asked)
    return _Part(tabulated, facts, columns.rewards, by_rows, tuple(ids), traits, problems, candidates)


def _state(path: Path) -> tuple[int, int]:
    """A file's size and when it changed: it is read twice, and is to be the same both times."""
    if not path.exists():
        raise StepwardError(f"{path}: no such file; check the path", code="file_not_found", file=path)
    if not path.is_file():
        raise StepwardError(
            f"{path}: a pipe or a folder, which can't be read twice; write the rows to a file",
            code="unreadable",
            file=path,
        )
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def _problem(asked: ProblemEntry) -> Problem:
    level = asked.level if isinstance(asked.level, int) else None
    return Problem(asked.id, asked.question or "", asked.reference or "", level, subject=asked.subject)


def _traits(asked: Sequence[ProblemEntry], tabulated: TableWithIndex, rewards: bool) -> list[ProblemAttributes]:
    starts = tabulated.table.starts
    # A model of whole solutions has one score each; the others tell how many steps there are.
    counts = np.max([np.diff(model.starts) for model in tabulated.models], axis=0)
    found = []
    for problem, one in enumerate(asked):
        own = counts[starts[problem] : starts[problem + 1]]
        found.append(
            ProblemAttributes(one.level, one.subject, None if rewards else lower_median(own, np.ones_like(own)))
        )
    return found


def _validation(progress: Progress, stage: str, done: int, total: int) -> None:
    """Tells of a stage of the validation problems."""
    progress(f"{stage}, validation", done, total)


def _check_validation(test: _Part, held: _Part, at: int) -> None:
    """Refuses validation problems that are tested on, or that were scored or graded otherwise."""
    if both := set(test.tabulated.table.problems) & set(held.tabulated.table.problems):
        raise StepwardError(
            f"problem {min(both)!r}: it is both a test and a validation problem; split them apart",
            code="duplicate",
            field="problem_id",
        )
    if odd := set(test.names) ^ set(held.names):
        raise StepwardError(
            f"scores by {min(odd)}: only of the test or only of the validation problems; score both",
            code="mismatch",
            field="model",
        )
    if test.rewards != held.rewards:
        raise StepwardError(
            "validation: one has `step_scores` and the other `score`; score both alike",
            code="mismatch",
            field="step_scores",
        )
    if test.by_rows != held.by_rows:
        raise StepwardError(
            "validation: one has `correct` and the other `reference`; grade both alike",
            code="mismatch",
            field="correct",
        )
    if held.facts.fewest < at:
        table = held.tabulated.table
        least = table.problems[int(np.diff(table.starts).argmin())]
        raise StepwardError(
            f"validation problem {least!r} has {held.facts.fewest} candidates, fewer than the N of choice, {at}; score "
            "more solutions of it, or give --ns without larger ones",
            code="too_few",
            field="--ns",
        )


def _measured(part: _Part, rules: Rules, ns: tuple[int, ...], progress: Progress) -> Accuracies:
    table = part.tabulated.table
    after = _counter(progress, "measuring", len(table.problems) * (1 + rules.rewards))
    return rules.measure(table, part.tabulated.models, ns, progress=after)


def _asked_for(measured: Accuracies, at: int, names: Sequence[str]) -> tuple[SelectedConfig, ...]:
    """What stands for a method where nothing is chosen: best-of-N, with the vote of the same aggregation beside it."""
    usual = "last" if "last" in names else names[0]
    found = []
    for method, seeds in measured.seeds.items():
        fixed = FIXED_AGGREGATION.get(method, usual)
        name = fixed if fixed in names else usual
        found += [
            SelectedConfig(method, voting, name, at, None, voting == "best", seeds, 0)
            for voting in ("best", "weighted")
        ]
    return tuple(found)


def _quintiles(part: _Part, rules: Rules, chosen: Sequence[SelectedConfig], at: int) -> tuple[QuintileRow, ...]:
    table = part.tabulated.table
    return quintile_rows(
        split_halves(part.ids, table.copies, table.starts), table, part.tabulated.models, method_configs(chosen), at,
        seed=rules.seed,
        # Halves have no first: there, equals share.
        measure=lambda half, models, n, names: replace(rules, ties="share").measure(half, models, (n,), names),
    )  # fmt: skip


def _facts(part: _Part, held: _Part | None, rules: Rules, grader: str) -> Provenance:
    return Provenance(
        test=part.facts,
        validation=None if held is None else held.facts,
        grader=None if part.by_rows else grader,
        ties=rules.ties,
        rewards=part.rewards,
        in_unit=all(bool(one.steps.min() >= 0 and one.steps.max() <= 1) for one in part.tabulated.models),
        models=part.names,
    )


def _part_facts(files: Sequence[Path], tabulated: TableWithIndex, grouped: Grouped) -> SplitProvenance:
    table = tabulated.table
    counts = np.diff(table.starts)
    return SplitProvenance(
        files=tuple(map(str, files)),
        problems=len(table.problems),
        candidates=len(table.answers),
        fewest=int(counts.min()),
        most=int(counts.max()),
        without_answer=int((table.answers < 0).sum()),
        undecided=grouped.undecided.total(),
        alone=grouped.alone,
    )


def _counter(progress: Progress, stage: str, total: int) -> Callable[[], None]:
    """What is called after each of so many."""
    done = count(1)
    return lambda: progress(stage, next(done), total)


def _aggregations(given: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(given)) if given else tuple(AGGREGATIONS)
    for name in names:
        if name not in AGGREGATIONS:
            raise StepwardError(
                f"--aggregation {name}: expected one or more of {', '.join(AGGREGATIONS)}",
                code="unknown_name",
                field="--aggregation",
            )
    return names
