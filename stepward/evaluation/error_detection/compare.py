"""Two models on one benchmark of wrong steps: their figures, row by row on the same rows."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.error_detection.benchmarks import BIG_BENCH_MISTAKE, PRMBENCH, ErrorBenchmark
from stepward.evaluation.error_detection.evaluate import found_errors
from stepward.evaluation.error_detection.first_error import Threshold, harmonic
from stepward.evaluation.error_detection.predictions import Prediction
from stepward.evaluation.error_detection.prm_score import ALL_RIGHT, f1_of, row_kinds
from stepward.evaluation.stats.paired_metric import Metric, MetricDifference, compare_metrics
from stepward.evaluation.stats.strata import Stratum, Sums

Floats = NDArray[np.float64]
Sizes = Mapping[Stratum, int]

ERROR, NONE, ANY = "error", "none", "any"
"""Kinds of rows: with an error, without one, and where both are resampled together, as PRMBench's are."""


def compare_errors(
    benchmark: ErrorBenchmark,
    first: tuple[Sequence[Prediction], Threshold],
    second: tuple[Sequence[Prediction], Threshold],
    *,
    seed: int = 0,
) -> tuple[MetricDifference, ...]:
    """Compares two models' predictions, the benchmark's own figure first.

    Args:
        benchmark: Its rows.
        first: A model's predictions in the order of the rows, and where its wrong steps begin.
        second: The other's.
        seed: Decides the resamples and the exchanges.

    Raises:
        StepwardError: First errors alone are predicted for PRMBench, whose score counts every step.
    """
    one, other = (_numbers(benchmark, *model) for model in (first, second))
    strata: dict[Stratum, list[int]] = {}
    for place, row in enumerate(benchmark.rows):
        kind = ANY if benchmark.name == PRMBENCH else ERROR if row.first_error >= 0 else NONE
        strata.setdefault((row.part, kind), []).append(place)
    numbers = {key: (one[at], other[at]) for key, at in strata.items()}
    sizes = {key: len(at) for key, at in strata.items()}
    return compare_metrics(numbers, _figures(benchmark.name, sizes), seed=seed)


def _numbers(benchmark: ErrorBenchmark, predictions: Sequence[Prediction], threshold: Threshold) -> Floats:
    """What figures are made of [row, number]: whether the first error is found, or a row's steps by kind."""
    if benchmark.name != PRMBENCH:
        first = np.array([row.first_error for row in benchmark.rows], dtype=np.int64)
        return np.asarray(found_errors(benchmark, predictions, threshold) == first, dtype=np.float64)[:, None]
    scores = [one.scores for one in predictions if one.scores is not None]
    if threshold.value is None or len(scores) < len(predictions):
        raise StepwardError(
            "PRMBench's score counts every step: give step_scores, 0 or 1 where a critic says no more",
            code="missing",
            field="step_scores",
        )
    above = float(np.nextafter(threshold.value, np.inf))
    return row_kinds(scores, [row.labels for row in benchmark.rows], above)


def _figures(benchmark: str, sizes: Sizes) -> list[Metric]:
    parts = tuple(dict.fromkeys(part for part, _ in sizes))
    names = {PRMBENCH: "prm_score", BIG_BENCH_MISTAKE: "accuracy"}
    makers = {PRMBENCH: _prm_score, BIG_BENCH_MISTAKE: _accuracy}
    name, of = names.get(benchmark, "f1"), makers.get(benchmark, _f1)

    def figure(title: str, chosen: tuple[str, ...]) -> Metric:
        return Metric(title, tuple(key for key in sizes if key[0] in chosen), _made(of, sizes, chosen))

    def macro(sums: Sums) -> Floats:
        return np.asarray(np.mean([of(sums, sizes, (part,)) for part in parts], axis=0))

    found = [figure(name, parts)]
    if len(parts) > 1:
        if of is _f1:
            found.insert(0, Metric("macro_f1", tuple(sizes), macro))
        found += [figure(f"{name} of {part}", (part,)) for part in parts]
    return found


def _made(
    of: Callable[[Sums, Sizes, tuple[str, ...]], Floats], sizes: Sizes, parts: tuple[str, ...]
) -> Callable[[Sums], Floats]:
    return lambda sums: of(sums, sizes, parts)


def _f1(sums: Sums, sizes: Sizes, parts: tuple[str, ...]) -> Floats:
    by_kind = [[(part, kind) for part in parts if (part, kind) in sizes] for kind in (ERROR, NONE)]
    if not all(by_kind):
        return np.full(len(next(iter(sums.values()))), np.nan)
    return harmonic(*(_share(sums, sizes, keys) for keys in by_kind))


def _accuracy(sums: Sums, sizes: Sizes, parts: tuple[str, ...]) -> Floats:
    return _share(sums, sizes, [key for key in sizes if key[0] in parts])


def _share(sums: Sums, sizes: Sizes, keys: Sequence[Stratum]) -> Floats:
    return np.asarray(np.sum([sums[key][:, 0] for key in keys], axis=0) / sum(sizes[key] for key in keys))


def _prm_score(sums: Sums, sizes: Sizes, parts: tuple[str, ...]) -> Floats:
    steps = np.sum([sums[key] for key in sizes if key[0] in parts], axis=0)
    wrong = steps[:, 1] + steps[:, 2]
    both = f1_of(steps)
    return np.asarray(both[:, 1] if parts == (ALL_RIGHT,) and not wrong.any() else both.mean(axis=1))
