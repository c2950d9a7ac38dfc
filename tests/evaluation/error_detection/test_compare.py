"""Two models' figures on one benchmark, against the figures of each alone, all exchanges, and simulation."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stepward.evaluation.error_detection.benchmarks import (
    BIG_BENCH_MISTAKE,
    PRMBENCH,
    PROCESSBENCH,
    ErrorBenchmark,
    JudgedRow,
)
from stepward.evaluation.error_detection.compare import compare_errors
from stepward.evaluation.error_detection.evaluate import measure_errors
from stepward.evaluation.error_detection.first_error import Threshold, first_below
from stepward.evaluation.error_detection.predictions import Prediction
from stepward.evaluation.stats.paired_metric import SWAPS

HALF = Threshold(0.5, "given")
PARTS = {PROCESSBENCH: ("gsm8k", "math"), PRMBENCH: ("circular", "multi_solutions"), BIG_BENCH_MISTAKE: ("sorting",)}


def rows_of(name: str, count: int, generator: np.random.Generator) -> ErrorBenchmark:
    """Rows of three steps, half of them with an error, which no row of `multi_solutions` has."""
    rows = []
    for number in range(count):
        part = PARTS[name][number % len(PARTS[name])]
        labels: list[float | None] = [1.0] * 3
        if generator.random() < 0.5 and part != "multi_solutions":
            at = int(generator.integers(3))
            labels = [*labels[:at], 0.0, *([1.0] if name == PRMBENCH else [None]) * (2 - at)]
        rows.append(JudgedRow(Path("x"), number + 1, (f"{number}",), part, tuple(labels), True, None, 0))
    return ErrorBenchmark(name, tuple(rows), tuple(range(count)), False)


def said_of(benchmark: ErrorBenchmark, skill: float, generator: np.random.Generator) -> list[Prediction]:
    """Scores that lean to the labels, the more the greater the skill."""
    found = []
    for row in benchmark.rows:
        leaning = [0.5 if label is None else label for label in row.labels]
        scores = tuple(float(np.clip(skill * label + (1 - skill) * generator.random(), 0, 1)) for label in leaning)
        found.append(Prediction(row.names[0], row.number, scores, None, None))
    return found


@pytest.mark.parametrize("name", [PROCESSBENCH, PRMBENCH, BIG_BENCH_MISTAKE])
def test_figures_are_those_of_each_model_alone(name: str) -> None:
    generator = np.random.default_rng(3)
    benchmark = rows_of(name, 60, generator)
    both = [said_of(benchmark, skill, generator) for skill in (0.4, 0.2)]
    alone = [measure_errors(benchmark, one, HALF) for one in both]
    found = {one.figure: one for one in compare_errors(benchmark, (both[0], HALF), (both[1], HALF))}
    expected = {
        PROCESSBENCH: [("macro_f1", lambda one: one.macro.value), ("f1", lambda one: one.overall.f1)]
        + [(f"f1 of {part}", lambda one, at=at: one.parts[at].f1) for at, part in enumerate(PARTS[name])],
        PRMBENCH: [("prm_score", lambda one: one.prm_score.prm_score)]
        + [
            (f"prm_score of {part}", lambda one, at=at: one.categories[at].prm_score)
            for at, part in enumerate(PARTS[name])
        ],
        BIG_BENCH_MISTAKE: [("accuracy", lambda one: one.overall.accuracy)],
    }[name]  # fmt: skip
    assert list(found) == [figure for figure, _ in expected]
    for figure, of in expected:
        one = found[figure]
        assert (one.first, one.second) == (pytest.approx(of(alone[0])), pytest.approx(of(alone[1])))
        assert one.mean == pytest.approx(one.first - one.second)
        assert one.low is not None and one.high is not None and one.low <= one.mean <= one.high
        assert 0 < one.p <= 1


def test_a_model_does_not_differ_from_itself() -> None:
    generator = np.random.default_rng(5)
    benchmark = rows_of(PROCESSBENCH, 40, generator)
    given = said_of(benchmark, 0.3, generator), HALF
    for one in compare_errors(benchmark, given, given):
        assert (one.mean, one.p, one.p_holm, one.direction) == (0, 1, 1, 0)
        # Rows that happen not to differ are no certainty that none would.
        assert one.low is not None and one.high is not None and -0.15 < one.low == -one.high < 0


def f1s_of(truth: NDArray[np.int64], parts: NDArray[np.str_], hit: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Macro F1 and F1 of all rows, written out."""
    found = []
    for chosen in (*(parts == part for part in PARTS[PROCESSBENCH]), parts == parts):
        one, other = hit[chosen & (truth >= 0)].mean(), hit[chosen & (truth < 0)].mean()
        found.append(2 * one * other / (one + other) if one + other else 0.0)
    return np.array([np.mean(found[:-1]), found[-1]])


def test_p_is_the_share_of_all_exchanges_that_differ_as_much() -> None:
    generator = np.random.default_rng(8)
    benchmark = rows_of(PROCESSBENCH, 10, generator)
    both = [said_of(benchmark, skill, generator) for skill in (0.4, 0.1)]
    found = {one.figure: one for one in compare_errors(benchmark, (both[0], HALF), (both[1], HALF))}
    truth = np.array([row.first_error for row in benchmark.rows])
    parts = np.array([row.part for row in benchmark.rows])
    hits = [first_below([one.scores or () for one in model], 0.5) == truth for model in both]
    differences = np.array(
        [f1s_of(truth, parts, np.where(swaps, *hits)) - f1s_of(truth, parts, np.where(swaps, *hits[::-1]))
         for swaps in product((True, False), repeat=10)]
    )  # fmt: skip
    for place, name in enumerate(("macro_f1", "f1")):
        exact = float(np.mean(np.abs(differences[:, place]) >= abs(differences[0, place]) - 1e-9))
        assert 0.02 < exact < 1
        assert found[name].p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / SWAPS) + 1e-3)


@pytest.mark.slow
def test_equal_models_seldom_differ_and_the_interval_covers_the_difference() -> None:
    generator = np.random.default_rng(13)
    significant = covered = 0
    trials = 300
    for trial in range(trials):
        benchmark = rows_of(PROCESSBENCH, 120, generator)
        both = [said_of(benchmark, 0.3, generator) for _ in range(2)]
        one = compare_errors(benchmark, (both[0], HALF), (both[1], HALF), seed=trial)[0]
        significant += one.p <= 0.05
        covered += one.low is not None and one.high is not None and one.low <= 0 <= one.high
    assert 0.015 <= significant / trials <= 0.09
    assert 0.91 <= covered / trials <= 0.985
