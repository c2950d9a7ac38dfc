"""Bootstrap over rows: its moments by theory, AUC of resamples by another way, and where there is no interval."""

import numpy as np
import pytest

from stepward.evaluation.stats import bootstrap as row_intervals
from stepward.evaluation.stats.bootstrap import limits, resampled_aucs, resampled_shares, resampled_sums, share_limits
from stepward.metrics import auc


@pytest.mark.parametrize("few", [0, 500])
def test_sums_have_the_moments_of_drawing_with_replacement(few, monkeypatch):
    monkeypatch.setattr(row_intervals, "_FEW", few)
    random = np.random.default_rng(0)
    rows = np.stack([random.integers(0, 3, 80).astype(float), random.random(80)], axis=1)
    drawn = resampled_sums(rows, 1, 20_000)
    assert drawn.shape == (20_000, 2)
    assert drawn.mean(axis=0) == pytest.approx(rows.sum(axis=0), rel=2e-3)
    assert np.cov(drawn.T) == pytest.approx(80 * np.cov(rows.T, ddof=0), rel=0.05, abs=0.6)


def test_sums_come_in_parts_where_rows_are_many(monkeypatch):
    rows = np.repeat(np.arange(5.0), 10)[:, None]
    monkeypatch.setattr(row_intervals, "_AT_ONCE", 50)
    drawn = resampled_sums(rows, 1, 2005)
    assert drawn.shape == (2005, 1)
    assert drawn.mean() == pytest.approx(rows.sum(), rel=0.01)


def test_aucs_are_those_of_the_weighted_steps():
    random = np.random.default_rng(3)
    scores, right = np.round(random.random(90), 1), random.random(90) < 0.6
    owners = np.sort(random.integers(0, 30, 90))
    owners[-1] = 29
    drawn = resampled_aucs(scores, right, owners, 7)
    again = np.random.default_rng([7, 30])
    for index in range(20):
        copies = np.bincount(again.integers(30, size=30), minlength=30)
        assert drawn[index] == pytest.approx(auc(scores, right, copies[owners]))


def test_a_resample_of_one_class_has_no_auc():
    drawn = resampled_aucs(np.array([0.2, 0.8]), np.array([False, True]), np.array([0, 1]), 0)
    assert np.isnan(drawn).mean() == pytest.approx(0.5, abs=0.05)
    assert limits(drawn) == (None, None)


def test_few_undefined_resamples_are_passed_over():
    values = np.concatenate([np.full(40, np.nan), np.linspace(0, 1, 960)])
    assert limits(values) == pytest.approx((0.025, 0.975))


def test_a_share_has_a_width_even_of_none_and_of_all():
    random = np.random.default_rng(0)
    wilson = 1.96**2 / (10 + 1.96**2)
    assert share_limits(0, 10, random) == (0.0, pytest.approx(wilson, rel=1e-4))
    assert share_limits(10, 10, random) == (pytest.approx(1 - wilson, rel=1e-4), 1.0)
    low, high = share_limits(30, 100, random)
    assert (low, high) == pytest.approx((0.22, 0.40), abs=0.02)
    assert resampled_shares(30, 100, random).std() == pytest.approx((0.3 * 0.7 / 100) ** 0.5, rel=0.05)
