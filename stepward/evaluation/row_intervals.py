"""Bootstrap intervals over rows, for figures that are no plain means: F1, ratios of sums, the area under a curve.

A resample draws as many rows as there are, with replacement. What a figure needs of a row is a few sums, and many rows
have the same ones, so it is counts of equal rows that are drawn: the same distribution, in the memory of the distinct
rows. Intervals are percentiles, which know no width of a figure that every row shares; of a plain share they are those
of accuracies (`statistics.accuracy_interval`), which do.
"""

import numpy as np
from numpy.typing import NDArray

from stepward.evaluation.statistics import RESAMPLES, accuracy_interval

Floats = NDArray[np.float64]

_AT_ONCE = 2**24
"""Numbers of a matrix of draws; more resamples are drawn one part after another."""

_FEW = 500
"""Up to so many kinds of rows, drawing their counts is the faster way."""


def resampled_sums(rows: Floats, seed: int, count: int = RESAMPLES) -> Floats:
    """The sums [resample, figure] over `count` bootstrap resamples of rows [row, figure]."""
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    generator = np.random.default_rng([seed, len(rows)])
    if len(kinds) > max(_FEW, len(rows) / 4):  # little is gained by kinds, and drawing rows one by one is faster
        return np.stack([_draw(len(rows), generator) @ rows for _ in range(count)])
    part = max(1, _AT_ONCE // len(kinds))
    return np.concatenate(
        [
            generator.multinomial(len(rows), counts / len(rows), size=min(part, count - start)) @ kinds
            for start in range(0, count, part)
        ]
    )


def _draw(rows: int, generator: np.random.Generator) -> Floats:
    """How often each row is drawn in one resample [row]."""
    return np.bincount(generator.integers(rows, size=rows), minlength=rows).astype(np.float64)


def resampled_shares(hits: int, rows: int, generator: np.random.Generator, count: int = RESAMPLES) -> Floats:
    """The share of hits [resample] in bootstrap resamples of rows of which so many are hits."""
    return generator.binomial(rows, hits / rows, size=count) / rows


def share_limits(hits: int, rows: int, generator: np.random.Generator) -> tuple[float, float]:
    """The 95% interval of a share of rows, as of any accuracy."""
    right = (np.arange(rows) < hits).astype(np.float64)
    return accuracy_limits(resampled_shares(hits, rows, generator), right)


def accuracy_limits(drawn: Floats, per_row: Floats) -> tuple[float, float]:
    """The 95% interval of a mean of rows in [0, 1] from its resamples: `statistics.accuracy_interval` of one method."""
    low, high = accuracy_interval(drawn[:, None], per_row[:, None])
    mean = per_row.mean()  # which rounding may leave just outside
    return float(min(low[0], mean)), float(max(high[0], mean))


def resampled_aucs(scores: Floats, right: NDArray[np.bool_], owners: NDArray[np.int64], seed: int) -> Floats:
    """The area under the ROC curve [resample] of steps, in bootstrap resamples of the rows they belong to.

    Args:
        scores: `[step]`.
        right: `[step]`, whether the step is right.
        owners: `[step]`, the row it belongs to, from 0.
        seed: Decides the resamples.

    Returns:
        NaN where a resample has steps of one class only.
    """
    order = np.argsort(scores, kind="stable")
    ordered, good, owner = scores[order], right[order], owners[order]
    # For each wrong step, how many right ones come before its score, and up to it: those beyond are ranked rightly.
    before, up_to = (np.searchsorted(ordered[good], ordered[~good], side) for side in ("left", "right"))
    of_right, of_wrong = owner[good], owner[~good]
    rows = int(owners.max()) + 1
    generator = np.random.default_rng([seed, rows])
    areas = np.full(RESAMPLES, np.nan)
    for index in range(RESAMPLES):
        copies = _draw(rows, generator)
        rights, wrongs = np.concatenate([[0], np.cumsum(copies[of_right])]), copies[of_wrong]
        pairs = rights[-1] * wrongs.sum()
        if pairs:
            areas[index] = wrongs @ (rights[-1] - (rights[before] + rights[up_to]) / 2) / pairs
    return areas


def limits(values: Floats) -> tuple[float, float] | tuple[None, None]:
    """The 2.5th and 97.5th percentile of a figure's resamples; None twice where it is often undefined (NaN) there."""
    defined = values[np.isfinite(values)]
    if len(defined) < 0.95 * len(values):
        return None, None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)
