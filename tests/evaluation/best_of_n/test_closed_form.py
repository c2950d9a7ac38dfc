"""Closed forms of best-of-N, pass@N and the vote by the best score against every subset of a small candidate set."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.evaluation.best_of_n.closed_form import (
    best_of_n,
    best_of_n_vote_accuracy,
    pass_at_n,
    subset_probabilities,
)

CANDIDATES = st.lists(
    st.tuples(st.sampled_from([0.1, 0.4, 0.4000001, 0.9]), st.booleans(), st.integers(1, 3)), min_size=1, max_size=4
)
ANSWERED = st.lists(
    st.tuples(st.sampled_from([-np.inf, 0.1, 0.4, 0.9]), st.integers(-1, 4), st.integers(1, 2)), min_size=1, max_size=6
)
RIGHT = [True, False, False, True, False]


def _drawn(candidates: list[tuple[float, bool, int]]) -> list[tuple[float, bool]]:
    return [(score, correct) for score, correct, copies in candidates for _ in range(copies)]


def _best_by_enumeration(drawn: list[tuple[float, bool]], n: int) -> float:
    values = []
    for subset in combinations(drawn, n):
        top = max(score for score, _ in subset)
        tied = [correct for score, correct in subset if score == top]
        values.append(sum(tied) / len(tied))
    return float(np.mean(values))


@given(CANDIDATES)
def test_equal_to_every_subset(candidates: list[tuple[float, bool, int]]) -> None:
    drawn = _drawn(candidates)
    scores, correct, copies = (np.array(column) for column in zip(*candidates, strict=True))
    ns = range(1, len(drawn) + 1)
    best = [_best_by_enumeration(drawn, n) for n in ns]
    passed = [np.mean([any(c for _, c in subset) for subset in combinations(drawn, n)]) for n in ns]
    assert best_of_n(scores, correct, copies, ns) == pytest.approx(best, abs=1e-12)
    assert pass_at_n(correct, copies, ns) == pytest.approx(passed, abs=1e-12)


def _vote_of_the_best(subset: tuple[tuple[float, int], ...]) -> float:
    """The right answers' share among the answers with the best score of those that have an answer."""
    voiced = [(score, answer) for score, answer in subset if answer >= 0]
    if not voiced:
        return 0.0
    tied = {answer for score, answer in voiced if score == max(voiced)[0]}
    return sum(RIGHT[answer] for answer in tied) / len(tied)


@given(ANSWERED)
def test_the_vote_of_the_best_score_equals_every_subset(candidates: list[tuple[float, int, int]]) -> None:
    scores, answers, copies = (np.array(column) for column in zip(*candidates, strict=True))
    correct = np.append(RIGHT, False)[answers]
    drawn = [(score, answer) for score, answer, count in candidates for _ in range(count)]
    ns = range(1, min(len(drawn), 8) + 1)
    found = best_of_n_vote_accuracy(
        np.stack([scores, -np.where(np.isinf(scores), 0.0, scores)]),
        answers.astype(np.int32), np.array(RIGHT), correct, copies.astype(np.int64), ns,
    )  # fmt: skip
    for n in ns:
        subsets = list(combinations(drawn, n))
        assert found[0, 1, n - 1] == pytest.approx(np.mean([_vote_of_the_best(one) for one in subsets]), abs=1e-12)
        turned = [tuple((-score if score > -np.inf else 0.0, answer) for score, answer in one) for one in subsets]
        assert found[1, 1, n - 1] == pytest.approx(np.mean([_vote_of_the_best(one) for one in turned]), abs=1e-12)
    plain = [(score, bool(answer >= 0 and RIGHT[answer])) for score, answer in drawn]
    assert found[0, 0] == pytest.approx([_best_by_enumeration(plain, n) for n in ns], abs=1e-12)


def test_a_hundred_tied_answers_share_equally() -> None:
    # Every candidate has an answer of its own and the same score: the vote is the share of right ones, at every N.
    answers = np.arange(150, dtype=np.int32)
    right = answers % 3 == 0
    found = best_of_n_vote_accuracy(
        np.zeros((1, 150)), answers, right, right, np.ones(150, np.int64), (1, 2, 17, 128, 150)
    )
    assert found[0, 1] == pytest.approx(np.full(5, 1 / 3), abs=1e-10)
    assert found[0, 0] == pytest.approx(np.full(5, 1 / 3), abs=1e-12)


def test_a_constant_score_gives_the_mean_accuracy() -> None:
    correct = np.array([True, False, False, True, False])
    assert best_of_n(np.full(5, 0.3), correct, np.array([3, 1, 4, 1, 5]), (1, 2, 8, 14)) == pytest.approx(4 / 14)


def test_shares_of_subsets_are_ratios_of_binomials() -> None:
    shares = subset_probabilities(1860, (1, 4, 256, 1860))
    for row, total in [(1860, 1860), (1859, 1860), (1000, 1860), (300, 1860), (3, 1860), (0, 1860)]:
        assert shares[row] == pytest.approx([comb(row, n) / comb(total, n) for n in (1, 4, 256, 1860)], rel=1e-11)
    assert (np.diff(shares, axis=0) >= 0).all()


def test_perfect_scores_reach_pass_at_n_and_inverted_ones_need_all_to_be_right() -> None:
    correct, copies = np.array([True, False]), np.array([10, 54])
    ns = (1, 2, 16, 64)
    assert best_of_n(np.array([1.0, 0.0]), correct, copies, ns) == pytest.approx(pass_at_n(correct, copies, ns))
    assert best_of_n(np.array([0.0, 1.0]), correct, copies, ns)[1] == pytest.approx(10 * 9 / (64 * 63))


def test_minus_infinity_is_a_score_like_any_other() -> None:
    accuracy = best_of_n(np.array([-np.inf, -3.0]), np.array([False, True]), np.array([1, 1]), (1, 2))
    assert accuracy.tolist() == [0.5, 1.0]


@pytest.mark.parametrize("n", [0, 4])
def test_n_outside_the_candidates_is_refused(n: int) -> None:
    with refused("too_few", field="ns", names=(n, 3)):
        best_of_n(np.array([0.5]), np.array([True]), np.array([3]), (1, n))
