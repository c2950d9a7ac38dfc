"""How well every wrong step is told from the right ones: PRMBench's PRMScore, ReasonEval's macro-F1 and AUC.

A step is taken for wrong if its score is below the threshold. Intervals are 95% percentile bootstrap intervals over
rows, since the steps of one solution are not independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.evaluation.stats.bootstrap import limits, resampled_aucs, resampled_sums
from stepward.labeling.filters import RIGHT_ABOVE
from stepward.metrics import accuracy, auc, f1

Floats = NDArray[np.float64]
Scores = Sequence[Sequence[float]]
Labels = Sequence[Sequence[float | None]]

GROUPS = {
    "simplicity": ("redundency", "circular"),
    "soundness": ("counterfactual", "step_contradiction", "domain_inconsistency", "confidence"),
    "sensitivity": ("missing_condition", "deception", "multi_solutions"),
}
"""PRMBench's groups of categories, in its own spelling (its repository's tables, ssmisya/PRMBench at a1ae4ea)."""

ALL_RIGHT = "multi_solutions"
"""The category without wrong steps: its PRMScore is the F1 of the right ones, as in PRMBench's tables."""


@dataclass(frozen=True, slots=True)
class PRMScore:
    """PRMBench's figures of one category, or of all rows together.

    Attributes:
        category: The `classification`, or `overall`.
        rows: Rows.
        steps: Steps.
        wrong_steps: Wrong ones among them.
        f1_wrong: F1 with wrong steps as the class to be found (`negative_f1`); None if no step is, or is taken for it.
        f1_right: F1 with right steps (`f1`); None likewise.
        prm_score: The mean of both; for a category without a wrong step `f1_right`. None if a part of it is.
        low: The lower end of its 95% interval.
        high: The upper end.
        accuracy: Share of all steps that are right.
        accuracy_wrong: Share of the wrong steps that are taken for wrong; None without such.
        accuracy_right: Share of the right steps that are taken for right; None without such.
        first_error_accuracy: Share of the first wrong steps that are taken for wrong; None without such.
    """

    category: str
    rows: int
    steps: int
    wrong_steps: int
    f1_wrong: float | None
    f1_right: float | None
    prm_score: float | None
    low: float | None
    high: float | None
    accuracy: float
    accuracy_wrong: float | None
    accuracy_right: float | None
    first_error_accuracy: float | None


@dataclass(frozen=True, slots=True)
class UnmodifiedSolutionStats:
    """Scores of PRMBench's original solutions, all of whose steps are right.

    Attributes:
        rows: Rows.
        steps: Their steps.
        accuracy: Share of the steps that are taken for right.
        untouched: Share of the solutions in which no step is taken for wrong.
        mean_score: Mean score of their steps.
        mean_score_modified: Mean score of the modified solutions' steps.
    """

    rows: int
    steps: int
    accuracy: float
    untouched: float
    mean_score: float
    mean_score_modified: float


@dataclass(frozen=True, slots=True)
class ReasonEvalMetrics:
    """ReasonEval's figures: macro-F1 and AUC of what is valid, by step or by solution.

    Attributes:
        level: `step` or `solution`; a solution's score is its steps' lowest, and it is valid if no step is wrong.
        count: Judged steps, or solutions.
        wrong: Wrong ones among them.
        macro_f1: The mean of the F1 of wrong and of right ones; None if either is undefined.
        macro_f1_low: The lower end of its 95% interval.
        macro_f1_high: The upper end.
        auc: The chance that a right one scores above a wrong one, ties half; None if all are of one class.
        auc_low: The lower end of its 95% interval.
        auc_high: The upper end.
    """

    level: str
    count: int
    wrong: int
    macro_f1: float | None
    macro_f1_low: float | None
    macro_f1_high: float | None
    auc: float | None
    auc_low: float | None
    auc_high: float | None


def prm_scores(
    scores: Scores, labels: Labels, categories: Sequence[str], threshold: float, seed: int
) -> tuple[list[PRMScore], PRMScore]:
    """PRMScore of each category, in the order of first appearance, and of all rows' steps together."""
    names = list(dict.fromkeys(categories))
    chosen = [[at for at, one in enumerate(categories) if one == name] for name in names]
    drawn = [
        resampled_sums(row_kinds([scores[at] for at in rows], [labels[at] for at in rows], threshold), seed + index)
        for index, rows in enumerate(chosen)
    ]
    of_each = [
        _prm_score(name, [scores[at] for at in rows], [labels[at] for at in rows], threshold, sums)
        for name, rows, sums in zip(names, chosen, drawn, strict=True)
    ]
    return of_each, _prm_score("overall", scores, labels, threshold, np.sum(drawn, axis=0))


def group_means(of_each: Sequence[PRMScore]) -> dict[str, float | None]:
    """The mean PRMScore of the categories, and of each of `GROUPS` all of whose categories are there."""
    by_name = {one.category: one.prm_score for one in of_each}
    means = {"categories": _mean_or_none(list(by_name.values()))}
    for group, members in GROUPS.items():
        if all(name in by_name for name in members):
            means[group] = _mean_or_none([by_name[name] for name in members])
    return means


