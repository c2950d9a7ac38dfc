"""Every broken set of records is refused by the record's name, and order changes nothing."""

from dataclasses import replace

import pytest
from raising import refused

from stepward.evaluation.best_of_n.candidates import RewardModel, gather, table_of, tabulate
from stepward.records import Problem, Scores, Solution

PROBLEMS = [Problem("p1", "?", "7"), Problem("p2", "?", "7")]
SOLUTIONS = [
    Solution("p1/a", "p1", ("one", "two"), "7", True, 3),
    Solution("p1/b", "p1", ("one",), "3", False, 1),
    Solution("p2/a", "p2", ("one",), None, False, 4),
]
SCORES = [Scores(s.id, s.problem_id, "er/seed-0", (0.5,) * len(s.steps)) for s in SOLUTIONS]


def _gather(problems: list[Problem], solutions: list[Solution], at_least: int = 4) -> None:
    gather(problems, solutions, at_least=at_least, part="test")


@pytest.mark.parametrize(
    ("solutions", "code", "field", "names"),
    [
        (SOLUTIONS[:2], "too_few", "solutions", ("p2", 0, 4)),
        ([*SOLUTIONS, SOLUTIONS[0]], "duplicate", "id", ("p1/a",)),
        ([replace(SOLUTIONS[0], copies=0), *SOLUTIONS[1:]], "bad_value", "copies", ("p1/a", 0)),
        ([replace(SOLUTIONS[0], steps=()), *SOLUTIONS[1:]], "empty", "steps", ("p1/a",)),
        ([*SOLUTIONS, replace(SOLUTIONS[0], problem_id="p9")], "mismatch", "problem_id", ("p1/a", "p9")),
        ([*SOLUTIONS, replace(SOLUTIONS[0], id="p1/c", correct=False)], "mismatch", "correct", ("p1/c", "'7'")),
        ([*SOLUTIONS[:2], replace(SOLUTIONS[2], correct=True)], "mismatch", "correct", ("p2/a",)),
    ],
)
def test_broken_candidates_are_named(
    solutions: list[Solution], code: str, field: str, names: tuple[object, ...]
) -> None:
    with refused(code, field=field, names=names):
        _gather(PROBLEMS, solutions)


def test_broken_problems_are_named() -> None:
    with refused("empty", field="test"):
        _gather([], [])
    with refused("duplicate", field="id", names=("p1",)):
        _gather([*PROBLEMS, PROBLEMS[0]], SOLUTIONS)
    with refused("too_few", field="solutions", names=("p1", 4, 5)):
        _gather(PROBLEMS, SOLUTIONS, at_least=5)


@pytest.mark.parametrize(
    ("scores", "code", "field", "names"),
    [
        (SCORES[:-1], "missing", "scores", ("p2/a", "er/seed-0")),
        ([*SCORES, SCORES[0]], "duplicate", "solution_id", ("p1/a", "er/seed-0")),
        ([*SCORES, replace(SCORES[0], solution_id="p1/z")], "mismatch", "solution_id", ("p1/z", "er/seed-0")),
        ([replace(SCORES[0], problem_id="p2"), *SCORES[1:]], "missing", "scores", ("p1/a", "er/seed-0", "problem p1")),
        ([replace(SCORES[0], scores=(0.5,)), *SCORES[1:]], "mismatch", "scores", ("p1/a", "er/seed-0", 1, 2)),
        ([replace(SCORES[0], scores=(0.5, float("nan"))), *SCORES[1:]], "bad_value", "scores", ("p1/a", "nan")),
        ([replace(SCORES[0], scores=(0.5, 1.1)), *SCORES[1:]], "bad_value", "scores", ("p1/a", 1.1)),
        ([replace(SCORES[0], model="er"), *SCORES[1:]], "bad_value", "model", ("'er'",)),
    ],
)
def test_broken_scores_are_named(scores: list[Scores], code: str, field: str, names: tuple[object, ...]) -> None:
    candidates = gather(PROBLEMS, SOLUTIONS, at_least=4, part="test")
    with refused(code, field=field, names=names):
        tabulate(candidates, scores, part="test")


def test_order_of_arrival_changes_nothing() -> None:
    forward = gather(PROBLEMS, SOLUTIONS, at_least=4, part="test")
    backward = gather(PROBLEMS[::-1], SOLUTIONS[::-1], at_least=4, part="test")
    assert [one.solutions for one in forward] == [one.solutions for one in backward]
    scores = [replace(s, scores=(0.1 * i,) * len(s.scores)) for i, s in enumerate(SCORES)]
    one, two = tabulate(forward, scores, part="test"), tabulate(backward, scores[::-1], part="test")
    assert one[0].steps.tolist() == two[0].steps.tolist() == [0.0, 0.0, 0.1, 0.2]
    tables = [table_of(both, lambda first, second: first == second) for both in (forward, backward)]
    for table in tables:
        assert (list(table.problems), table.starts.tolist()) == (["p1", "p2"], [0, 2, 3])
        assert table.answers.tolist() == [0, 1, -1]
        assert (table.correct.tolist(), table.copies.tolist()) == ([True, False, False], [3, 1, 4])


def test_models_are_listed_by_kind_and_seed() -> None:
    names = ["zeta/seed-0", "er/seed-42", "er/seed-3", "orm/seed-0", "hard/seed-0"]
    scores = [replace(score, model=name) for name in names for score in SCORES]
    models = tabulate(gather(PROBLEMS, SOLUTIONS, at_least=4, part="test"), scores, part="test")
    assert [f"{model.method}/{model.seed}" for model in models] == ["orm/0", "hard/0", "er/3", "er/42", "zeta/0"]
    assert RewardModel.parse("a/b/seed-7") == RewardModel("a/b", 7)
