"""Spread over seeds and bootstrap intervals: normal theory, scipy's bootstrap, Wilson's interval, and coverage."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from stepward.evaluation.stats.bootstrap import (
    Z,
    accuracy_interval,
    percentiles,
    resampled_means,
    resamples,
    seed_std,
)

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]


def interval(columns: Floats) -> tuple[Floats, Floats]:
    """The percentile interval of means over problems, as differences have it."""
    return percentiles(resampled_means(columns, 0), len(columns))


def test_spread_divides_by_one_less() -> None:
    assert seed_std(np.array([0.2, 0.4])) == pytest.approx(np.sqrt(0.02))
    assert seed_std(np.array([0.2])) is None


def test_resamples_are_seeded_means() -> None:
    weights = resamples(30, 7, count=50)
    assert weights.shape == (50, 30)
    assert weights.sum(axis=1) == pytest.approx(np.ones(50))
    assert (weights == resamples(30, 7, count=50)).all()
    assert (weights != resamples(30, 8, count=50)).any()


def test_means_that_are_made_part_by_part_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracy = np.random.default_rng(0).random((30, 2))
    whole = resamples(30, 7, count=50) @ accuracy
    monkeypatch.setattr("stepward.evaluation.stats.bootstrap._CELLS", 100)
    assert resampled_means(accuracy, 7, count=50) == pytest.approx(whole)


def test_interval_agrees_with_scipy() -> None:
    accuracy = np.random.default_rng(0).beta(2, 1, size=200)
    low, high = interval(accuracy)
    peer = stats.bootstrap((accuracy,), np.mean, n_resamples=2000, method="percentile", rng=1).confidence_interval
    assert low == pytest.approx(peer.low, abs=0.004)
    assert high == pytest.approx(peer.high, abs=0.004)


def test_pairing_takes_out_what_two_methods_share() -> None:
    generator = np.random.default_rng(0)
    first = generator.random(200)
    second = first - 0.05 + generator.normal(0, 0.02, 200)
    low, high = interval(first - second)
    apart = interval(first)
    assert 0 < low < 0.05 < high
    assert high - low < (apart[1] - apart[0]) / 5


def test_columns_are_independent_of_one_another() -> None:
    columns = np.random.default_rng(0).random((40, 3))
    low, high = interval(columns)
    assert (low[1], high[1]) == pytest.approx(interval(columns[:, 1]))
    lows, highs = accuracy_interval(resampled_means(columns, 0), columns)
    alone = accuracy_interval(resampled_means(columns[:, 1:2], 0), columns[:, 1:2])
    assert (lows[1], highs[1]) == pytest.approx((alone[0][0], alone[1][0]))


def test_equal_values_have_no_width() -> None:
    low, high = interval(np.full(20, 0.1))
    assert low == high == pytest.approx(0.1)
    column = np.full((20, 1), 0.1)
    lows, highs = accuracy_interval(resampled_means(column, 0), column)
    assert lows[0] == pytest.approx(0.1) and highs[0] == pytest.approx(0.1)


def test_all_wrong_and_all_right_are_wilsons() -> None:
    columns = np.array([[0.0, 1.0]] * 20)
    low, high = accuracy_interval(resampled_means(columns, 0), columns)
    wilson = stats.binomtest(0, 20).proportion_ci(method="wilson")
    assert (low[0], high[0]) == pytest.approx((0.0, wilson.high))
    assert (low[1], high[1]) == pytest.approx((1 - wilson.high, 1.0))


def test_right_or_wrong_at_random_is_close_to_wilsons() -> None:
    column = (np.arange(400) < 80).astype(float)[:, None]
    low, high = accuracy_interval(resampled_means(column, 0, count=20_000), column)
    wilson = stats.binomtest(80, 400).proportion_ci(method="wilson")
    assert (low[0], high[0]) == pytest.approx((wilson.low, wilson.high), abs=0.004)


def test_one_problem_tells_little() -> None:
    low, high = accuracy_interval(resampled_means(np.array([[0.3]]), 0), np.array([[0.3]]))
    assert low[0] < 0.05 and high[0] > 0.75, "Wilson's, of one trial"
    assert np.isfinite(percentiles(np.full((10, 1), 0.3), 1)).all()
    wide = accuracy_interval(resampled_means(np.array([[1.0]]), 0), np.array([[1.0]]))
    assert wide[0][0] == pytest.approx(1 / (1 + Z**2))


ACCURACIES: dict[str, tuple[Draw, float]] = {
    "right-or-wrong-.05": (lambda g, shape: (g.random(shape) < 0.05).astype(float), 0.05),
    "right-or-wrong-.5": (lambda g, shape: (g.random(shape) < 0.5).astype(float), 0.5),
    "right-or-wrong-.95": (lambda g, shape: (g.random(shape) < 0.95).astype(float), 0.95),
    "nearly-right-or-wrong-.1": (lambda g, shape: g.beta(0.03, 0.27, shape), 0.1),
    "nearly-right-or-wrong-.9": (lambda g, shape: g.beta(0.27, 0.03, shape), 0.9),
    "five-seeds": (lambda g, shape: g.binomial(5, g.beta(0.4, 0.6, shape)) / 5, 0.4),
    "spread-evenly": (lambda g, shape: g.random(shape), 0.5),
    "mostly-high": (lambda g, shape: g.beta(2, 1, shape), 2 / 3),
    "alike": (lambda g, shape: g.normal(0.5, 0.05, shape), 0.5),
}


@pytest.mark.slow
@pytest.mark.parametrize("problems", [50, 120, 500])
@pytest.mark.parametrize("shape", ACCURACIES)
def test_an_accuracys_interval_covers_the_truth_in_95_of_100_samples(shape: str, problems: int) -> None:
    draw, truth = ACCURACIES[shape]
    # A column a sample; they share the resamples, which are an approximation of all resamples whatever the sample.
    columns = draw(np.random.default_rng(problems), (problems, 4000 if problems < 500 else 2500))
    low, high = accuracy_interval(resampled_means(columns, 0), columns)
    assert 0.93 <= float(np.mean((low <= truth) & (truth <= high))) <= 0.97


def _seeds(generator: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Two methods of five seeds that share each problem's difficulty, the first one better."""
    easy = generator.beta(0.4, 0.6, shape)
    return np.asarray((generator.binomial(5, 0.1 + 0.9 * easy) - generator.binomial(5, easy)) / 5)


