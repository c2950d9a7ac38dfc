"""Votes over random subsets against every subset, and the rules on ties and missing answers."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused
from scipy import stats

from stepward.evaluation.best_of_n import voting
from stepward.evaluation.best_of_n.voting import Floats, ProblemAnswers, Votes, draw_orders, first_of_best, tally, vote

ANSWERS = [0, 0, 1, 2, -1]
CORRECT = [True, False, False]
COPIES = [1, 2, 3, 1, 2]
WEIGHTS = np.array([[0.9, 0.5], [0.3, 0.5], [0.25, 0.1], [0.8, 0.0], [1.0, 1.0]])

Candidate = tuple[int, int, float]
"""An answer from 0 to 3, of which 0 and 3 are right, or -1; copies; and a weight."""

CANDIDATES = st.lists(
    st.tuples(st.integers(-1, 3), st.integers(1, 2), st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5])), min_size=1, max_size=5
)


def _ballot(
    answers: list[int] = ANSWERS, right: list[bool] = CORRECT, copies: list[int] = COPIES, problem: str = "p"
) -> ProblemAnswers:
    return ProblemAnswers(problem, np.array(answers, np.int32), np.array(right, bool), np.array(copies, np.int64))


def _shares(subset: tuple[int, ...], answers: list[int], right: list[bool], weights: Floats) -> list[float]:
    """The right answers' share of a subset's three votes, by plain dictionaries: majority, sum and mean of weights."""
    given: dict[int, list[float]] = {}
    for index in subset:
        if answers[index] >= 0:
            given.setdefault(answers[index], []).append(float(weights[index]))
    if not given:
        return [0.0, 0.0, 0.0]
    shares = []
    for worth in (len, sum, lambda own: sum(own) / len(own)):
        votes = {answer: worth(own) for answer, own in given.items()}
        tied = [answer for answer, votes_of in votes.items() if abs(votes_of - max(votes.values())) < 1e-9]
        shares.append(sum(right[answer] for answer in tied) / len(tied))
    return shares


def _every_subset(drawn: list[int], n: int, answers: list[int], right: list[bool], weights: Floats) -> Floats:
    """The votes' means over every subset of the drawn candidates [majority, sum, mean]."""
    found = [_shares(subset, answers, right, weights) for subset in combinations(drawn, n)]
    return np.asarray(np.mean(found, axis=0))


@given(CANDIDATES)
def test_votes_over_every_subset_equal_plain_python(candidates: list[Candidate]) -> None:
    answers, copies, weights = (list(column) for column in zip(*candidates, strict=True))
    right = [True, False, False, True]
    ballot = _ballot(answers, right, copies)
    drawn = ballot.drawn.tolist()
    for n in range(1, min(len(drawn), 8) + 1):
        orders = np.array(list(combinations(drawn, n)), dtype=np.int32)
        votes = tally(ballot, orders, [n], np.array(weights)[:, None])
        expected = _every_subset(drawn, n, answers, right, np.array(weights))
        found = [votes.majority[0], votes.weighted[0, 0], votes.weighted_mean[0, 0]]
        assert found == pytest.approx(expected, abs=1e-12)


def _expected(ns: list[int], column: int) -> Floats:
    drawn = _ballot().drawn.tolist()
    return np.array([_every_subset(drawn, n, ANSWERS, CORRECT, WEIGHTS[:, column]) for n in ns]).T


def test_few_subsets_are_all_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voting, "draw_orders", lambda *_, **__: pytest.fail("subsets were drawn"))
    ns = list(range(1, 10))
    votes = vote(_ballot(), ns, WEIGHTS, seed=0, subsets=126)  # as many as there are of 4 or 5 among 9
    for column in range(2):
        found = np.array([votes.majority, votes.weighted[column], votes.weighted_mean[column]])
        assert found == pytest.approx(_expected(ns, column), abs=1e-12)


def test_subsets_that_are_more_are_drawn() -> None:
    ns = [1, 2, 4, 6, 9]
    votes = vote(_ballot(), ns, WEIGHTS, seed=0, subsets=100)
    drawn = tally(_ballot(), draw_orders(_ballot(), 4, seed=0, subsets=100), [4], WEIGHTS)
    assert votes.majority[2] == drawn.majority[0] and votes.weighted[:, 2].tolist() == drawn.weighted[:, 0].tolist()
    for column in range(2):
        found = np.array([votes.majority, votes.weighted[column], votes.weighted_mean[column]])
        assert found[:, [0, 1, 3, 4]] == pytest.approx(_expected(ns, column)[:, [0, 1, 3, 4]], abs=1e-12)


def test_drawn_subsets_come_close_to_all() -> None:
    ns = [2, 4, 6]
    votes = tally(_ballot(), draw_orders(_ballot(), 6, seed=0, subsets=20_000), ns, WEIGHTS)
    for column in range(2):
        found = np.array([votes.majority, votes.weighted[column], votes.weighted_mean[column]])
        assert found == pytest.approx(_expected(ns, column), abs=0.015)


def test_every_order_is_of_the_candidates_and_each_is_as_likely() -> None:
    orders = draw_orders(_ballot(), 5, seed=0, subsets=20_000)
    counts = np.array([np.bincount(order, minlength=5) for order in orders[:500]])
    assert (counts <= COPIES).all() and (counts.sum(axis=1) == 5).all()
    for place in range(5):
        seen = np.bincount(orders[:, place], minlength=5)
        assert stats.chisquare(seen, np.array(COPIES) / 9 * 20_000).pvalue > 1e-3
    pairs = np.bincount(orders[:, 0] * 5 + orders[:, 4], minlength=25)
    chances = np.outer(COPIES, COPIES) - np.diag(COPIES)  # without putting back
    held = chances.ravel() > 0
    assert stats.chisquare(pairs[held], chances.ravel()[held] / 72 * 20_000).pvalue > 1e-3


