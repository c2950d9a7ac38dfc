"""How far a score can be read as a chance: reliability curves, calibration error, Brier score, log loss and AUC.

Scores and targets are of steps or of anything else, in [0, 1]; targets may be soft, such as shares of right
completions. What is undefined is None.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stepward.errors import StepwardError
from stepward.evaluation.error_detection.benchmarks import row_id
from stepward.evaluation.error_detection.predictions import step_scores
from stepward.evaluation.stats.bootstrap import limits, resampled_aucs, resampled_sums
from stepward.formats.checks import items, probability
from stepward.metrics import BINS, RIGHT_ABOVE, auc, bin_of, brier, cross_entropy, log_loss
from stepward.rows import ErrorCollector, InvalidRow, SourceRow, iter_rows

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bin:
    """Scores that lie together; a point of a reliability curve.

    Attributes:
        low: The lower edge; scores at it belong to the bin.
        high: The upper edge; scores at it belong to the next bin, if there is one.
        count: How many scores.
        mean_score: Their mean; None in an empty bin.
        mean_target: The mean of their targets; None in an empty bin.
    """

    low: float
    high: float
    count: int
    mean_score: float | None
    mean_target: float | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability curve and its figures.

    Attributes:
        bins: The curve, in the order of the scores.
        ece: Expected calibration error: the mean distance of a bin's mean score and mean target, by counts.
        brier: Mean squared difference of score and target.
        auc: The chance that a right one scores above a wrong one, ties half; None if all are of one class.
    """

    bins: tuple[Bin, ...]
    ece: float
    brier: float
    auc: float | None


@dataclass(frozen=True, slots=True)
class Decomposition:
    """What a Brier score is made of (Murphy 1973), over bins: `reliability - resolution + uncertainty + within`.

    Attributes:
        reliability: Mean squared distance of a bin's mean score and mean target: lower is better.
        resolution: Variance of the bins' mean targets: how well bins tell cases apart; higher is better.
        uncertainty: Variance of the targets, which no score can change.
        within: What differing scores within a bin add (Stephenson, Coelho and Jolliffe 2008): their variance less
            twice their covariance with the targets. 0 where each bin holds equal scores.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Everything about how scores agree with targets.

    Attributes:
        rows: Rows that scores come from.
        count: Scores with a target.
        unlabelled: Scores without one, at which nothing looks.
        mean_score: Mean score.
        mean_target: Mean target.
        brier: Mean squared difference of score and target.
        brier_low: The lower end of its 95% interval.
        brier_high: The upper end.
        decomposition: What it is made of, over the bins of equal width.
        log_loss: Mean cross-entropy in nats.
        log_loss_low: The lower end of its 95% interval.
        log_loss_high: The upper end.
        auc: The chance that a right one scores above a wrong one, ties half; None if all are of one class.
        auc_low: The lower end of its 95% interval.
        auc_high: The upper end.
        equal_width: The curve over bins of equal width.
        equal_mass: The curve over bins of equally many scores, equal scores never parted.
    """

    rows: int
    count: int
    unlabelled: int
    mean_score: float
    mean_target: float
    brier: float
    brier_low: float | None
    brier_high: float | None
    decomposition: Decomposition
    log_loss: float
    log_loss_low: float | None
    log_loss_high: float | None
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    equal_width: Reliability
    equal_mass: Reliability


@dataclass(frozen=True, slots=True)
class LabelledScores:
    """One row: a solution's step scores beside its labels.

    Attributes:
        id: The row's id.
        scores: A score in [0, 1] a step.
        labels: A target in [0, 1] a step, or None where a step has none.
    """

    id: str
    scores: tuple[float, ...]
    labels: tuple[float | None, ...]


