"""Paired comparisons: permutation tests by hand and by scipy, and what p and needed problems promise, by simulation."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused
from scipy import stats

from stepward.evaluation.stats.paired_test import EXACT, needed_problems, paired, paired_many, sign_flips

DIFFERENCES = st.lists(st.sampled_from([-0.4, -0.2, 0.0, 0.1, 0.2, 0.3]), min_size=1, max_size=8)


@given(DIFFERENCES)
def test_p_counts_every_flip_where_few_problems_differ(differences: list[float]) -> None:
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in product((1, -1), repeat=len(differences))
    ]
    expected = np.mean([abs(one) >= abs(sum(differences)) - 1e-9 for one in sums])
    assert sign_flips(np.array(differences)[:, None], seed=0)[0] == pytest.approx(expected)


def test_p_agrees_with_scipy_where_many_differ() -> None:
    differences = np.random.default_rng(0).normal(0.02, 0.1, 60)
    peer = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=20_000, rng=1, vectorized=True
    )
    assert sign_flips(differences[:, None], seed=0)[0] == pytest.approx(peer.pvalue, abs=0.015)


def test_p_is_never_0_and_1_where_nothing_differs() -> None:
    columns = np.stack([np.full(100, 0.3), np.zeros(100)], axis=1)
    assert sign_flips(columns, seed=0).tolist() == [1 / 10_001, 1.0]


def test_swapping_the_methods_mirrors_everything() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.random(80), generator.random(80)
    one, other = paired(first, second, seed=3), paired(second, first, seed=3)
    assert (one.mean, one.p, one.needed) == (-other.mean, other.p, other.needed)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-12)
    assert one.low < one.mean < one.high


def test_many_pairs_at_once_are_each_alone() -> None:
    columns = np.random.default_rng(0).normal(0.05, 0.2, (40, 3))
    columns[: 40 - EXACT, 1] = 0.0
    nothing = np.zeros((1, 40))
    together = paired_many([(column[None], nothing) for column in columns.T], seed=1)
    for column, found in zip(columns.T, together, strict=True):
        alone = paired(column, np.zeros(40), seed=1)
        assert (found.p, found.needed) == (alone.p, alone.needed)
        assert (found.mean, found.low, found.high) == pytest.approx((alone.mean, alone.low, alone.high))
    assert paired_many([], seed=1) == []


def test_methods_that_do_not_differ_need_no_number_of_problems() -> None:
    same = paired(np.array([0.1, 0.9, 0.4]), np.array([0.1, 0.9, 0.4]), seed=0)
    assert (same.mean, same.low, same.high, same.p, same.needed) == (0.0, 0.0, 0.0, 1.0, None)


def test_rounding_is_no_difference() -> None:
    first = np.random.default_rng(0).random(60)
    assert paired(first, first - 2e-16, seed=0) == paired(first, first, seed=0)
    assert paired(np.array([1.0, 0.0, 1e-170]), np.array([0.0, 1.0, 0.0]), seed=0).needed is None


@pytest.mark.parametrize("problems", [1, 3, 60])
def test_no_interval_excludes_0_where_the_test_can_tell_nothing(problems: int) -> None:
    first = np.zeros(problems)
    first[:5] = 1.0
    for one, other in ((first, 0 * first), (0 * first, first)):
        found = paired(one, other, seed=0)
        assert found.low <= 0 <= found.high and found.p >= 2 / 2**5
    first = np.ones(6)
    assert paired(first, 0 * first, seed=0).low > 0


def test_other_problems_are_refused() -> None:
    for first, second in [(np.zeros(3), np.zeros(2)), (np.zeros(0), np.zeros(0)), (np.zeros((1, 2, 2)), np.zeros(2))]:
        with pytest.raises(ValueError, match="expected the same problems, at least one"):
            paired(first, second, seed=0)


def test_a_difference_by_chance_is_called_significant_in_5_of_100() -> None:
    generator = np.random.default_rng(0)
    smooth = sign_flips(generator.normal(0, 0.2, (40, 500)), seed=0)
    assert 0.03 < float(np.mean(smooth <= 0.05)) < 0.07
    # Sums of signs take few values, so that p jumps over 5% and the test errs on the safe side.
    coarse = sign_flips(generator.choice([-1.0, 0.0, 1.0], (40, 500), p=[0.2, 0.6, 0.2]), seed=0)
    assert 0.01 < float(np.mean(coarse <= 0.05)) <= 0.06


@pytest.mark.parametrize(("mean", "deviation"), [(0.05, 0.2), (0.1, 0.25), (0.03, 0.03)])
def test_the_needed_problems_show_the_difference_in_80_of_100(mean: float, deviation: float) -> None:
    generator = np.random.default_rng(0)
    pilot = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    needed = needed_problems(mean + deviation * pilot / pilot.std(ddof=1))
    assert needed is not None
    columns = generator.normal(mean, deviation, (needed, 1000))
    found = float(np.mean(sign_flips(columns, seed=0) <= 0.05))
    assert found == pytest.approx(0.8, abs=0.05)


def test_the_needed_problems_are_at_least_what_a_sign_test_can_tell() -> None:
    assert needed_problems(np.array([0.5, 0.5, 0.5])) == 6
    assert sign_flips(np.full((6, 1), 0.5), seed=0)[0] < 0.05 < sign_flips(np.full((5, 1), 0.5), seed=0)[0]
    assert needed_problems(np.array([0.5])) is None


def test_what_is_no_number_is_refused_by_its_problem() -> None:
    fine = np.full((2, 4), 0.5)
    broken = fine.copy()
    broken[1, 2] = np.nan
    with refused("not_finite", row=3, field="second"):
        paired(fine, broken, seed=0)
    with refused("not_finite", row=3, field="first"):
        paired(broken[1], fine, seed=0)
