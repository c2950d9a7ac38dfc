"""How sure figures over strata of few rows are: against the t interval, and by simulated coverage."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from stepward.evaluation.stats.paired_metric import Metric, MetricDifference, compare_metrics
from stepward.evaluation.stats.strata import Stratum, Sums, arm

Floats = NDArray[np.float64]


def _mean_of(sizes: dict[Stratum, int]) -> Metric:
    """The mean of strata's shares."""

    def of(sums: Sums) -> Floats:
        return np.asarray(np.mean([sums[key][:, 0] / sizes[key] for key in sizes], axis=0))

    return Metric("mean", tuple(sizes), of)


def test_many_rows_of_one_stratum_have_the_t_interval() -> None:
    rows = np.random.default_rng(0).normal(size=(400, 1))
    found = arm(lambda sums: sums["", ""][:, 0] / 400, {("", ""): rows})
    low, high = stats.t.interval(0.95, 399, 0, stats.sem(rows[:, 0]))
    assert found == pytest.approx((high - low) / 2, rel=3e-3)  # one row more differs


def test_one_row_in_all_tells_nothing() -> None:
    row = (np.array([[1.0]]), np.array([[0.0]]))
    (one,) = compare_metrics({("a", ""): row}, [_mean_of({("a", ""): 1})], seed=0)
    assert (one.mean, one.low, one.high, one.p) == (1, None, None, 1)


def test_a_few_rows_that_do_not_differ_are_no_certainty() -> None:
    few = (np.array([[1.0], [0.0], [1.0]]),) * 2
    (one,) = compare_metrics({("a", ""): few}, [_mean_of({("a", ""): 3})], seed=0)
    assert one.low is not None and one.high is not None and one.low < -0.1 and one.high > 0.1 and one.direction == 0


def _compared(generator: np.random.Generator, sizes: dict[Stratum, int], lead: float, seed: int) -> MetricDifference:
    """Two models on rows that are as hard for both, the first better by a lead."""
    numbers = {}
    for key, size in sizes.items():
        hard = generator.uniform(0.2, 0.8, size)[:, None]
        numbers[key] = (
            (generator.random((size, 1)) < hard + lead).astype(float),
            (generator.random((size, 1)) < hard).astype(float),
        )
    return compare_metrics(numbers, [_mean_of(sizes)], seed=seed)[0]


SIZES = {
    "ones": [1] * 40,
    "twos": [2] * 20,
    "few-twos": [2] * 6,
    "threes": [3] * 15,
    "uneven": [1] * 10 + [2] * 5 + [5] * 4 + [40],
    "one-alone": [1, 12, 30],
    "large": [120, 80],
}


def _coverage(name: str, trials: int) -> tuple[float, float]:
    """How often the interval holds the difference, and how often equal models are called different."""
    generator = np.random.default_rng([len(name), *map(ord, name[:3])])
    sizes = {(f"s{place}", ""): size for place, size in enumerate(SIZES[name])}
    covered = false = 0
    for trial in range(trials):
        found = _compared(generator, sizes, 0.15, trial)
        covered += found.low is not None and found.high is not None and found.low <= 0.15 <= found.high
        false += _compared(generator, sizes, 0.0, trial).direction != 0 if trial % 3 == 0 else 0
    return covered / trials, 3 * false / trials


@pytest.mark.parametrize("name", ["ones", "twos"])
def test_intervals_of_small_strata_cover(name: str) -> None:
    covered, false = _coverage(name, 60)
    assert covered >= 0.93 - 0.09 and false <= 0.06 + 0.16  # three standard errors of 60 and 20 samples


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_intervals_of_strata_of_any_size_cover_in_93_to_97_of_100(name: str) -> None:
    covered, false = _coverage(name, 1500)
    # A third of `one-alone`'s figure is one row, whose variance is that of other rows: the interval is rather wide.
    most = 1.0 if name == "one-alone" else 0.97
    assert 0.93 - 0.01 <= covered <= most + 0.01 and false <= 0.06 + 0.02