def reliability(scores: ArrayLike, targets: ArrayLike, *, bins: int = BINS, equal_mass: bool = False) -> Reliability:
    """The reliability curve of scores in [0, 1] over targets in [0, 1] (DeGroot and Fienberg 1983).

    Args:
        scores: `[score]`.
        targets: `[score]`, soft ones too; above 0.5 is right for the AUC.
        bins: How many; fewer of equal mass where too many scores are equal.
        equal_mass: Bins of equally many scores (Nguyen and O'Connor 2015) instead of equal width (Guo et al. 2017).

    Raises:
        StepwardError: There are no scores, or a number is out of its range.
    """
    error = brier(scores, targets)  # looks both through
    if error is None:
        raise StepwardError(
            "no scores to measure; expected at least one score with a target", code="empty", field="scores"
        )
    values, wanted = np.asarray(scores, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    edges, which = _mass_bins(values, bins) if equal_mass else (np.arange(bins + 1) / bins, bin_of(values, bins))
    counts = np.bincount(which, minlength=len(edges) - 1)
    sums, wanted_sums = (np.bincount(which, weights=of, minlength=len(edges) - 1) for of in (values, wanted))
    curve = [
        Bin(float(low), float(high), int(count), float(score / count), float(target / count))
        if count
        else Bin(float(low), float(high), 0, None, None)
        for low, high, count, score, target in zip(edges, edges[1:], counts, sums, wanted_sums, strict=False)
    ]
    return Reliability(tuple(curve), float(np.abs(sums - wanted_sums).sum() / len(values)), error, auc(values, wanted))


def decompose(scores: ArrayLike, targets: ArrayLike, *, bins: int = BINS) -> Decomposition:
    """What the Brier score of scores in [0, 1] over targets in [0, 1] is made of, over bins of equal width."""
    values, wanted = np.asarray(scores, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    _, which = np.unique(bin_of(values, bins), return_inverse=True)
    counts = np.bincount(which)
    score, target = (np.bincount(which, weights=of) / counts for of in (values, wanted))
    spread, shift = values - score[which], wanted - target[which]
    return Decomposition(
        float(counts @ (score - target) ** 2 / len(values)),
        float(counts @ (target - wanted.mean()) ** 2 / len(values)),
        float(wanted.var()),
        float((spread**2).mean() - 2 * (spread * shift).mean()),
    )


def measure_calibration(rows: Sequence[LabelledScores], *, bins: int = BINS, seed: int = 0) -> Calibration:
    """Measures how the scores of labelled steps agree with the labels.

    Args:
        rows: Solutions with scores and labels; steps without a label are counted and not looked at.
        bins: Of both curves.
        seed: Decides the resamples of the intervals, which are bootstrapped over rows.

    Raises:
        StepwardError: No step has a label.
    """
    flat = [
        (score, label, at)
        for at, row in enumerate(rows)
        for score, label in zip(row.scores, row.labels, strict=True)
        if label is not None
    ]
    if not flat:
        raise StepwardError(
            "no step has a label; expected numbers from 0 to 1 in labels, at least one of them",
            code="empty",
            field="labels",
        )
    values, wanted, owners = (np.array(of) for of in zip(*flat, strict=True))
    errors = ((values - wanted) ** 2, cross_entropy(values, wanted), np.ones(len(values)))
    sums = resampled_sums(np.stack([np.bincount(owners, of, minlength=len(rows)) for of in errors], axis=1), seed)
    ratios = np.divide(sums[:, :2], sums[:, 2:], out=np.full_like(sums[:, :2], np.nan), where=sums[:, 2:] > 0)
    brier_low, brier_high = limits(ratios[:, 0])
    loss, (loss_low, loss_high) = log_loss(values, wanted), limits(ratios[:, 1])
    assert loss is not None
    wide = reliability(values, wanted, bins=bins)
    auc_low = auc_high = None
    if wide.auc is not None:
        auc_low, auc_high = limits(resampled_aucs(values, wanted > RIGHT_ABOVE, owners, seed))
    return Calibration(
        rows=len(rows), count=len(values), unlabelled=sum(len(row.scores) for row in rows) - len(values),
        mean_score=float(values.mean()), mean_target=float(wanted.mean()),
        brier=wide.brier, brier_low=brier_low, brier_high=brier_high,
        decomposition=decompose(values, wanted, bins=bins),
        log_loss=loss, log_loss_low=loss_low, log_loss_high=loss_high,
        auc=wide.auc, auc_low=auc_low, auc_high=auc_high,
        equal_width=wide, equal_mass=reliability(values, wanted, bins=bins, equal_mass=True),
    )  # fmt: skip


def read_labelled_scores(path: Path | str) -> tuple[LabelledScores, ...]:
    """Reads `{id, step_scores, labels}` rows.

    Raises:
        StepwardError: A row can't be used, or an id stands twice.
    """
    bad = ErrorCollector(path)
    rows: dict[str, LabelledScores] = {}
    for row in iter_rows(path, bad):
        try:
            one = _labelled(row)
            if one.id in rows:
                raise InvalidRow("id", f"{one.id!r} stands in an earlier row too; keep one", code="duplicate")
        except InvalidRow as fault:
            bad.set_position(row.file, row.number, row.fields)
            bad.record(row.number, fault.field, fault.reason, fault.code)
            continue
        rows[one.id] = one
    bad.raise_if_any()
    return tuple(rows.values())


def _labelled(row: SourceRow) -> LabelledScores:
    scores, given = step_scores(row.fields, "step_scores"), items(row.fields, "labels")
    if len(given) != len(scores):
        raise InvalidRow(
            "labels",
            f"{len(given)} labels for {len(scores)} scores; expected one a step, null for none",
            code="mismatch",
        )
    labels = tuple(None if one is None else probability(one, f"labels[{index}]") for index, one in enumerate(given))
    return LabelledScores(row_id(row.fields), scores, labels)


def _mass_bins(values: Floats, bins: int) -> tuple[Floats, Whole]:
    """Edges [bin + 1] of bins of equally many values, as far as equal values allow, and each value's bin."""
    ordered = np.sort(values)
    starts = ordered[np.arange(1, bins) * len(values) // bins]
    inner = np.unique(starts[starts > ordered[0]])
    return np.concatenate([[0.0], inner, [1.0]]), np.searchsorted(inner, values, side="right")
