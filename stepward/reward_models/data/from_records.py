"""Records to the trainers' rows: checks that each solution has its labels and its problem."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from stepward.errors import StepwardError
from stepward.records import Problem, Solution, StepLabels

OUTCOME_KINDS = ("orm", "prm_outcome")
"""Kinds of labels that whole solutions have: by their final answer, or as a reward model judges all their steps."""


def labelled_rows(
    problems: Sequence[Problem], solutions: Sequence[Solution], labels: Sequence[StepLabels], kind: str
) -> list[dict[str, Any]]:
    """A row a distinct solution, however many copies of it were drawn.

    Args:
        problems: The solutions' problems; others are not used.
        solutions: Distinct solutions.
        labels: One `StepLabels` a solution, in any order, all of one kind and eta.
        kind: That kind; rows of `OUTCOME_KINDS` have one `label`, others `labels`.

    Raises:
        StepwardError: Records that don't belong together, or a label that is none; names the record.
    """
    by_solution = _labels_of(solutions, labels, kind)
    questions = {problem.id: problem.question for problem in problems}
    rows: list[dict[str, Any]] = []
    for solution in solutions:
        if solution.problem_id not in questions:
            raise StepwardError(
                f"solution {solution.id}: its problem {solution.problem_id!r} is not among the problems",
                code="missing",
                field="problem_id",
            )
        given = by_solution[solution.id].labels
        row = {"id": solution.id, "prompt": questions[solution.problem_id], "completions": list(solution.steps)}
        rows.append({**row, "label": given[0]} if kind in OUTCOME_KINDS else {**row, "labels": list(given)})
    return rows


def _labels_of(solutions: Sequence[Solution], labels: Sequence[StepLabels], kind: str) -> dict[str, StepLabels]:
    """Each solution's labels, by the solution's id."""
    by_solution = {steps.solution_id: steps for steps in labels}
    if len(by_solution) < len(labels):
        raise StepwardError(
            f"solution {_twice([steps.solution_id for steps in labels])} is labelled twice",
            code="duplicate",
            field="solution_id",
        )
    if len({solution.id for solution in solutions}) < len(solutions):
        raise StepwardError(
            f"solution {_twice([solution.id for solution in solutions])} is there twice", code="duplicate", field="id"
        )
    for solution in solutions:
        if solution.id not in by_solution:
            raise StepwardError(
                f"solution {solution.id} has no labels: label it, or leave it out", code="missing", field="labels"
            )
        _check(solution, by_solution[solution.id], kind)
    if surplus := by_solution.keys() - {solution.id for solution in solutions}:
        raise StepwardError(
            f"labels of solution {min(surplus)}: there is no such solution", code="missing", field="solution_id"
        )
    if len(etas := {steps.eta for steps in labels}) > 1:
        raise StepwardError(
            f"labels are of more than one eta: {sorted(map(str, etas))}. Train on one at a time.",
            code="conflict",
            field="eta",
        )
    return by_solution


def _twice(ids: list[str]) -> str:
    return Counter(ids).most_common(1)[0][0]


def _check(solution: Solution, steps: StepLabels, kind: str) -> None:
    """Raises StepwardError if the labels can't be those of the solution."""
    if steps.kind != kind:
        raise StepwardError(
            f"labels of solution {solution.id} are of kind {steps.kind!r}: expected {kind!r}",
            code="mismatch",
            field="kind",
        )
    if len(steps.labels) != len(solution.steps):
        raise StepwardError(
            f"solution {solution.id} has {len(solution.steps)} steps and {len(steps.labels)} labels: "
            "expected one label a step",
            code="mismatch",
            field="labels",
        )
    for index, value in enumerate(steps.labels):
        if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
            raise StepwardError(
                f"solution {solution.id}, step {index + 1}: label {value!r}, expected one in [0, 1]",
                code="bad_value",
                field="labels",
            )
    if kind in OUTCOME_KINDS and len(set(steps.labels)) > 1:
        raise StepwardError(
            f"solution {solution.id}: {kind} labels {steps.labels} differ, expected one for all steps",
            code="mismatch",
            field="labels",
        )
