"""The four ways to aggregate step scores, one at a time and end to end in one array."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward.evaluation.aggregation import AGGREGATIONS, aggregate, ranks, vote_weights

STEPS = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8)
PLAIN: dict[str, Callable[[list[float]], float]] = {
    "min": min,
    "prod": math.prod,
    "last": lambda scores: scores[-1],
    "mean": lambda s: math.fsum(s) / len(s),
}


@given(st.lists(STEPS, min_size=1, max_size=6))
def test_flat_reduction_equals_each_solution_alone(solutions: list[list[float]]) -> None:
    flat = np.array([score for steps in solutions for score in steps])
    starts = np.cumsum([0] + [len(steps) for steps in solutions])[:-1]
    for name, plain in PLAIN.items():
        expected = [plain(steps) for steps in solutions]
        assert AGGREGATIONS[name](flat, starts) == pytest.approx(expected, rel=1e-9, abs=1e-300)
        assert [aggregate(name, steps) for steps in solutions] == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_a_product_that_underflows_still_ranks_and_votes() -> None:
    worse, better = [1e-20] * 20, [1e-20] * 19 + [1e-19]
    flat, starts = np.array(worse + better + [0.0, 1.0]), np.array([0, 20, 40])
    assert aggregate("prod", worse) == aggregate("prod", better) == 0.0
    rank = ranks("prod", flat, starts)
    assert rank[2] < rank[0] < rank[1]
    assert vote_weights("prod", rank) == pytest.approx([0.1, 1.0, 0.0])


def test_products_that_are_all_zero_have_no_weight() -> None:
    rank = ranks("prod", np.array([0.0, 0.5, 0.0]), np.array([0, 2]))
    assert vote_weights("prod", rank).tolist() == [0.0, 0.0]


def test_other_aggregations_vote_with_the_score_itself() -> None:
    flat, starts = np.array([0.2, 0.9, 0.4]), np.array([0, 2])
    assert vote_weights("min", ranks("min", flat, starts)).tolist() == [0.2, 0.4]


def test_no_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="without steps"):
        aggregate("min", [])
