"""Intervals of step figures: what problems add by hand, and how often the truth is covered, by simulation."""

from collections.abc import Callable

import numpy as np
import pytest

from stepward.evaluation.error_detection.first_error import harmonic
from stepward.evaluation.stats.step_intervals import auc_by_problem, f1_by_problem, interval, mean_by_problem
from stepward.metrics import auc

OWNERS = np.repeat(np.arange(40), 5)


def _steps(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Scores and whether steps are right, alike within a problem."""
    ease = random.normal(0, 0.7, 40)[OWNERS]
    right = random.random(200) < 1 / (1 + np.exp(-ease))
    return 1 / (1 + np.exp(-(ease + right + random.normal(0, 1, 200)))), right


def _auc(scores: np.ndarray, right: np.ndarray, owners: np.ndarray) -> float:
    found = auc(scores, right.astype(float))
    assert found is not None
    return found


def _f1(scores: np.ndarray, right: np.ndarray, owners: np.ndarray) -> float:
    hits = scores > 0.5
    return float(harmonic(np.array(hits[right].mean()), np.array(hits[~right].mean())))


FIGURES = [
    (_auc, auc_by_problem),
    (_f1, lambda scores, right, owners, problems: f1_by_problem(scores > 0.5, right, owners, problems)),
    (
        lambda scores, right, owners: float(((scores - right) ** 2).mean()),
        lambda scores, right, owners, problems: mean_by_problem((scores - right) ** 2, owners, problems),
    ),
]


@pytest.mark.parametrize(("figure", "by_problem"), FIGURES, ids=["auc", "f1", "brier"])
def test_what_problems_add_is_the_figure_and_its_jackknife(
    figure: Callable[..., float], by_problem: Callable[..., np.ndarray]
) -> None:
    scores, right = _steps(np.random.default_rng(0))
    found, whole = by_problem(scores, right, OWNERS, 40), figure(scores, right, OWNERS)
    assert found.mean() == pytest.approx(whole)
    without = [figure(scores[one != OWNERS], right[one != OWNERS], OWNERS) for one in range(40)]
    assert np.corrcoef(found, whole - np.array(without))[0, 1] > 0.99
    assert found.std(ddof=1) / np.sqrt(40) == pytest.approx(np.std(without) * np.sqrt(39), rel=0.1)


@pytest.mark.parametrize(("figure", "by_problem"), FIGURES, ids=["auc", "f1", "brier"])
def test_the_truth_is_covered(figure: Callable[..., float], by_problem: Callable[..., np.ndarray]) -> None:
    random = np.random.default_rng(1)
    many = [figure(*_steps(random), OWNERS) for _ in range(1000)]
    ends = [interval([by_problem(*_steps(random), OWNERS, 40)]) for _ in range(300)]
    covered = np.mean([low <= np.mean(many) <= high for low, high in ends if low is not None and high is not None])
    assert 0.90 <= covered <= 0.99  # of 300 samples


def test_seeds_that_differ_widen_it_and_few_problems_have_none() -> None:
    values = np.random.default_rng(0).random(50) / 10 + 0.45
    alone, several = interval([values]), interval([values - 0.2, values, values + 0.2])
    assert alone[0] is not None and alone[1] is not None and several[0] is not None and several[1] is not None
    assert several[1] - several[0] > 5 * (alone[1] - alone[0])
    assert interval([values[:9]]) == interval([np.full(50, 0.5)]) == (None, None)
