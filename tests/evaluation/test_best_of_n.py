"""Closed forms of best-of-N and pass@N against every subset of a small candidate set."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n import best_of_n, pass_at_n

CANDIDATES = st.lists(
    st.tuples(st.sampled_from([0.1, 0.4, 0.4000001, 0.9]), st.booleans(), st.integers(1, 3)), min_size=1, max_size=4
)


def _drawn(candidates: list[tuple[float, bool, int]]) -> list[tuple[float, bool]]:
    return [(score, correct) for score, correct, copies in candidates for _ in range(copies)]


def _best_by_enumeration(drawn: list[tuple[float, bool]], n: int) -> float:
    values = []
    for subset in combinations(drawn, n):
        top = max(score for score, _ in subset)
        tied = [correct for score, correct in subset if score == top]
        values.append(sum(tied) / len(tied))
    return float(np.mean(values))


@settings(max_examples=60, deadline=None)
@given(CANDIDATES)
def test_equal_to_every_subset(candidates: list[tuple[float, bool, int]]) -> None:
    drawn = _drawn(candidates)
    scores, correct, copies = (np.array(column) for column in zip(*candidates, strict=True))
    ns = range(1, len(drawn) + 1)
    best = [_best_by_enumeration(drawn, n) for n in ns]
    passed = [np.mean([any(c for _, c in subset) for subset in combinations(drawn, n)]) for n in ns]
    assert best_of_n(scores, correct, copies, ns) == pytest.approx(best, abs=1e-12)
    assert pass_at_n(correct, copies, ns) == pytest.approx(passed, abs=1e-12)


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
    with pytest.raises(StepwardError, match=f"best of {n} needs 1 to 3 candidates"):
        best_of_n(np.array([0.5]), np.array([True]), np.array([3]), (1, n))