def test_subsets_depend_on_seed_and_problem_only() -> None:
    alone = draw_orders(_ballot(), 4, seed=0)
    assert (alone == draw_orders(_ballot(), 8, seed=0)[:, :4]).all()
    assert (alone[:100] == draw_orders(_ballot(), 4, seed=0, subsets=100)).all()
    assert (alone != draw_orders(_ballot(), 4, seed=1)).any()
    assert (alone != draw_orders(_ballot(problem="q"), 4, seed=0)).any()


def _all(answers: list[int], right: list[bool], weights: list[float], first: bool = False) -> Votes:
    """The vote of all candidates."""
    ballot = _ballot(answers, right, [1] * len(answers))
    ties = "first" if first else "share"
    return vote(ballot, [len(answers)], np.array(weights)[:, None], seed=0, ties=ties)


def _sum(answers: list[int], right: list[bool], weights: list[float]) -> float:
    return float(_all(answers, right, weights).weighted[0, 0])


def test_golden_numbers() -> None:
    answers, weights = [0, 1, 1, 0, 2], [0.4, 0.3, 0.2, 0.05, 0.9]  # 7, 5, 5, 7, 9
    for right, winner in (([True, False, False], "majority"), ([False, False, True], "weighted")):
        votes = _all(answers, right, weights, first=True)
        assert (votes.majority[0], votes.weighted[0, 0]) == ((1, 0) if winner == "majority" else (0, 1))
    assert _all(answers, [True, False, False], weights).majority[0] == 0.5


def test_ties_share_even_where_sums_round_differently() -> None:
    assert _sum([0, 1, 2], [True, False, False], [1.0, 1.0, 1.0]) == pytest.approx(1 / 3)
    assert 0.1 + 0.2 != 0.3
    assert _sum([0, 0, 1], [True, False], [0.1, 0.2, 0.3]) == pytest.approx(1 / 2)


def test_the_first_of_tied_answers_wins_only_where_there_is_an_order() -> None:
    right_last, right_first = [False, True], [True, False]
    assert _all([0, 1], right_last, [0.5, 0.5], first=True).weighted[0, 0] == 0.0
    assert _all([0, 1], right_first, [0.5, 0.5], first=True).weighted_mean[0, 0] == 1.0
    ballot = _ballot([0, 1, 1, 0], right_first, [1] * 4)
    ones = np.ones((4, 1))
    first, share = (vote(ballot, [2, 4], ones, seed=0, ties=ties) for ties in ("first", "share"))
    assert first.majority[0] == share.majority[0]
    assert (first.majority[1], share.majority[1]) == (1.0, 0.5)


def test_the_first_of_answers_with_the_best_candidate() -> None:
    ballot = _ballot([0, 1, 1, -1], [False, True], [1] * 4)
    ranks = np.array([[0.5, 0.5, 0.1, 0.9], [0.4, 0.1, 0.5, 0.5], [-np.inf] * 4])
    assert first_of_best(ballot, ranks).tolist() == [False, True, False]
    assert first_of_best(_ballot([-1], [], [2]), np.ones((2, 1))).tolist() == [False, False]


def test_no_answer_wins_nothing_but_counts() -> None:
    assert _sum([-1, -1, 0], [True], [1.0, 1.0, 0.1]) == 1.0
    silent = vote(_ballot([-1, 0], [True], [2, 1]), [1, 2, 3], np.ones((2, 1)), seed=0, subsets=3000)
    # Of the three pairs two hold the only answer.
    assert silent.majority == pytest.approx([1 / 3, 2 / 3, 1.0], abs=0.03)
    nobody = vote(_ballot([-1], [], [3]), [1, 2, 3], np.ones((1, 1)), seed=0)
    assert nobody.majority.tolist() == [0.0, 0.0, 0.0] and nobody.weighted.tolist() == [[0.0, 0.0, 0.0]]


def test_zero_weights_tie_among_the_answers_that_are_present() -> None:
    ballot = _ballot([0, 1, 2], [True, False, False], [1, 1, 1])
    votes = tally(ballot, np.array([[0, 1]], np.int32), [2], np.zeros((3, 1)))
    assert (votes.weighted.tolist(), votes.weighted_mean.tolist()) == ([[0.5]], [[0.5]])


def test_two_right_answers_are_two_answers() -> None:
    assert _sum([0, 1, 2, 2, 2], [True, True, False], [1.0] * 5) == 0.0
    assert _sum([0, 1, 2], [True, True, False], [1.0] * 3) == pytest.approx(2 / 3)


def test_without_models_majority_is_all_there_is() -> None:
    votes = vote(_ballot(), [1, 9], np.empty((5, 0)), seed=0)
    assert votes.majority.tolist() == [pytest.approx(1 / 3), 0.5]  # three of one answer, three of another
    assert votes.weighted.shape == (0, 2)


@pytest.mark.parametrize("n", [0, 10])
def test_n_outside_the_candidates_is_refused(n: int) -> None:
    with refused("too_few", field="ns", names=("problem p", n, 9)):
        vote(_ballot(), [n], WEIGHTS, seed=0)
