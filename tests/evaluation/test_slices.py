"""Fifths of the problems by pass rate."""

import numpy as np

from stepward.evaluation.candidates import Candidates, gather
from stepward.evaluation.slices import BY, quintiles, slice_rows
from stepward.records import Problem, Solution


def _candidates(rates: list[int]) -> list[Candidates]:
    problems = [Problem(f"p{i:02d}", "?", "7") for i in range(len(rates))]
    solutions = []
    for problem, right in zip(problems, rates, strict=True):
        if right:
            solutions.append(Solution(f"{problem.id}/r", problem.id, ("right",), "7", True, right))
        if right < 10:
            solutions.append(Solution(f"{problem.id}/w", problem.id, ("wrong",), "3", False, 10 - right))
    return gather(problems, solutions, at_least=10, part="test")


def test_hardest_first_and_ties_by_id() -> None:
    parts = quintiles(_candidates([5, 5, 9, 1, 5, 0, 10, 5, 2, 3]))
    assert [part.tolist() for part in parts] == [[5, 3], [8, 9], [0, 1], [4, 7], [2, 6]]


def test_rows_say_what_they_are_by() -> None:
    rows = slice_rows(_candidates([0, 2, 4, 6, 10]), "er", "best", "min", 16, np.array([0.0, 0.1, 0.2, 0.3, 1.0]))
    assert [row.accuracy for row in rows] == [0.0, 0.1, 0.2, 0.3, 1.0]
    assert [(row.pass_low, row.pass_high, row.problems) for row in rows][1] == (0.2, 0.2, 1)
    assert {(row.by, row.method, row.n) for row in rows} == {(BY, "er", 16)}


def test_fewer_than_five_problems_make_fewer_parts() -> None:
    assert [part.tolist() for part in quintiles(_candidates([3, 1]))] == [[1], [0]]