def _signs(generator: np.random.Generator, shape: tuple[int, int], more: float, less: float) -> Floats:
    drawn = generator.random(shape)
    return np.asarray(np.where(drawn < more, 1.0, np.where(drawn < more + less, -1.0, 0.0)))


DIFFERENCES: dict[str, tuple[Draw, float]] = {
    "five-seeds": (_seeds, 0.06),
    "few-differ": (lambda g, shape: _signs(g, shape, 0.1, 0.05), 0.05),
    "many-differ": (lambda g, shape: _signs(g, shape, 0.3, 0.2), 0.1),
    "small-differences": (lambda g, shape: g.normal(0.01, 0.05, shape), 0.01),
}


@pytest.mark.slow
@pytest.mark.parametrize("problems", [50, 120, 500])
@pytest.mark.parametrize("shape", DIFFERENCES)
def test_a_differences_interval_covers_the_truth_in_95_of_100_samples(shape: str, problems: int) -> None:
    draw, truth = DIFFERENCES[shape]
    columns = draw(np.random.default_rng(problems), (problems, 4000 if problems < 500 else 2500))
    low, high = percentiles(resampled_means(columns, 0), problems)
    assert 0.93 <= float(np.mean((low <= truth + 1e-12) & (truth - 1e-12 <= high))) <= 0.97


@pytest.mark.parametrize("problems", [1, 2, 3, 5, 9])
def test_few_problems_have_no_narrower_interval_than_wilsons(problems: int) -> None:
    shared = np.full((problems, 1), 0.625)
    (low,), (high,) = accuracy_interval(resampled_means(shared, 0), shared)
    z = stats.norm.ppf(0.975)
    center = (0.625 + z**2 / (2 * problems)) / (1 + z**2 / problems)
    arm = z / (1 + z**2 / problems) * np.sqrt(0.625 * 0.375 / problems + z**2 / (4 * problems**2))
    assert low <= center - arm + 1e-9 and high >= center + arm - 1e-9
