"""What an evaluation of a reward model measures, from flat arrays; no torch, so that any scores can be measured.

Scores and targets come by mark, a scored step, with the solution that owns it. A step counts as right if its target is
above 0.5, as everywhere in Stepward, and is taken for right if its score is at least the threshold. What is undefined
is None, never NaN: each function says when. A score that is not a number is refused.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stepward.errors import StepwardError

Floats = NDArray[np.float64]

RIGHT_ABOVE = 0.5
"""A step is right if its target is above this."""

BINS = 15
"""Bins of the calibration error, as in Guo et al. (2017)."""

SURE = 1e-15
"""The least chance that a log loss takes a score for."""


class F1(NamedTuple):
    """F1 of both classes, each None if no step is of that class or taken for it; their mean, None if either is.

    Attributes:
        wrong: With wrong steps as the class to be found.
        right: With right steps.
        macro: The mean of both: PRMBench's PRMScore.
    """

    wrong: float | None
    right: float | None
    macro: float | None


class FirstError(NamedTuple):
    """How well first errors are found: ProcessBench's figures.

    Attributes:
        with_error: Share of the solutions with an error whose first error is found; None if there are no such.
        without_error: Share of the solutions without an error in which none is found; None if there are no such.
        f1: The harmonic mean of both, 0 if both are 0; None if either is None.
    """

    with_error: float | None
    without_error: float | None
    f1: float | None


def step_metrics(
    scores: ArrayLike,
    targets: ArrayLike,
    owners: ArrayLike,
    threshold: float = 0.5,
    weights: ArrayLike | None = None,
) -> dict[str, float | None]:
    """Every measure of step scores, under names that stay.

    Args:
        scores: `[mark]` in [0, 1].
        targets: `[mark]` in [0, 1].
        owners: `[mark]`: which solution a mark belongs to; steps in order within a solution.
        threshold: A score of at least this takes the step for right.
        weights: `[mark]`, at least 0; a mark of weight 0 has no label and is not looked at. 1 if not given.

    Returns:
        `accuracy`, `auc`, `f1_wrong`, `f1_right`, `f1_macro`, `first_error_f1`, `first_error_accuracy` (solutions with
        an error), `no_error_accuracy` (those without), `calibration_error`, `brier`, `mean_score`, `mean_target`.

    Raises:
        StepwardError: Arrays of different lengths, or a number out of its range.
    """
    values, wanted, heft = _marks(scores, targets, weights)
    owning = np.asarray(owners)
    _same_length("owners", owning, values)
    labelled = heft > 0
    values, wanted, heft, owning = values[labelled], wanted[labelled], heft[labelled], owning[labelled]
    by_class = f1(values, wanted, heft, threshold)
    first = first_error_f1(values, wanted, owning, threshold)
    return {
        "accuracy": accuracy(values, wanted, heft, threshold),
        "auc": auc(values, wanted, heft),
        "f1_wrong": by_class.wrong,
        "f1_right": by_class.right,
        "f1_macro": by_class.macro,
        "first_error_f1": first.f1,
        "first_error_accuracy": first.with_error,
        "no_error_accuracy": first.without_error,
        "calibration_error": calibration_error(values, wanted, heft),
        "brier": brier(values, wanted, heft),
        "mean_score": _mean(values, heft),
        "mean_target": _mean(wanted, heft),
    }


def pair_metrics(chosen: ArrayLike, rejected: ArrayLike) -> dict[str, float | None]:
    """Every measure of the rewards of preference pairs, under names that stay: `pair_accuracy` and `mean_margin`.

    Args:
        chosen: `[pair]` rewards of the preferred answers, any finite numbers.
        rejected: `[pair]` rewards of the others.

    Raises:
        StepwardError: Arrays of different lengths, or a reward that is not a number.
    """
    return {"pair_accuracy": pair_accuracy(chosen, rejected), "mean_margin": mean_margin(chosen, rejected)}


def accuracy(
    scores: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None, threshold: float = 0.5
) -> float | None:
    """The share of steps whose score is on the right side of the threshold; None without steps."""
    values, wanted, heft = _marks(scores, targets, weights)
    return _mean((values >= threshold) == (wanted > RIGHT_ABOVE), heft)


def auc(scores: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> float | None:
    """The chance that a right step scores above a wrong one, ties half: the area under the ROC curve.

    Mann and Whitney's rank statistic, over the steps of all solutions together. None if all steps are of one class.
    """
    values, wanted, heft = _marks(scores, targets, weights)
    right = wanted > RIGHT_ABOVE
    levels, level = np.unique(values, return_inverse=True)
    rights = np.bincount(level, weights=heft * right, minlength=len(levels))
    wrongs = np.bincount(level, weights=heft * ~right, minlength=len(levels))
    pairs = rights.sum() * wrongs.sum()
    return float(rights @ (np.cumsum(wrongs) - wrongs / 2) / pairs) if pairs else None


def f1(scores: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None, threshold: float = 0.5) -> F1:
    """F1 = 2 TP / (2 TP + FP + FN) of wrong and of right steps; see `F1` for what is None."""
    values, wanted, heft = _marks(scores, targets, weights)
    taken, right = values >= threshold, wanted > RIGHT_ABOVE
    for_wrong, for_right = _f1(~taken, ~right, heft), _f1(taken, right, heft)
    macro = None if for_wrong is None or for_right is None else (for_wrong + for_right) / 2
    return F1(for_wrong, for_right, macro)


def first_error_f1(scores: ArrayLike, targets: ArrayLike, owners: ArrayLike, threshold: float = 0.5) -> FirstError:
    """ProcessBench's F1 (Zheng et al. 2024): the first error is taken to be the first step scored below the threshold.

    Args:
        scores: `[mark]` in [0, 1].
        targets: `[mark]` in [0, 1]. Only steps with a label; those after the first error change nothing.
        owners: `[mark]`: which solution a mark belongs to; steps in order within a solution.
        threshold: ProcessBench fixes it on its GSM8K part.
    """
    values, wanted, _ = _marks(scores, targets, None)
    owning = np.asarray(owners)
    _same_length("owners", owning, values)
    solutions, solution = np.unique(owning, return_inverse=True)
    found = _first(values < threshold, solution, len(solutions))
    actual = _first(wanted <= RIGHT_ABOVE, solution, len(solutions))
    good, erring = found == actual, actual < len(values)
    with_error, without_error = _mean(good, erring), _mean(good, ~erring)
    if with_error is None or without_error is None:
        return FirstError(with_error, without_error, None)
    total = with_error + without_error
    return FirstError(with_error, without_error, 2 * with_error * without_error / total if total else 0.0)


def calibration_error(
    scores: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None, bins: int = BINS
) -> float | None:
    """The expected calibration error: how far a bin's mean score lies from its mean target, on average over steps.

    Naeini et al. (2015), Guo et al. (2017), with bins of equal width, each with its lower edge, the last with both.
    Targets stay soft. None without steps.
    """
    values, wanted, heft = _marks(scores, targets, weights)
    if not heft.sum():
        return None
    which = bin_of(values, bins)
    # A bin's share times the gap of its means is the gap of its sums over the whole weight.
    gaps = np.bincount(which, weights=heft * (wanted - values), minlength=bins)
    return float(np.abs(gaps).sum() / heft.sum())


def bin_of(values: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """The bin, from 0, of values in [0, 1] among bins of equal width, each with its lower edge, the last with both."""
    return np.minimum((values * bins).astype(np.int64), bins - 1)


def brier(scores: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> float | None:
    """The mean squared difference of score and target (Brier 1950); targets stay soft. None without steps."""
    values, wanted, heft = _marks(scores, targets, weights)
    return _mean((values - wanted) ** 2, heft)


def log_loss(scores: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> float | None:
    """The mean cross-entropy of score and target in nats; targets stay soft. None without steps.

    A score of 0 or 1 is taken for `SURE` or 1 - `SURE`: one that is sure and wrong costs 34.5, not infinity.
    """
    values, wanted, heft = _marks(scores, targets, weights)
    return _mean(cross_entropy(values, wanted), heft)


def cross_entropy(values: Floats, targets: Floats) -> Floats:
    """The cross-entropy of each score in [0, 1] and its target, in nats; see `log_loss`."""
    chance = np.clip(values, SURE, 1 - SURE)
    return np.asarray(-(targets * np.log(chance) + (1 - targets) * np.log1p(-chance)))


def pair_accuracy(chosen: ArrayLike, rejected: ArrayLike) -> float | None:
    """The share of pairs whose chosen answer has the higher reward, ties half; None without pairs."""
    margins = _margins(chosen, rejected)
    return _mean((np.sign(margins) + 1) / 2, np.ones_like(margins))


def mean_margin(chosen: ArrayLike, rejected: ArrayLike) -> float | None:
    """The mean of chosen minus rejected reward, in logits; None without pairs."""
    margins = _margins(chosen, rejected)
    return _mean(margins, np.ones_like(margins))


def best_of_n(scores: ArrayLike, problems: ArrayLike, correct: ArrayLike) -> float | None:
    """The share of problems whose best-scored solution is right; solutions that tie share the choice.

    N is however many solutions a problem has. None without problems.

    Args:
        scores: `[solution]`, any finite numbers, one a solution: its steps' scores aggregated.
        problems: `[solution]`: which problem a solution belongs to.
        correct: `[solution]` booleans: whether its answer is right.

    Raises:
        StepwardError: Arrays of different lengths, or a score that is not a number.
    """
    values, belongs, good = _numbers("scores", scores), np.asarray(problems), np.asarray(correct, dtype=np.bool_)
    _same_length("problems", belongs, values)
    _same_length("correct", good, values)
    if not len(values):
        return None
    names, problem = np.unique(belongs, return_inverse=True)
    highest = np.full(len(names), -np.inf)
    np.maximum.at(highest, problem, values)
    best = values == highest[problem]
    chance = np.bincount(problem, weights=best & good) / np.bincount(problem, weights=best)
    return float(chance.mean())


def _marks(scores: ArrayLike, targets: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    """Scores, targets and weights `[mark]`, looked through."""
    values, wanted = _numbers("scores", scores, 0.0, 1.0), _numbers("targets", targets, 0.0, 1.0)
    heft = np.ones_like(values) if weights is None else _numbers("weights", weights, 0.0)
    _same_length("targets", wanted, values)
    _same_length("weights", heft, values)
    return values, wanted, heft


def _margins(chosen: ArrayLike, rejected: ArrayLike) -> Floats:
    better, worse = _numbers("chosen", chosen), _numbers("rejected", rejected)
    _same_length("rejected", worse, better)
    return better - worse


def _numbers(name: str, values: ArrayLike, low: float = -np.inf, high: float = np.inf) -> Floats:
    """Values as float64, refused if one is not finite or out of range."""
    numbers = np.asarray(values, dtype=np.float64)
    bad = np.flatnonzero(~(np.isfinite(numbers) & (numbers >= low) & (numbers <= high)))
    if len(bad):
        bounds = "" if low == -np.inf else f" of at least {low:g}" if high == np.inf else f" from {low:g} to {high:g}"
        raise StepwardError(
            f"{name}[{bad[0]}] is {numbers[bad[0]]}: expected a finite number{bounds}",
            code="bad_value" if np.isfinite(numbers[bad[0]]) else "not_finite",
            field=name,
        )
    return numbers


def _same_length(name: str, values: NDArray[np.generic], others: Floats) -> None:
    if values.shape != others.shape:
        raise StepwardError(
            f"{name} has shape {values.shape}: expected {others.shape}, one for each score", code="mismatch", field=name
        )


def _mean(
    values: NDArray[np.float64] | NDArray[np.bool_], weights: NDArray[np.float64] | NDArray[np.bool_]
) -> float | None:
    """The weighted mean, or None if nothing has weight."""
    total = float(weights.sum())
    return float((values * weights).sum() / total) if total else None


def _f1(taken: NDArray[np.bool_], actual: NDArray[np.bool_], weights: Floats) -> float | None:
    hits, either = weights[taken & actual].sum(), weights[taken].sum() + weights[actual].sum()
    return float(2 * hits / either) if either else None


def _first(marked: NDArray[np.bool_], solution: NDArray[np.intp], solutions: int) -> NDArray[np.int64]:
    """The index of each solution's first marked step among all steps; the number of steps where none is marked."""
    first = np.full(solutions, len(marked))
    np.minimum.at(first, solution[marked], np.flatnonzero(marked))
    return first
