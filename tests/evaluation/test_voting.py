"""Votes over random subsets against every subset, and the rules on ties and missing answers."""

from itertools import combinations

import numpy as np
import pytest

from stepward.errors import StepwardError
from stepward.evaluation.voting import Floats, Subsets, draw_subsets, vote

ANSWERS = ["7", "7", "3", "5", None]
CORRECT = np.array([True, True, False, False, False])
COPIES = np.array([1, 2, 3, 1, 2])
WEIGHTS = np.array([[1.0, 0.9], [1.0, 0.3], [1.0, 0.25], [1.0, 0.8], [1.0, 1.0]])


def _enumerated(n: int, column: int) -> float:
    """The expected accuracy, by every subset of the drawn candidates and plain dictionaries."""
    drawn = np.repeat(np.arange(len(COPIES)), COPIES)
    wins = []
    for subset in combinations(drawn, n):
        votes: dict[str, float] = {}
        for index in subset:
            answer = ANSWERS[index]
            if answer is not None:
                votes[answer] = votes.get(answer, 0.0) + WEIGHTS[index, column]
        top = max(votes.values(), default=0.0)
        tied = [answer for answer, sum_ in votes.items() if abs(sum_ - top) < 1e-9]
        wins.append((("7" in tied) / len(tied)) if tied else 0.0)
    return float(np.mean(wins))


def _draw(ns: list[int], subsets: int = 400, seed: int = 0, problem_id: str = "p") -> list[Subsets]:
    return draw_subsets(COPIES, ns, problem_id=problem_id, seed=seed, subsets=subsets)


def test_close_to_every_subset_between_and_exact_at_both_ends() -> None:
    ns = [1, 2, 4, 6, 9]
    accuracy = vote(_draw(ns, subsets=20_000), ANSWERS, CORRECT, WEIGHTS)
    expected = np.array([[_enumerated(n, column) for column in range(2)] for n in ns])
    assert accuracy[[0, -1]] == pytest.approx(expected[[0, -1]], abs=1e-12)
    assert accuracy == pytest.approx(expected, abs=0.015)


def test_every_drawn_subset_is_one_of_the_candidates() -> None:
    for n, drawn in zip([2, 5], _draw([2, 5]), strict=True):
        assert (drawn.counts <= COPIES).all() and (drawn.counts.sum(axis=1) == n).all()
        assert drawn.shares.sum() == pytest.approx(1.0)


def test_subsets_depend_on_seed_and_problem_only() -> None:
    alone, among = _draw([4])[0], _draw([2, 4, 8])[1]
    assert (alone.counts == among.counts).all()
    assert (alone.counts != _draw([4], seed=1)[0].counts).any()
    assert (alone.counts != _draw([4], problem_id="q")[0].counts).any()


def _one_subset(answers: list[str | None], correct: list[bool], weights: list[float]) -> float:
    counts: Floats = np.ones((1, len(answers)))
    columns = np.array(weights)[:, None]
    return float(vote([Subsets(counts, np.ones(1))], answers, np.array(correct), columns)[0, 0])


def test_ties_share_even_where_sums_round_differently() -> None:
    assert _one_subset(["1", "2", "3"], [True, False, False], [1.0, 1.0, 1.0]) == pytest.approx(1 / 3)
    assert 0.1 + 0.2 != 0.3
    assert _one_subset(["1", "1", "2"], [True, True, False], [0.1, 0.2, 0.3]) == pytest.approx(1 / 2)


def test_no_answer_wins_nothing_but_counts() -> None:
    assert _one_subset([None, None, "1"], [False, False, True], [1.0, 1.0, 0.1]) == 1.0
    all_none = Subsets(np.array([[2.0, 0.0]]), np.ones(1))
    assert vote([all_none], [None, "1"], np.array([False, True]), np.ones((2, 1))).tolist() == [[0.0]]


def test_zero_weights_tie_among_the_answers_that_are_present() -> None:
    present = Subsets(np.array([[1.0, 1.0, 0.0]]), np.ones(1))
    accuracy = vote([present], ["1", "2", "3"], np.array([True, False, False]), np.zeros((3, 1)))
    assert accuracy.tolist() == [[0.5]]


def test_two_right_strings_are_two_answers() -> None:
    assert _one_subset(["1/2", "0.5", "3", "3", "3"], [True, True, False, False, False], [1.0] * 5) == 0.0
    assert _one_subset(["1/2", "0.5", "3"], [True, True, False], [1.0] * 3) == pytest.approx(2 / 3)


@pytest.mark.parametrize("n", [0, 10])
def test_n_outside_the_candidates_is_refused(n: int) -> None:
    with pytest.raises(StepwardError, match=f"problem p: a vote of {n} needs 1 to 9"):
        _draw([n])
