"""Columns of rows put in order: each problem's candidates together, and every model's scores of the same candidates.

All models must have scored the same candidates: one that misses some would be measured on other problems than the rest.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.answer_groups import equivalence_fn, group_answers
from stepward.evaluation.best_of_n.candidates import RewardModel
from stepward.evaluation.best_of_n.table import CandidateTable, ModelScores
from stepward.evaluation.score_files.columns import Columns, ProblemEntry
from stepward.grading import Verdict, grade, grade_many
from stepward.grading.dataset import UNDECIDED
from stepward.grading.graders import load_grader

_BATCH = 4096
"""Problems whose answers are graded at once, so that the grader's processes share the work."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """The answers of all problems.

    Attributes:
        starts: Where each problem's distinct texts begin, and the end of the last [problem + 1].
        group: The group of each text within its problem, from 0 in the order of their first texts [text].
        right: Whether it is right [text].
        undecided: How many texts could not be graded, by the grader's method; they count as wrong.
        alone: How many wrong texts were left alone, since comparing their problem's took too long.
    """

    starts: NDArray[np.int64]
    group: NDArray[np.int32]
    right: NDArray[np.bool_]
    undecided: Counter[str]
    alone: int


def grade_and_group(columns: Columns, grader: str, progress: Callable[[], None] = lambda: None) -> Grouped:
    """Grades every problem's answers and groups those that are one.

    Args:
        columns: The rows.
        grader: A name for `stepward.grading.graders.load_grader`; `math` grades in processes that can be killed.
        progress: Called after each problem.

    Raises:
        StepwardError: No such grader, or it failed.
    """
    same, asked = equivalence_fn(grader), columns.asked
    starts = np.cumsum([0] + [len(one.answers) for one in asked])
    group, right = np.zeros(starts[-1], np.int32), np.zeros(starts[-1], np.bool_)
    voiced = columns.answer >= 0
    drawn = np.bincount(starts[columns.problem[voiced]] + columns.answer[voiced], minlength=starts[-1])
    undecided: Counter[str] = Counter()
    for first in range(0, len(asked), _BATCH):
        batch = asked[first : first + _BATCH]
        for index, (one, correct) in enumerate(zip(batch, _grades(batch, grader, undecided), strict=True), start=first):
            texts = slice(starts[index], starts[index + 1])
            right[texts] = correct
            group[texts] = group_answers(one.answers, right[texts], drawn[texts], same)
            progress()
    return Grouped(starts, group, right, undecided, same.alone)


def _grades(batch: Sequence[ProblemEntry], grader: str, undecided: Counter[str]) -> list[list[bool]]:
    """Each problem's grades [answer]: its own, or by its reference."""
    verdicts = _verdicts(batch, grader)
    undecided.update(verdict.method for verdict in verdicts if verdict.method in UNDECIDED)
    given = iter(verdicts)
    return [one.correct if one.correct is not None else [next(given).equal for _ in one.answers] for one in batch]


def _verdicts(batch: Sequence[ProblemEntry], grader: str) -> Sequence[Verdict]:
    """The verdicts on all answers of the problems that have a reference."""
    compare = load_grader(grader)
    pairs = [(one.id, one.reference, answer) for one in batch if one.reference is not None for answer in one.answers]
    if compare is grade:
        return grade_many((reference, answer) for _, reference, answer in pairs)
    verdicts = []
    for problem, reference, answer in pairs:
        verdicts.append(compare(reference, answer))
        if verdicts[-1].method == "reference":
            raise StepwardError(
                f"problem {problem!r}, field 'reference': {reference!r} can't be graded against by {grader}: "
                f"{verdicts[-1].reason}; mend it, or name another --grader",
                code="bad_value",
                field="reference",
            )
    return verdicts


Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TableWithIndex:
    """Rows put in order.

    Attributes:
        table: The candidates of all problems, by the problems' ids.
        models: Every model's scores of them.
        asked: Each problem's index among the columns' [problem].
        rows: The row of each candidate by the first model that was read [candidate].
    """

    table: CandidateTable
    models: list[ModelScores]
    asked: list[int]
    rows: Ints


def tabulate_columns(columns: Columns, grouped: Grouped) -> TableWithIndex:
    """The candidates of all problems, and every model's scores of them.

    A problem's candidates stay in the order of the first model's rows, which is the order that decides ties where the
    first is to win. The problems' order changes nothing.

    Raises:
        StepwardError: A model has a solution of a problem twice, or lacks one that another has; two models' answers of
            one solution differ; two seeds of a method have not the same number of step scores for it.
    """
    # A key a row, the same for one candidate in every model.
    keys = columns.problem.astype(np.int64) * len(columns.solution_ids) + columns.solution
    rank = np.empty(len(columns.asked), np.int64)
    by_id = sorted(range(len(columns.asked)), key=lambda index: columns.asked[index].id)
    rank[by_id] = np.arange(len(by_id))
    reference, order = _sorted(columns, keys, 0)
    # Where each candidate, in the order of the table, stands among the sorted keys.
    place = np.argsort(reference)
    place = place[np.argsort(rank[columns.problem[reference[place]]], kind="stable")]
    candidates = reference[place]
    models = []
    for model in range(len(columns.models)):
        rows, own = (reference, order) if model == 0 else _sorted(columns, keys, model)
        if model:
            _check_same(columns, order, own, (reference, rows), model)
        models.append(_scores(columns, model, rows[place]))
        _check_answers(columns, candidates, rows[place])
    _check_steps(columns, models, candidates)
    sizes = np.bincount(rank[columns.problem[candidates]], minlength=len(by_id))
    answers, right = _numbered(columns, grouped, candidates)
    table = CandidateTable(
        problems=tuple(columns.asked[index].id for index in by_id),
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        answers=answers,
        correct=right,
        copies=np.ones(len(candidates), np.int64),
    )
    return TableWithIndex(table, sorted(models, key=lambda one: _listing(columns, one)), by_id, candidates)


