"""How sure figures of steps are: Brier score, AUC and first-error F1 as means over a kind's models, by problem.

Steps of one solution, and solutions of one problem, are alike, so problems are what varies. Each figure is a smooth
function of sums over problems; its linear part says how much each problem adds to it (the delta method; for the AUC,
DeLong's placements, by clusters as Obuchowski 1997). These are numbers [seed, problem] whose mean over problems is the
figure, so problems and seeds are counted as for accuracies (`crossed`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stepward.evaluation.stats.bootstrap import FEW
from stepward.evaluation.stats.crossed import mean_variance

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]


def interval(by_problem: Sequence[Floats]) -> tuple[float, float] | tuple[None, None]:
    """The 95% interval, in [0, 1], of a figure's mean over models; None twice for few problems or where none differ.

    Args:
        by_problem: What each problem adds to each model's figure [seed][problem], from the functions below.
    """
    values = np.stack(by_problem)
    arm, mean = mean_variance([values]).arm, float(values.mean())
    if values.shape[1] < FEW or not arm:
        return None, None
    return max(0.0, mean - arm), min(1.0, mean + arm)


def mean_by_problem(values: Floats, owners: Whole, problems: int) -> Floats:
    """What each problem adds to a mean over steps, times the number of problems [problem]."""
    mean = float(values.mean())
    return mean + problems * _share(values, owners, problems)


def auc_by_problem(scores: Floats, right: Flags, owners: Whole, problems: int) -> Floats:
    """What each problem adds to the chance that a right step scores above a wrong one [problem].

    Args:
        scores: `[step]`, with right and wrong ones among them.
        right: `[step]`.
        owners: `[step]`, the problem it belongs to, from 0.
        problems: How many problems.
    """
    good, bad = np.sort(scores[right]), np.sort(scores[~right])
    below, up_to = (np.searchsorted(bad, scores[right], side) / len(bad) for side in ("left", "right"))
    under, over = (1 - np.searchsorted(good, scores[~right], side) / len(good) for side in ("right", "left"))
    wins, losses = (below + up_to) / 2, (under + over) / 2
    parts = _share(wins, owners[right], problems) + _share(losses, owners[~right], problems)
    return float(wins.mean()) + problems * parts


def f1_by_problem(hits: Flags, erring: Flags, owners: Whole, problems: int) -> Floats:
    """What each problem adds to the first-error F1 [problem].

    Args:
        hits: Whether the first error, or that there is none, is found [solution].
        erring: Whether there is one [solution]; some have, and some have not.
        owners: The problem [solution], from 0.
        problems: How many problems.
    """
    found, kept = float(hits[erring].mean()), float(hits[~erring].mean())
    total = found + kept
    if not total:
        return np.zeros(problems)
    slopes = 2 * kept**2 / total**2, 2 * found**2 / total**2
    parts = sum(
        slope * _share(hits[kind].astype(np.float64), owners[kind], problems)
        for slope, kind in zip(slopes, (erring, ~erring), strict=True)
    )
    return np.asarray(2 * found * kept / total + problems * parts)


def _share(values: Floats, owners: Whole, problems: int) -> Floats:
    """How far each problem's values move their mean [problem]."""
    return np.bincount(owners, values - values.mean(), minlength=problems) / len(values)
