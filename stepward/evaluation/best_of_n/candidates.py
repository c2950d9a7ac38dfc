"""The fixed candidate sets that every method chooses from, checked before anything is measured.

A missing score or a problem without candidates would quietly change a denominator, so each is an error that names the
record. Problems and their candidates are put in the order of their ids: arrival order changes no figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.answer_groups import Comparison, Equivalence, group_answers
from stepward.evaluation.best_of_n.table import CandidateTable, ModelScores
from stepward.records import Problem, Scores, Solution

Floats = NDArray[np.float64]

KIND_ORDER = ("orm", "hard", "soft", "er")
"""The order in which kinds are listed; kinds that are not here come after, by name."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """One problem's candidates.

    Attributes:
        problem: The problem.
        solutions: Its distinct solutions, by id.
        correct: Their grades [distinct solution].
        copies: How many draws each stands for [distinct solution].
    """

    problem: Problem
    solutions: tuple[Solution, ...]
    correct: NDArray[np.bool_]
    copies: NDArray[np.int64]


@dataclass(frozen=True, slots=True, order=True)
class RewardModel:
    """The name `<kind>/seed-<seed>` of a reward model, taken apart."""

    kind: str
    seed: int

    @classmethod
    def parse(cls, name: str) -> "RewardModel":
        """The model's kind and seed.

        Raises:
            StepwardError: The name is not `<kind>/seed-<seed>`.
        """
        kind, found, seed = name.rpartition("/seed-")
        if not (found and kind and seed.isdecimal()):
            raise StepwardError(
                f"scores: model {name!r} is not named <kind>/seed-<seed>, such as er/seed-42",
                code="bad_value",
                field="model",
            )
        return cls(kind, int(seed))


def gather(problems: Sequence[Problem], solutions: Sequence[Solution], *, at_least: int, part: str) -> list[Candidates]:
    """Each problem's candidates, by problem id.

    Args:
        problems: The problems, every one of which counts in every denominator.
        solutions: Their distinct solutions.
        at_least: How many drawn candidates each problem must have.
        part: What the set is called in errors: `test` or `validation`.

    Raises:
        StepwardError: There is no problem; an id is there twice; a solution's problem is unknown, its copies are below
            1 or it has no step; a problem has fewer candidates than `at_least`; one answer has two grades, or a
            solution without an answer is graded right.
    """
    if not problems:
        raise StepwardError(
            f"evaluation: there are no {part} problems; ask for at least one in the recipe", code="empty", field=part
        )
    by_problem: dict[str, dict[str, Solution]] = {}
    for problem in problems:
        if problem.id in by_problem:
            raise StepwardError(
                f"{part} problem {problem.id}: its id is there twice; give each problem its own id",
                code="duplicate",
                field="id",
            )
        by_problem[problem.id] = {}
    for solution in solutions:
        _place(solution, by_problem, part)
    return [_candidates(p, by_problem[p.id], at_least, part) for p in sorted(problems, key=lambda p: p.id)]


def _place(solution: Solution, by_problem: dict[str, dict[str, Solution]], part: str) -> None:
    where = f"{part} solution {solution.id}"
    siblings = by_problem.get(solution.problem_id)
    if siblings is None:
        raise StepwardError(
            f"{where}: its problem {solution.problem_id} is not among the {part} problems",
            code="mismatch",
            field="problem_id",
        )
    if solution.id in siblings:
        raise StepwardError(
            f"{where}: it is there twice; merge duplicates into one record and add up its copies",
            code="duplicate",
            field="id",
        )
    if solution.copies < 1:
        raise StepwardError(
            f"{where}: copies is {solution.copies}, expected at least 1", code="bad_value", field="copies"
        )
    if not solution.steps:
        raise StepwardError(
            f"{where}: it has no steps, so no reward model can score it; sample solutions again",
            code="empty",
            field="steps",
        )
    siblings[solution.id] = solution


def _candidates(problem: Problem, by_id: dict[str, Solution], at_least: int, part: str) -> Candidates:
    solutions = tuple(by_id[key] for key in sorted(by_id))
    drawn = sum(solution.copies for solution in solutions)
    if drawn < max(at_least, 1):
        raise StepwardError(
            f"{part} problem {problem.id}: {drawn} candidates, expected at least {max(at_least, 1)}; "
            "sample more solutions a problem, or lower the largest N",
            code="too_few",
            field="solutions",
        )
    grades: dict[str, bool] = {}
    for solution in solutions:
        if solution.answer is None and solution.correct:
            raise StepwardError(
                f"{part} solution {solution.id}: it has no answer and is graded right; grade the solutions again",
                code="mismatch",
                field="correct",
            )
        if solution.answer is not None and grades.setdefault(solution.answer, solution.correct) != solution.correct:
            raise StepwardError(
                f"{part} solution {solution.id}: its answer {solution.answer!r} is graded right in one solution of the "
                "problem and wrong in another; grade the solutions again",
                code="mismatch",
                field="correct",
            )
    return Candidates(
        problem=problem,
        solutions=solutions,
        correct=np.array([solution.correct for solution in solutions], dtype=bool),
        copies=np.array([solution.copies for solution in solutions], dtype=np.int64),
    )


def table_of(candidates: Sequence[Candidates], same: Equivalence | Comparison) -> CandidateTable:
    """The candidates in columns, with their answers grouped.

    Args:
        candidates: From `gather`.
        same: Whether two answers are one (`stepward.evaluation.best_of_n.answer_groups`).
    """
    numbers = [
        group_answers([one.answer for one in each.solutions], each.correct, each.copies, same) for each in candidates
    ]
    return CandidateTable(
        problems=tuple(each.problem.id for each in candidates),
        starts=np.cumsum([0] + [len(each.solutions) for each in candidates]),
        answers=np.concatenate(numbers),
        correct=np.concatenate([each.correct for each in candidates]),
        copies=np.concatenate([each.copies for each in candidates]),
    )


_Key = tuple[str, str]
"""A problem's id and its solution's: a solution's alone may be another problem's, too."""


def tabulate(candidates: Sequence[Candidates], scores: Sequence[Scores], *, part: str) -> tuple[ModelScores, ...]:
    """The scores of every model in columns, by kind and seed.

    Raises:
        StepwardError: A model's name is not `<kind>/seed-<seed>`; a solution has no score or two by one model; a score
            is of no candidate, has not one number a step, or has a number that is not in [0, 1].
    """
    by_model: dict[RewardModel, dict[_Key, tuple[float, ...]]] = {}
    names = {name: RewardModel.parse(name) for name in {record.model for record in scores}}
    for record in scores:
        given = by_model.setdefault(names[record.model], {})
        key = record.problem_id, record.solution_id
        if key in given:
            raise StepwardError(
                f"scores of {part} solution {record.solution_id} by {record.model}: there twice",
                code="duplicate",
                field="solution_id",
            )
        given[key] = record.scores
    solutions = [solution for one in candidates for solution in one.solutions]
    starts = np.cumsum([0] + [len(solution.steps) for solution in solutions])
    return tuple(
        ModelScores(
            model.kind, model.seed, _flat(solutions, by_model[model], f"{model.kind}/seed-{model.seed}", part), starts
        )
        for model in sorted(by_model, key=_listing)
    )


def _listing(model: RewardModel) -> tuple[int, str, int]:
    known = KIND_ORDER.index(model.kind) if model.kind in KIND_ORDER else len(KIND_ORDER)
    return known, model.kind, model.seed


def _flat(solutions: Sequence[Solution], given: dict[_Key, tuple[float, ...]], model: str, part: str) -> Floats:
    """One model's step scores of all solutions, end to end [step]."""
    for solution in solutions:
        where = f"scores of {part} solution {solution.id} by {model}"
        numbers = given.get((solution.problem_id, solution.id))
        if numbers is None:
            raise StepwardError(
                f"{where}: missing for problem {solution.problem_id}; score every candidate by all models",
                code="missing",
                field="scores",
            )
        if len(numbers) != len(solution.steps):
            raise StepwardError(
                f"{where}: {len(numbers)} scores for {len(solution.steps)} steps, expected one a step",
                code="mismatch",
                field="scores",
            )
        if not all(0.0 <= number <= 1.0 for number in numbers):  # also refuses NaN
            raise StepwardError(
                f"{where}: {list(numbers)} holds a number that is not in [0, 1]", code="bad_value", field="scores"
            )
    if len(given) > len(solutions):
        problem, surplus = min(given.keys() - {(solution.problem_id, solution.id) for solution in solutions})
        raise StepwardError(
            f"scores of {part} solution {surplus} by {model}: it is not among the {part} solutions of problem "
            f"{problem}",
            code="mismatch",
            field="solution_id",
        )
    return np.array([number for one in solutions for number in given[one.problem_id, one.id]], dtype=np.float64)
