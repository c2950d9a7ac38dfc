"""How well wrong steps are found: ProcessBench's F1, BIG-Bench-Mistake's accuracy, and what lies behind them.

A step is taken for wrong if its score is below the threshold; the first such step is the predicted first error. All
intervals are 95% bootstrap intervals over rows; for F1, rows with and without an error are resampled apart, so that no
resample lacks one of them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.labels.noise import CASES, case_of
from stepward.evaluation.stats.bootstrap import limits, resampled_shares, share_limits
from stepward.labeling.filters import NO_ERROR

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Scores = Sequence[Sequence[float]]

UNREAD = -2
"""Stands for a prediction without a verdict: right of no row."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where wrong steps begin.

    Attributes:
        value: A step is taken for wrong if its score is below this; None for predictions without scores.
        source: `given`, `default`, or what it was chosen on.
        rows: How many rows it was chosen on; 0 where it was not chosen.
        f1: The F1 on those rows, which are no test of it; None where it was not chosen.
    """

    value: float | None
    source: str
    rows: int = 0
    f1: float | None = None


@dataclass(frozen=True, slots=True)
class FirstErrorMetrics:
    """How often the first error, or that there is none, is found.

    Attributes:
        part: The benchmark's part.
        rows: Rows.
        rows_with_error: Those with an error.
        rows_without_error: Those without.
        accuracy: Share of all rows that are right.
        accuracy_low: The lower end of its 95% interval.
        accuracy_high: The upper end.
        with_error: Share of the rows with an error whose first error is found; None if there are no such.
        without_error: Share of the rows without an error in which none is found; None if there are no such.
        f1: The harmonic mean of both, 0 if both are 0; None if either is None.
        f1_low: The lower end of its 95% interval.
        f1_high: The upper end.
        cases: Rows by case: `exact`, `none` (both right), `early`, `late`, `missed`, `invented`, `unread`.
    """

    part: str
    rows: int
    rows_with_error: int
    rows_without_error: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    with_error: float | None
    without_error: float | None
    f1: float | None
    f1_low: float | None
    f1_high: float | None
    cases: dict[str, int]


@dataclass(frozen=True, slots=True)
class MeanWithInterval:
    """A mean over parts, with its 95% interval; all None where a part has no value.

    Attributes:
        value: The mean.
        low: The lower end.
        high: The upper end.
    """

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class LowestScorePosition:
    """Where a solution's lowest score lies beside its first error; tied steps share the place equally.

    Attributes:
        rows: Rows with an error.
        at: Share of them whose lowest score is at the first error.
        before: Share before it.
        after: Share after it.
        position: Mean place of the lowest score in them, from 0 for the first step to 1 for the last.
        position_of_error: Mean place of the first error, likewise.
        position_without_error: Mean place of the lowest score in rows without an error; None if there are none.
    """

    rows: int
    at: float
    before: float
    after: float
    position: float
    position_of_error: float
    position_without_error: float | None


@dataclass(frozen=True, slots=True)
class CorrectAnswerWrongSteps:
    """Solutions whose final answer is right though a step is wrong.

    Attributes:
        rows: How many.
        share: Of the solutions with a right final answer.
        found: Share of them whose first error is found.
        found_low: The lower end of its 95% interval.
        found_high: The upper end.
        flagged: Share of them in which some error, at whatever step, is found.
    """

    rows: int
    share: float
    found: float
    found_low: float
    found_high: float
    flagged: float


def first_below(scores: Scores, threshold: float) -> Whole:
    """The first step [row], from 0, whose score is below the threshold; -1 where none is."""
    found = [next((at for at, score in enumerate(one) if score < threshold), NO_ERROR) for one in scores]
    return np.array(found, dtype=np.int64)


def choose_threshold(scores: Scores, first: Sequence[int]) -> tuple[float, float]:
    """The threshold of the highest first-error F1, found exactly, and that F1.

    Between two neighbouring scores nothing changes with the threshold, so the thresholds to try are one for each
    distinct score: the middle between it and the next lower one (or 0). Of equally good ones it is the one nearest to
    0.5, then the lower one.

    Args:
        scores: Step scores in [0, 1] [row][step].
        first: The first errors [row], from 0; -1 for none.

    Raises:
        StepwardError: All rows have an error, or none has.
    """
    truth = np.asarray(first)
    erring = truth != NO_ERROR
    if erring.all() or not erring.any():
        raise StepwardError(
            f"a threshold can't be chosen on {len(truth):,} rows, {'all' if erring.any() else 'none'} with an error: "
            "F1 needs rows of both kinds; give a threshold (--threshold)",
            code="too_few",
            field="--threshold",
        )
    levels = np.unique(np.concatenate([np.asarray(one) for one in scores]))
    # A row is right for thresholds above `above` and up to `to`: at first its error, and no earlier step, falls below.
    above = np.array([one[at] if at >= 0 else -np.inf for one, at in zip(scores, truth, strict=True)])
    to = np.array([min(one[:at] if at >= 0 else one, default=np.inf) for one, at in zip(scores, truth, strict=True)])
    shares = []
    for kind in (erring, ~erring):
        low, high = above[kind], to[kind]
        begun = np.sort(low[low < high])
        ended = np.sort(high[low < high])
        right = np.searchsorted(begun, levels, side="left") - np.searchsorted(ended, levels, side="left")
        shares.append(right / kind.sum())
    f1 = harmonic(*shares)
    best = levels[f1 == f1.max()]
    lower = np.concatenate([[0.0], levels])[np.searchsorted(levels, best)]
    middle = (best + lower) / 2
    middle = np.where(middle > lower, middle, best)  # neighbours so near that their middle is the lower one
    chosen = middle[np.lexsort((middle, np.abs(middle - 0.5)))[0]]
    return float(chosen), float(f1.max())


def harmonic(one: Floats, other: Floats) -> Floats:
    """The harmonic mean, 0 where both are 0."""
    total = one + other
    return np.divide(2 * one * other, total, out=np.zeros_like(total), where=total > 0)


def locate(part: str, found: Whole, first: Whole, seed: int) -> FirstErrorMetrics:
    """Measures predicted first errors against the true ones.

    Args:
        part: The part's name.
        found: Predicted first errors [row], from 0; -1 for none, `UNREAD` without a verdict.
        first: True ones [row].
        seed: Decides the resamples.
    """
    right, erring = found == first, first != NO_ERROR
    cases: Counter[str] = Counter()
    for ours, theirs in zip(found.tolist(), first.tolist(), strict=True):
        cases["unread" if ours == UNREAD else case_of(ours, theirs)] += 1
    low, high = share_limits(int(right.sum()), len(right), np.random.default_rng([seed, 0]))
    with_error, without_error = _share(right[erring]), _share(right[~erring])
    f1 = f1_low = f1_high = None
    if with_error is not None and without_error is not None:
        f1 = float(harmonic(np.array(with_error), np.array(without_error)))
        f1_low, f1_high = _limits(_resampled_f1(found, first, np.random.default_rng([seed, 1])))
    return FirstErrorMetrics(
        part, len(right), int(erring.sum()), int((~erring).sum()), float(right.mean()), low, high,
        with_error, without_error, f1, f1_low, f1_high, {case: cases[case] for case in (*CASES, "unread")},
    )  # fmt: skip


def mean_f1(parts: Sequence[tuple[Whole, Whole]], weighted: bool, seed: int) -> MeanWithInterval:
    """The mean of the parts' F1: each part alike (macro), or each by its rows (weighted).

    Args:
        parts: Predicted and true first errors of each part.
        weighted: Whether parts count by their rows.
        seed: Decides the resamples.
    """
    if any((first == NO_ERROR).all() or not (first == NO_ERROR).any() for _, first in parts):
        return MeanWithInterval(None, None, None)
    weights = np.array([len(first) if weighted else 1 for _, first in parts], dtype=np.float64)
    weights /= weights.sum()
    values = [
        harmonic(np.array(_share((found == first)[first >= 0])), np.array(_share((found == first)[first < 0])))
        for found, first in parts
    ]
    generator = np.random.default_rng(seed)
    drawn = np.stack([_resampled_f1(found, first, generator) for found, first in parts])
    low, high = _limits(weights @ drawn)
    return MeanWithInterval(float(weights @ np.array(values)), low, high)


def minimum(scores: Scores, first: Sequence[int]) -> LowestScorePosition | None:
    """Where the lowest scores lie; None where no row has an error."""
    at = before = after = position = position_of_error = without = 0.0
    rows = 0
    for one, error in zip(scores, first, strict=True):
        lowest = np.flatnonzero(np.asarray(one) == min(one))
        place = float(lowest.mean()) / max(len(one) - 1, 1)
        if error == NO_ERROR:
            without += place
            continue
        rows += 1
        at += float((lowest == error).mean())
        before += float((lowest < error).mean())
        after += float((lowest > error).mean())
        position += place
        position_of_error += error / max(len(one) - 1, 1)
    if not rows:
        return None
    right = len(first) - rows
    return LowestScorePosition(
        rows, at / rows, before / rows, after / rows, position / rows, position_of_error / rows,
        without / right if right else None,
    )  # fmt: skip


def wrong_process(
    found: Whole, first: Whole, correct: Sequence[bool | None], seed: int
) -> CorrectAnswerWrongSteps | None:
    """The slice of right answers by wrong steps; None where there are none, or grades are not known."""
    good = np.array([one is True for one in correct])
    chosen = good & (first != NO_ERROR)
    rows = int(chosen.sum())
    if not rows:
        return None
    right = (found == first)[chosen]
    low, high = share_limits(int(right.sum()), rows, np.random.default_rng(seed))
    return CorrectAnswerWrongSteps(
        rows, rows / int(good.sum()), float(right.mean()), low, high, float((found[chosen] >= 0).mean())
    )


def _resampled_f1(found: Whole, first: Whole, generator: np.random.Generator) -> Floats:
    right, erring = found == first, first != NO_ERROR
    drawn = [resampled_shares(int(right[kind].sum()), int(kind.sum()), generator) for kind in (erring, ~erring)]
    return harmonic(*drawn)


def _share(right: NDArray[np.bool_]) -> float | None:
    return float(right.mean()) if len(right) else None


def _limits(values: Floats) -> tuple[float, float]:
    """The 95% interval of a figure that is defined in every resample."""
    low, high = limits(values)
    assert low is not None and high is not None
    return low, high
