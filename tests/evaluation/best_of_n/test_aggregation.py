"""The five ways to aggregate step scores, one at a time and end to end in one array."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward.evaluation.best_of_n.aggregation import AGGREGATIONS, CLIP, aggregate, ranks, vote_weights

STEPS = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8)
PLAIN: dict[str, Callable[[list[float]], float]] = {
    "min": min,
    "prod": math.prod,
    "last": lambda scores: scores[-1],
    "mean": lambda s: math.fsum(s) / len(s),
    "logodds": lambda s: math.fsum(_log_odds(one) for one in s),
}


def _log_odds(score: float) -> float:
    clipped = min(max(score, CLIP), 1 - CLIP)
    return math.log(clipped) - math.log1p(-clipped)


# Log odds of either sign add up to nearly 0, where only an absolute error says anything.
TINY = {name: 1e-9 if name == "logodds" else 1e-300 for name in PLAIN}


@given(st.lists(STEPS, min_size=1, max_size=6))
def test_flat_reduction_equals_each_solution_alone(solutions: list[list[float]]) -> None:
    flat = np.array([score for steps in solutions for score in steps])
    starts = np.cumsum([0] + [len(steps) for steps in solutions])[:-1]
    for name, plain in PLAIN.items():
        expected = [plain(steps) for steps in solutions]
        assert AGGREGATIONS[name](flat, starts) == pytest.approx(expected, rel=1e-9, abs=TINY[name])
        assert [aggregate(name, steps) for steps in solutions] == pytest.approx(expected, rel=1e-9, abs=TINY[name])


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


def test_log_odds_of_0_and_1_are_finite_and_part_float32_scores() -> None:
    nearly = float(np.nextafter(np.float32(1), np.float32(0)))
    never, almost, surely = (aggregate("logodds", [score]) for score in (0.0, nearly, 1.0))
    assert -21 < never < 0 < almost < surely < 21
    assert never == pytest.approx(-surely)
    assert aggregate("logodds", [0.0, 1.0]) == pytest.approx(0.0)


def test_log_odds_vote_with_their_logistic_up_to_a_factor() -> None:
    rank = ranks("logodds", np.array([0.8, 0.9, 0.4, 0.5]), np.array([0, 2, 3]))
    odds = np.array([0.8 / 0.2 * 0.9 / 0.1, 0.4 / 0.6, 1.0])
    weights = vote_weights("logodds", rank)
    assert weights / weights[0] == pytest.approx(odds / (1 + odds) / (odds[0] / (1 + odds[0])))


def test_log_odds_too_low_for_a_float_still_vote() -> None:
    rank = ranks("logodds", np.array([0.0] * 80 + [0.25]), np.array([0, 41]))
    assert math.exp(rank[0]) == math.exp(rank[1]) == 0.0
    assert vote_weights("logodds", rank) == pytest.approx([math.exp(rank[0] - rank[1]), 1.0])


@given(st.lists(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=4), min_size=1, max_size=4))
def test_problems_end_to_end_vote_as_each_alone(problems: list[list[float]]) -> None:
    flat = np.array([score for scores in problems for score in scores])
    starts = np.cumsum([0] + [len(scores) for scores in problems])
    for name in AGGREGATIONS:
        rank = ranks(name, flat, np.arange(len(flat)))
        alone = [vote_weights(name, rank[a:b]) for a, b in itertools.pairwise(starts)]
        assert vote_weights(name, rank, starts[:-1]).tolist() == np.concatenate(alone).tolist()


def test_no_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="without steps"):
        aggregate("min", [])