def originals(original: Scores, modified: Scores, threshold: float) -> UnmodifiedSolutionStats:
    """Measures scores of solutions without a wrong step, beside those of the modified ones."""
    flat = np.concatenate([np.asarray(one) for one in original])
    return UnmodifiedSolutionStats(
        len(original), len(flat), float((flat >= threshold).mean()),
        float(np.mean([min(one) >= threshold for one in original])),
        float(flat.mean()), float(np.concatenate([np.asarray(one) for one in modified]).mean()),
    )  # fmt: skip


def validity(
    scores: Scores, labels: Labels, threshold: float, seed: int
) -> tuple[ReasonEvalMetrics, ReasonEvalMetrics]:
    """ReasonEval's figures by step, over judged steps, and by solution."""
    values, targets, owners = _judged(scores, labels)
    solutions = np.array([min(one) for one in scores], dtype=np.float64)
    valid = np.array([all(label is None or label > RIGHT_ABOVE for label in one) for one in labels], dtype=np.float64)
    return (
        _validity("step", values, targets, owners, threshold, seed),
        _validity("solution", solutions, valid, np.arange(len(solutions)), threshold, seed),
    )


def _prm_score(name: str, scores: Scores, labels: Labels, threshold: float, drawn: Floats) -> PRMScore:
    values, targets, _ = _judged(scores, labels)
    by_class = f1(values, targets, threshold=threshold)
    wrong = targets <= RIGHT_ABOVE
    first = np.array([one[at] for one, of in zip(scores, labels, strict=True) if (at := _first_wrong(of)) is not None])
    alone = name == ALL_RIGHT and not wrong.any()
    score = by_class.right if alone else by_class.macro
    low, high = (None, None) if score is None else limits(f1_of(drawn)[:, 1] if alone else f1_of(drawn).mean(axis=1))
    return PRMScore(
        name, len(scores), len(values), int(wrong.sum()), by_class.wrong, by_class.right, score, low, high,
        float(accuracy(values, targets, threshold=threshold) or 0.0),
        _mean(values[wrong] < threshold), _mean(values[~wrong] >= threshold), _mean(first < threshold),
    )  # fmt: skip


def _validity(
    level: str, values: Floats, targets: Floats, owners: NDArray[np.int64], threshold: float, seed: int
) -> ReasonEvalMetrics:
    right = targets > RIGHT_ABOVE
    macro, area = f1(values, targets, threshold=threshold).macro, auc(values, targets)
    macro_low = macro_high = area_low = area_high = None
    if macro is not None:
        counts = _row_counts(owners, _kinds(values, right, threshold), int(owners.max()) + 1)
        macro_low, macro_high = limits(f1_of(resampled_sums(counts, seed)).mean(axis=1))
    if area is not None:
        area_low, area_high = limits(resampled_aucs(values, right, owners, seed))
    return ReasonEvalMetrics(
        level, len(values), int((~right).sum()), macro, macro_low, macro_high, area, area_low, area_high
    )  # fmt: skip


def _kinds(values: Floats, right: NDArray[np.bool_], threshold: float) -> tuple[NDArray[np.bool_], ...]:
    """Steps that are rightly taken for right, wrongly so, rightly taken for wrong, and wrongly so."""
    taken = values >= threshold
    return taken & right, taken & ~right, ~taken & ~right, ~taken & right


def row_kinds(scores: Scores, labels: Labels, threshold: float) -> Floats:
    """Of each row, how many of its steps are of each of `_kinds` [row, 4]."""
    values, targets, owners = _judged(scores, labels)
    kinds = _kinds(values, targets > RIGHT_ABOVE, threshold)
    return _row_counts(owners, kinds, len(scores))


def _row_counts(owners: NDArray[np.int64], kinds: Sequence[NDArray[np.bool_]], rows: int) -> Floats:
    counts = [np.bincount(owners, weights=kind, minlength=rows).astype(np.float64) for kind in kinds]
    return np.stack(counts, axis=1)


def f1_of(sums: Floats) -> Floats:
    """F1 of wrong and of right steps [resample, 2] from sums of `_kinds` [resample, 4]; NaN where undefined."""
    right, mistaken, wrong, missed = sums.T
    both = np.stack([wrong, right], axis=1)
    whole = 2 * both + (mistaken + missed)[:, None]
    return np.asarray(np.divide(2 * both, whole, out=np.full_like(both, np.nan), where=whole > 0))


def _judged(scores: Scores, labels: Labels) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Scores, labels and rows of the steps that have a label [step]."""
    flat = [
        (score, label, row)
        for row, (one, of) in enumerate(zip(scores, labels, strict=True))
        for score, label in zip(one, of, strict=True)
        if label is not None
    ]
    values, targets, owners = zip(*flat, strict=True)
    return np.array(values, dtype=np.float64), np.array(targets, dtype=np.float64), np.array(owners, dtype=np.int64)


def _first_wrong(labels: Sequence[float | None]) -> int | None:
    return next((at for at, label in enumerate(labels) if label is not None and label <= RIGHT_ABOVE), None)


def _mean(values: NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
