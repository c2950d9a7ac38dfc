"""Step scores beside an oracle: the curve and the figures by hand, the threshold from validation alone."""

import pytest

from stepward.pipeline.step_quality import step_quality
from stepward.records import Scores, Solution

ERRORS = {"a": None, "b": 1, "c": 0, "d": None}
"""The first wrong step of each problem's only solution."""


def solution(problem: str, steps: int) -> Solution:
    return Solution(f"{problem}/1", problem, tuple(f"step {at}" for at in range(steps)), "1", True)


def scored(model: str, problem: str, *values: float) -> Scores:
    return Scores(f"{problem}/1", problem, model, values)


def oracle(problem: str, steps: tuple[str, ...]) -> int | None:
    return ERRORS[problem]


SOLUTIONS = {"validation": [solution("a", 2), solution("b", 2)], "test": [solution("c", 2), solution("d", 3)]}
SCORES = {
    "validation": [
        scored("soft/seed-0", "a", 0.9, 0.8), scored("soft/seed-0", "b", 0.85, 0.4),
        scored("soft/seed-1", "a", 0.3, 0.3), scored("soft/seed-1", "b", 0.3, 0.1),
    ],
    "test": [
        scored("soft/seed-0", "c", 0.55, 0.2), scored("soft/seed-0", "d", 0.9, 0.9, 0.7),
        scored("soft/seed-1", "c", 0.25, 0.1), scored("soft/seed-1", "d", 0.5, 0.5, 0.4),
    ],
}  # fmt: skip


def test_curves_and_first_errors_are_those_computed_by_hand() -> None:
    curves, found = step_quality(SOLUTIONS, SCORES, oracle, 0)
    (curve,) = curves
    assert (curve["method"], curve["seeds"]) == ("soft", 2)
    values = [(0.55, 0), (0.2, 0), (0.9, 1), (0.9, 1), (0.7, 1), (0.25, 0), (0.1, 0), (0.5, 1), (0.5, 1), (0.4, 1)]
    assert curve["brier"] == pytest.approx(sum((score - right) ** 2 for score, right in values) / len(values))
    assert curve["auc"] == pytest.approx(21 / 24)
    assert sum(one["count"] for one in curve["bins"]) == len(values)
    zero, one = found
    # Seed 0: 0.6 is the middle between 0.4 and 0.8, so 0.55 is taken for wrong; seed 1: 0.2, so 0.25 is not, 0.1 is.
    assert (zero["seed"], zero["threshold"], zero["validation_f1"]) == (0, pytest.approx(0.6), 1.0)
    assert (zero["f1"], zero["cases"]["exact"], zero["cases"]["none"]) == (1.0, 1, 1)
    assert (one["seed"], one["threshold"]) == (1, pytest.approx(0.2))
    assert (one["f1"], one["cases"]["late"], one["cases"]["none"]) == (0.0, 1, 1)


def test_no_threshold_is_chosen_where_all_validation_solutions_are_right() -> None:
    part = {**SOLUTIONS, "validation": SOLUTIONS["validation"][:1]}
    given = {**SCORES, "validation": [one for one in SCORES["validation"] if one.problem_id == "a"]}
    curves, found = step_quality(part, given, oracle, 0)
    assert len(curves) == 1 and found == []
