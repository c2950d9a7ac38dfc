"""Fifths of the problems by the pass rate of other draws, and parts by level, subject, steps and length."""

from dataclasses import replace

import numpy as np
import pytest

from stepward.evaluation.best_of_n.accuracy import Accuracies, measure_table
from stepward.evaluation.best_of_n.candidates import Candidates, gather, table_of
from stepward.evaluation.best_of_n.slices import (
    BY,
    SAME,
    Longs,
    MethodConfig,
    QuintileRow,
    drawn_part,
    problem_attributes,
    quintile_rows,
    quintiles,
    slice_rows,
    split_halves,
)
from stepward.evaluation.best_of_n.table import ModelScores
from stepward.records import Problem, Solution

MAJORITY, PASS = MethodConfig("majority", None, None), MethodConfig("pass", None, None)


def _candidates(rates: list[int], draws: int = 10, levels: list[int | None] | None = None) -> list[Candidates]:
    problems = [
        Problem(f"p{i:03d}", "?", "7", level=level, subject="sums" if i % 2 else None)
        for i, level in enumerate(levels or [None] * len(rates))
    ]
    solutions = []
    for problem, right in zip(problems, rates, strict=True):
        if right:
            solutions.append(Solution(f"{problem.id}/r", problem.id, ("right",), "7", True, right))
        if right < draws:
            solutions.append(Solution(f"{problem.id}/w", problem.id, ("wrong", "so"), "3", False, draws - right))
    return gather(problems, solutions, at_least=draws, part="test")


def _scores(candidates: list[Candidates], right: float) -> ModelScores:
    """A model that gives right solutions one score, and wrong ones a half at each step."""
    solutions = [one for each in candidates for one in each.solutions]
    steps = np.array([right if one.correct else 0.5 for one in solutions for _ in one.steps])
    return ModelScores("er", 0, steps, np.cumsum([0] + [len(one.steps) for one in solutions]))


def _halves(candidates: list[Candidates]) -> tuple[Longs, Longs]:
    table = table_of(candidates, str.__eq__)
    return split_halves([one.id for each in candidates for one in each.solutions], table.copies, table.starts)


def _quintiles(
    candidates: list[Candidates], models: list[ModelScores], uses: list[MethodConfig], at: int
) -> tuple[QuintileRow, ...]:
    return quintile_rows(
        _halves(candidates), table_of(candidates, str.__eq__), models, uses, at, seed=0,
        measure=lambda table, some, n, names: measure_table(table, some, (n,), seed=0, subsets=10, aggregations=names),
    )  # fmt: skip


def test_hardest_first_and_ties_by_order() -> None:
    parts = quintiles(np.array([5, 5, 9, 1, 5, 0, 10, 5, 2, 3]) / 10)
    assert [part.tolist() for part in parts] == [[5, 3], [8, 9], [0, 1], [4, 7], [2, 6]]


def test_fewer_than_five_problems_make_fewer_parts() -> None:
    assert [part.tolist() for part in quintiles(np.array([0.3, 0.1]))] == [[1], [0]]


def test_halves_are_disjoint_draws_decided_by_the_ids_alone() -> None:
    candidates = _candidates([3, 0, 10, 5] * 10, draws=11)
    first, second = _halves(candidates)
    copies = np.concatenate([one.copies for one in candidates])
    assert (first + second == copies).all() and (first >= 0).all() and (second >= 0).all()
    starts = table_of(candidates, str.__eq__).starts[:-1]
    assert set(np.add.reduceat(first, starts)) == {5} and set(np.add.reduceat(second, starts)) == {6}
    alone = _halves(candidates[7:8])
    begin = int(starts[7])
    assert alone[0].tolist() == first[begin : begin + len(alone[0])].tolist()
    right = np.concatenate([one.correct for one in candidates])
    assert 0 < np.corrcoef(first[right] / 5, second[right] / 6)[0, 1] < 1  # other draws of the same problems


def test_a_part_of_the_draws_keeps_scores_beside_their_solutions() -> None:
    candidates = _candidates([5, 10, 0])
    table, model = table_of(candidates, str.__eq__), _scores(candidates, 0.9)
    part, (scores,) = drawn_part(table, [model], np.array([0, 2, 3, 1]))
    assert (part.starts.tolist(), part.copies.tolist(), part.correct.tolist()) == (
        [0, 1, 2, 3],
        [2, 3, 1],
        [False, True, False],
    )
    assert (scores.steps.tolist(), scores.starts.tolist()) == ([0.5, 0.5, 0.9, 0.5, 0.5], [0, 2, 3, 5])


def test_the_fifth_is_told_by_one_half_and_the_accuracy_by_the_other() -> None:
    # Every problem is equally hard: those that look hard in one half are so by chance, and not hard in the other.
    generator = np.random.default_rng(0)
    candidates = _candidates(generator.binomial(16, 0.5, size=500).tolist(), draws=16)
    rows = _quintiles(candidates, [], [PASS], 1)
    assert [row.quintile for row in rows] == [1, 2, 3, 4, 5] and {row.by for row in rows} == {BY}
    assert rows[0].pass_high < 0.4 < 0.6 < rows[4].pass_low
    assert [row.accuracy for row in rows] == pytest.approx([0.5] * 5, abs=0.06)


