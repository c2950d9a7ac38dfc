"""Step scores beside an oracle: the curve and the figures by hand, the threshold from validation alone."""

import numpy as np
import pytest

from stepward.pipeline.stages.evaluate import step_quality
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
    # Each model ranks every right step above every wrong one, though all scores together do so in 21 of 24 pairs.
    assert curve["auc"] == 1.0
    # Both models' scores lie in bins of their own but for seed 0's two of 0.9 and seed 1's two of 0.5.
    gaps = [[0.55, 0.2, 2 * 0.1, 0.3], [0.25, 0.1, 2 * 0.5, 0.6]]
    assert curve["ece"] == pytest.approx(sum(sum(of) / 5 for of in gaps) / 2)
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
    assert len(curves) == 1
    assert [(one["method"], one["seed"]) for one in found] == [("soft", 0), ("soft", 1)]
    _, (known, *_) = step_quality(SOLUTIONS, SCORES, oracle, 0)
    for one in found:
        assert set(one) == set(known)
        assert (one["rows"], one["rows_with_error"], one["rows_without_error"]) == (2, 1, 1)
        names = ("threshold", "validation_f1", "f1", "with_error", "without_error", "accuracy", "cases")
        assert {one[name] for name in names} == {None}


def test_a_seed_whose_auc_is_undefined_leaves_none() -> None:
    right = {**SOLUTIONS, "test": SOLUTIONS["test"][1:]}
    given = {**SCORES, "test": [one for one in SCORES["test"] if one.problem_id == "d"]}
    (curve,), _ = step_quality(right, given, oracle, 0)
    assert curve["auc"] is None
    assert curve["brier"] == pytest.approx((2 * 0.01 + 0.09 + 2 * 0.25 + 0.36) / 6)


def test_figures_are_means_over_seeds_whatever_the_number_of_scores() -> None:
    fewer = [one for one in SCORES["test"] if (one.model, one.problem_id) != ("soft/seed-1", "c")]
    (curve,), _ = step_quality({**SOLUTIONS, "validation": []}, {"validation": [], "test": fewer}, oracle, 0)
    zero, one = (0.55**2 + 0.2**2 + 2 * 0.01 + 0.09) / 5, (2 * 0.25 + 0.36) / 3
    assert (curve["brier"], curve["auc"]) == (pytest.approx((zero + one) / 2), None)


def test_kinds_have_intervals_over_problems_and_seeds() -> None:
    random = np.random.default_rng(0)
    errors = {f"p{at}": None if at % 2 else at % 3 for at in range(30)}
    parts = {
        part: [solution(f"{part[0]}{name}", 3) for name in errors] for part in ("validation", "test")
    }  # a problem's only solution, in either part
    scores = {
        part: [
            scored(
                f"soft/seed-{seed}",
                one.problem_id,
                *random.uniform(0.2, 0.7, 3) + 0.3 * (errors[one.problem_id[1:]] is None),
            )
            for seed in (0, 1, 2)
            for one in members
        ]
        for part, members in parts.items()
    }
    (curve,), found = step_quality(parts, scores, lambda problem, steps: errors[problem[1:]], 0)
    for name in ("brier", "auc"):
        assert 0 <= curve[f"{name}_low"] < curve[name] < curve[f"{name}_high"] <= 1
    mean = np.mean([row["f1"] for row in found])
    assert len({(row["kind_f1_low"], row["kind_f1_high"]) for row in found}) == 1
    assert 0 <= found[0]["kind_f1_low"] < mean < found[0]["kind_f1_high"] <= 1
