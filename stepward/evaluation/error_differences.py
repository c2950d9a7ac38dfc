"""Two models on one benchmark of wrong steps: by how much their figures differ, row by row on the same rows.

F1 and PRMScore are no means of rows, so neither a mean's interval nor a sign-flip test is at hand. Their interval is a
paired bootstrap: the same rows are drawn for both models, those with and without an error apart, by category. p is by
approximate randomisation (Noreen 1989; Yeh 2000): if the models can't be told apart, what they said of a row might as
well be exchanged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.error_benchmarks import BIG_BENCH_MISTAKE, PRMBENCH, ErrorBenchmark
from stepward.evaluation.finding_errors import found_errors
from stepward.evaluation.first_errors import Threshold, harmonic
from stepward.evaluation.predictions import Prediction
from stepward.evaluation.row_intervals import limits, resampled_sums
from stepward.evaluation.step_errors import ALL_RIGHT, f1_of, row_kinds

Floats = NDArray[np.float64]
Sums = Mapping[tuple[str, bool], Floats]
"""By part, and whether its rows have an error: sums over rows [draw, number]."""

SWAPS = 10_000
_EQUAL = 1e-9


@dataclass(frozen=True, slots=True)
class ErrorDifference:
    """One figure of two models.

    Attributes:
        figure: Which: `f1`, `macro_f1`, `accuracy`, `prm_score`, or one of these of a part, such as `f1 of math`.
        rows: How many rows it is of.
        first: The first model's, in [0, 1].
        second: The other's.
        mean: First less second.
        low: Lower end of the difference's 95% interval; None where the figure is often undefined in resamples.
        high: Upper end.
        p: How likely so large a difference is, either way, if what the models said of a row may be exchanged.
    """

    figure: str
    rows: int
    first: float
    second: float
    mean: float
    low: float | None
    high: float | None
    p: float


def compare_errors(
    benchmark: ErrorBenchmark,
    first: tuple[Sequence[Prediction], Threshold],
    second: tuple[Sequence[Prediction], Threshold],
    *,
    seed: int = 0,
) -> tuple[ErrorDifference, ...]:
    """Compares two models' predictions, the benchmark's own figure first.

    Args:
        benchmark: Its rows.
        first: A model's predictions in the order of the rows, and where its wrong steps begin.
        second: The other's.
        seed: Decides the resamples and the exchanges.

    Raises:
        StepwardError: First errors alone are predicted for PRMBench, whose score counts every step.
    """
    models = [_numbers(benchmark, *one) for one in (first, second)]
    strata: dict[tuple[str, bool], list[int]] = {}
    steps = benchmark.name == PRMBENCH
    for place, row in enumerate(benchmark.rows):
        strata.setdefault((row.part, not steps and row.first_error >= 0), []).append(place)
    own = {key: tuple(model[at] for model in models) for key, at in strata.items()}
    resampled = _resampled(own, seed)
    exchanged = _exchanged(own, seed)
    sizes = {key: len(at) for key, at in strata.items()}
    found = []
    for name, parts, figure in _figures(benchmark.name, sizes):
        values = [figure({key: pair[which].sum(axis=0)[None] for key, pair in own.items()}) for which in (0, 1)]
        if np.isnan(values).any():
            continue
        first_value, second_value = (float(one[0]) for one in values)
        drawn, swapped = (figure(one) - figure(other) for one, other in (resampled, exchanged))
        low, high = limits(drawn)
        mean = first_value - second_value
        as_far = np.abs(swapped[np.isfinite(swapped)]) >= abs(mean) - _EQUAL
        found.append(
            ErrorDifference(
                name, sum(size for (part, _), size in sizes.items() if part in parts), first_value, second_value, mean,
                low, high, float((1 + as_far.sum()) / (1 + len(as_far))),
            )
        )  # fmt: skip
    return tuple(found)


def _numbers(benchmark: ErrorBenchmark, predictions: Sequence[Prediction], threshold: Threshold) -> Floats:
    """What figures are made of [row, number]: whether the first error is found, or a row's steps by kind."""
    if benchmark.name != PRMBENCH:
        first = np.array([row.first_error for row in benchmark.rows], dtype=np.int64)
        return np.asarray(found_errors(benchmark, predictions, threshold) == first, dtype=np.float64)[:, None]
    scores = [one.scores for one in predictions if one.scores is not None]
    if threshold.value is None or len(scores) < len(predictions):
        raise StepwardError("PRMBench's score counts every step: give step_scores, 0 or 1 where a critic says no more")
    above = float(np.nextafter(threshold.value, np.inf))
    return row_kinds(scores, [row.labels for row in benchmark.rows], above)


