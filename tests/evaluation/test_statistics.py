"""Spread over seeds and bootstrap intervals, against normal theory and scipy's bootstrap."""

import numpy as np
import pytest
from scipy import stats

from stepward.evaluation.statistics import interval, resamples, spread


def test_spread_divides_by_one_less() -> None:
    assert spread(np.array([0.2, 0.4])) == pytest.approx(np.sqrt(0.02))
    assert spread(np.array([0.2])) is None


def test_resamples_are_seeded_means() -> None:
    weights = resamples(30, 7, count=50)
    assert weights.shape == (50, 30)
    assert weights.sum(axis=1) == pytest.approx(np.ones(50))
    assert (weights == resamples(30, 7, count=50)).all()
    assert (weights != resamples(30, 8, count=50)).any()


def test_interval_agrees_with_scipy() -> None:
    accuracy = np.random.default_rng(0).beta(2, 1, size=200)
    low, high = interval(resamples(200, 0), accuracy)
    peer = stats.bootstrap((accuracy,), np.mean, n_resamples=2000, method="percentile", rng=1).confidence_interval
    assert low == pytest.approx(peer.low, abs=0.004)
    assert high == pytest.approx(peer.high, abs=0.004)


def test_pairing_takes_out_what_two_methods_share() -> None:
    generator = np.random.default_rng(0)
    first = generator.random(200)
    second = first - 0.05 + generator.normal(0, 0.02, 200)
    weights = resamples(200, 0)
    low, high = interval(weights, first - second)
    apart = interval(weights, first)
    assert 0 < low < 0.05 < high
    assert high - low < (apart[1] - apart[0]) / 5


def test_columns_are_independent_of_one_another() -> None:
    columns = np.random.default_rng(0).random((40, 3))
    weights = resamples(40, 0)
    low, high = interval(weights, columns)
    assert (low[1], high[1]) == pytest.approx(interval(weights, columns[:, 1]))


def test_equal_values_have_no_width() -> None:
    low, high = interval(resamples(20, 0), np.full(20, 0.1))
    assert low == high == pytest.approx(0.1)