def _listing(columns: Columns, scores: ModelScores) -> tuple[int, int]:
    """Methods as they first appear, each one's seeds in order."""
    kinds = list(dict.fromkeys(model.kind for model in columns.models))
    return kinds.index(scores.method), scores.seed


def _name(model: RewardModel) -> str:
    return f"{model.kind}/seed-{model.seed}"


def _sorted(columns: Columns, keys: Ints, model: int) -> tuple[Ints, Ints]:
    """A model's rows in the order of their keys, and these keys; no key twice."""
    rows = np.flatnonzero(columns.model == model)
    rows = rows[np.argsort(keys[rows], kind="stable")]
    own = keys[rows]
    again = np.flatnonzero(own[1:] == own[:-1])
    if len(again):
        twice = again[np.argmin(rows[again + 1])]
        row, before = int(rows[twice + 1]), int(rows[twice])
        raise StepwardError(
            f"{columns.place(row)}, field 'solution_id': {columns.solution_id(row)!r} of problem "
            f"{columns.asked[columns.problem[row]].id!r} stands there twice, first in "
            f"{columns.place(before)}; give each solution of a problem its own id, and each model or seed its own "
            "`model`, such as mine/seed-1",
            code="duplicate",
            file=columns.files[columns.file[row]],
            row=int(columns.number[row]),
            field="solution_id",
        )
    return rows, own


def _check_same(columns: Columns, first: Ints, own: Ints, rows: tuple[Ints, Ints], model: int) -> None:
    """Refuses a model whose candidates are not those of the first one."""
    if len(first) == len(own) and bool((first == own).all()):
        return
    for lacking, having, wanted, found in ((model, rows[0], first, own), (0, rows[1], own, first)):
        missing = np.flatnonzero(~np.isin(wanted, found))
        if len(missing):
            row = int(having[missing].min())
            raise StepwardError(
                f"{columns.place(row)}: solution {columns.solution_id(row)!r} of problem "
                f"{columns.asked[columns.problem[row]].id!r} has no scores by {_name(columns.models[lacking])} "
                f"({len(missing):,} such); score every solution with every model, or evaluate the models apart",
                code="missing",
                file=columns.files[columns.file[row]],
                row=int(columns.number[row]),
                field="step_scores",
            )


def _scores(columns: Columns, model: int, rows: Ints) -> ModelScores:
    """One model's step scores, in the order of its rows [candidate]."""
    begins = columns.starts[rows]
    counts = columns.starts[rows + 1] - begins
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    steps = columns.scores[np.repeat(begins - starts[:-1], counts) + np.arange(starts[-1])]
    return ModelScores(columns.models[model].kind, columns.models[model].seed, steps, starts)


def _check_answers(columns: Columns, first: Ints, rows: Ints) -> None:
    """Refuses a solution whose answer is not what the first model's file says."""
    odd = np.flatnonzero(columns.answer[first] != columns.answer[rows])
    if len(odd):
        raise StepwardError(
            f"{columns.place(int(rows[odd[0]]))}, field 'answer': solution {columns.solution_id(int(rows[odd[0]]))!r} "
            f"has another answer in {columns.place(int(first[odd[0]]))}; these are not the same solutions",
            code="mismatch",
            file=columns.files[columns.file[rows[odd[0]]]],
            row=int(columns.number[rows[odd[0]]]),
            field="answer",
        )


def _check_steps(columns: Columns, models: list[ModelScores], candidates: Ints) -> None:
    """Refuses seeds of one method that see another number of steps in a solution."""
    first: dict[str, ModelScores] = {}
    for model in models:
        other = first.setdefault(model.method, model)
        odd = np.flatnonzero(np.diff(model.starts) != np.diff(other.starts))
        if len(odd):
            row, at = int(candidates[odd[0]]), int(odd[0])
            counts = [int(one.starts[at + 1] - one.starts[at]) for one in (other, model)]
            raise StepwardError(
                f"solution {columns.solution_id(row)!r} of problem {columns.asked[columns.problem[row]].id!r}, field "
                f"'step_scores': {counts[0]} by {other.method}/seed-{other.seed}, {counts[1]} by "
                f"{model.method}/seed-{model.seed}; expected one a step",
                code="mismatch",
                field="step_scores",
            )


def _numbered(columns: Columns, grouped: Grouped, rows: Ints) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Each candidate's answer, numbered in its problem in the order of the table, and its grade [candidate]."""
    answers, correct = np.full(len(rows), -1, np.int32), np.zeros(len(rows), np.bool_)
    voiced = np.flatnonzero(columns.answer[rows] >= 0)
    problem = columns.problem[rows[voiced]].astype(np.int64)
    text = grouped.starts[problem] + columns.answer[rows[voiced]]
    correct[voiced] = grouped.right[text]
    # A number of its own for each group of each problem; a problem has no more groups than texts.
    group = grouped.starts[problem] + grouped.group[text]
    groups, first, of = np.unique(group, return_index=True, return_inverse=True)
    order = np.lexsort((first, problem[first]))
    ordinal = np.empty(len(groups), np.int64)
    counts = np.bincount(problem[first], minlength=len(columns.asked))
    ordinal[order] = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
    answers[voiced] = ordinal[of]
    return answers, correct