Pairs = Mapping[tuple[str, bool], tuple[Floats, ...]]


def _resampled(own: Pairs, seed: int) -> tuple[Sums, Sums]:
    """Both models' sums in the same resamples of rows."""
    drawn = {key: resampled_sums(np.hstack(pair), seed + place) for place, (key, pair) in enumerate(own.items())}
    half = next(iter(own.values()))[0].shape[1]
    return {key: one[:, :half] for key, one in drawn.items()}, {key: one[:, half:] for key, one in drawn.items()}


def _exchanged(own: Pairs, seed: int) -> tuple[Sums, Sums]:
    """Both models' sums where what they said of each row is exchanged by chance."""
    generator = np.random.default_rng([seed, SWAPS])
    first, second = {}, {}
    for key, (one, other) in own.items():
        kinds, counts = np.unique(other - one, axis=0, return_counts=True)
        moved = generator.binomial(counts, 0.5, size=(SWAPS, len(counts))) @ kinds
        first[key], second[key] = one.sum(axis=0) + moved, other.sum(axis=0) - moved
    return first, second


Figure = tuple[str, tuple[str, ...], Callable[[Sums], Floats]]
"""A figure's name, the parts it is of, and what makes it of the rows' sums [draw]; NaN where undefined."""


def _figures(benchmark: str, sizes: Mapping[tuple[str, bool], int]) -> list[Figure]:
    parts = tuple(dict.fromkeys(part for part, _ in sizes))
    names = {PRMBENCH: "prm_score", BIG_BENCH_MISTAKE: "accuracy"}
    makers = {PRMBENCH: _prm_score, BIG_BENCH_MISTAKE: _accuracy}
    name, of = names.get(benchmark, "f1"), makers.get(benchmark, _f1)

    def figure(chosen: tuple[str, ...]) -> Callable[[Sums], Floats]:
        return lambda sums: of(sums, sizes, chosen)

    def macro(sums: Sums) -> Floats:
        return np.asarray(np.mean([of(sums, sizes, (part,)) for part in parts], axis=0))

    found: list[Figure] = [(name, parts, figure(parts))]
    if len(parts) > 1:
        if of is _f1:
            found.insert(0, ("macro_f1", parts, macro))
        found += [(f"{name} of {part}", (part,), figure((part,))) for part in parts]
    return found


def _f1(sums: Sums, sizes: Mapping[tuple[str, bool], int], parts: tuple[str, ...]) -> Floats:
    by_kind = [[(part, erring) for part in parts if (part, erring) in sizes] for erring in (True, False)]
    if not all(by_kind):
        return np.full(len(next(iter(sums.values()))), np.nan)
    return harmonic(*(_share(sums, sizes, keys) for keys in by_kind))


def _accuracy(sums: Sums, sizes: Mapping[tuple[str, bool], int], parts: tuple[str, ...]) -> Floats:
    return _share(sums, sizes, [key for key in sizes if key[0] in parts])


def _share(sums: Sums, sizes: Mapping[tuple[str, bool], int], keys: Sequence[tuple[str, bool]]) -> Floats:
    return np.asarray(np.sum([sums[key][:, 0] for key in keys], axis=0) / sum(sizes[key] for key in keys))


def _prm_score(sums: Sums, sizes: Mapping[tuple[str, bool], int], parts: tuple[str, ...]) -> Floats:
    steps = np.sum([sums[key] for key in sizes if key[0] in parts], axis=0)
    wrong = steps[:, 1] + steps[:, 2]
    both = f1_of(steps)
    return np.asarray(both[:, 1] if parts == (ALL_RIGHT,) and not wrong.any() else both.mean(axis=1))