def test_both_ways_are_averaged_at_the_n_that_fits() -> None:
    candidates = _candidates([0, 3, 5, 6, 9, 10, 2, 7, 8, 1])
    table, model = table_of(candidates, str.__eq__), _scores(candidates, 0.9)
    uses = [MAJORITY, PASS, MethodConfig("er", "best", "min")]
    rows = _quintiles(candidates, [model], uses, 16)
    assert {row.n for row in rows} == {5} and len(rows) == 15
    split = _halves(candidates)
    for part in range(5):
        accuracies, lows = [], []
        for deciding, other in (split, split[::-1]):
            right = np.add.reduceat(deciding * table.correct, table.starts[:-1]) / 5
            members = quintiles(right)[part]
            drawn = np.add.reduceat(other * table.correct, table.starts[:-1])[members]
            accuracies.append(np.mean(drawn > 0))
            lows.append(right[members].min())
        # A model that tells right from wrong reaches pass@N.
        for row in (rows[5 + part], rows[10 + part]):
            assert row.accuracy == pytest.approx(np.mean(accuracies))
            assert (row.pass_low, row.problems) == (pytest.approx(np.mean(lows)), 2)


def test_rows_have_the_deviation_over_seeds_and_an_interval_over_problems() -> None:
    generator = np.random.default_rng(1)
    candidates = _candidates(generator.binomial(10, 0.5, size=60).tolist(), levels=[1, 2] * 30)
    table = table_of(candidates, str.__eq__)
    models = [replace(_scores(candidates, right), seed=seed) for seed, right in enumerate((0.9, 0.1, 0.5))]
    uses = [MAJORITY, MethodConfig("er", "best", "min")]
    rows = _quintiles(candidates, models, uses, 16)
    assert all(row.low < row.accuracy < row.high for row in rows if 0 < row.accuracy < 1)
    assert [row.std for row in rows if row.method == "majority"] == [None] * 5
    alone = [_quintiles(candidates, [model], uses, 16) for model in models]
    for index, row in enumerate(rows[5:], start=5):
        assert row.accuracy == pytest.approx(np.mean([one[index].accuracy for one in alone]))
        assert row.std == pytest.approx(np.std([one[index].accuracy for one in alone], ddof=1))
    measured = measure_table(table, models, (4,), seed=0, subsets=10)
    for part in slice_rows(problem_attributes(candidates), measured, uses, 4):
        if part.slicing == "level" and part.method == "er":
            members = [i for i, one in enumerate(candidates) if str(one.problem.level) == part.slice]
            by_seed = measured.scored["er", "best", "min"][:, members, 0].mean(axis=1)
            assert (part.accuracy, part.std) == (pytest.approx(by_seed.mean()), pytest.approx(np.std(by_seed, ddof=1)))


def test_a_single_candidate_cannot_be_halved_and_the_row_says_so() -> None:
    candidates = _candidates([0, 1, 1, 0, 1], draws=1)
    rows = _quintiles(candidates, [], [PASS], 1)
    assert [row.accuracy for row in rows] == [0, 0, 1, 1, 1]
    assert {(row.by, row.n) for row in rows} == {(SAME, 1)}


def test_parts_by_level_subject_steps_and_length() -> None:
    candidates = _candidates([0, 2, 4, 6, 10, 8], levels=[1, 1, 2, 2, 3, None])
    found = np.array([0.0, 0.2, 0.4, 0.6, 1.0, 0.8])
    measured = Accuracies((4,), found[:, None], found[:, None], {}, {})
    rows = slice_rows(problem_attributes(candidates), measured, [MAJORITY, PASS], 4)
    of = {(row.slicing, row.slice): row for row in rows if row.method == "majority"}
    assert len(rows) == 2 * len(of)
    accuracy = {key: row.accuracy for key, row in of.items()}
    assert accuracy == {
        ("level", "1"): pytest.approx(0.1),
        ("level", "2"): pytest.approx(0.5),
        ("level", "3"): 1.0,
        ("level", "none"): 0.8,
        ("subject", "sums"): pytest.approx(1.6 / 3),
        ("subject", "none"): pytest.approx(1.4 / 3),
        ("steps", "1"): pytest.approx(0.8),  # of six right and more of ten the median solution has one step
        ("steps", "2"): pytest.approx(0.2),
        ("length", "5"): pytest.approx(0.8),
        ("length", "7"): pytest.approx(0.2),
    }
    for row in rows:
        assert 0 <= row.low <= row.accuracy <= row.high <= 1
        assert row.by
    assert (of["level", "3"].problems, of["subject", "sums"].problems) == (1, 3)


def test_what_problems_do_not_differ_in_is_no_slicing() -> None:
    candidates = _candidates([1, 2, 3])[::2]
    measured = Accuracies((4,), np.zeros((2, 1)), np.zeros((2, 1)), {}, {})
    assert slice_rows(problem_attributes(candidates), measured, [MAJORITY], 4) == ()


def test_many_numbers_make_five_ranges_of_as_many_problems() -> None:
    problems = [Problem(f"p{i:02d}", "?", "7") for i in range(25)]
    solutions = [Solution(f"{one.id}/a", one.id, ("x" * (i + 1),), "7", True) for i, one in enumerate(problems)]
    candidates = gather(problems, solutions, at_least=1, part="test")
    measured = Accuracies((1,), np.ones((25, 1)), np.ones((25, 1)), {}, {})
    rows = slice_rows(problem_attributes(candidates), measured, [PASS], 1)
    assert [(row.slice, row.problems) for row in rows] == [
        ("1 to 5", 5), ("6 to 10", 5), ("11 to 15", 5), ("16 to 20", 5), ("21 to 25", 5)
    ]  # fmt: skip
