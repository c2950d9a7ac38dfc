"""How sure a figure is that is made of sums over strata, some of them of a row or two.

A bootstrap within strata says that a stratum of one row has no chance at all, and one of two rows half of it. So its
width is corrected: the figure's variance is that of its linear part (the delta method), with strata's variances as
samples estimate them, and Student's distribution has the degrees of freedom that these variances have (Satterthwaite).
Strata of a single row share one variance, that among all of their rows ("collapsed strata", Cochran 1977, 5A.12), which
errs on the wide side where strata differ. One more row is counted as if it differed (as Agresti and Min 2005 add
to matched pairs), so that a few rows that happen not to differ are not taken for certainty.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from stepward.evaluation.stats.bootstrap import Z, student_point

Floats = NDArray[np.float64]

Stratum = tuple[str, str]
"""Rows that are resampled together: their part, and their kind in it."""

Sums = Mapping[Stratum, Floats]
"""Sums over a stratum's rows [draw, number]."""

_STEP = 1e-3
"""By how much of a row sums are moved to see how a figure follows them."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Strata whose rows share one covariance [number, number], of so many degrees of freedom."""

    strata: tuple[Stratum, ...]
    covariance: Floats
    freedom: int


def arm(of: Callable[[Sums], Floats], rows: Mapping[Stratum, Floats]) -> float | None:
    """Half the width of the 95% interval of a figure.

    Args:
        of: Makes it of sums [draw].
        rows: What the sums are of, by stratum [row, number]; only the figure's strata.

    Returns:
        None where nothing can be told: there is one row, or the figure does not follow its sums smoothly.
    """
    groups = _groups(rows)
    slopes = _slopes(of, rows)
    if groups is None or not all(np.isfinite(slope).all() for slope in slopes.values()):
        return None
    parts = [sum(len(rows[key]) * float(slopes[key] @ one.covariance @ slopes[key]) for key in one.strata)
             for one in groups]  # fmt: skip
    count = sum(map(len, rows.values()))
    more = sum(len(each) * float(np.abs(slopes[key]).max()) ** 2 for key, each in rows.items()) / count
    whole = sum(parts) + more
    if not whole:
        return 0.0
    known = sum(part**2 / one.freedom for part, one in zip(parts, groups, strict=True))
    return (student_point(max(1.0, whole**2 / known)) if known else Z) * sqrt(whole)


def _groups(rows: Mapping[Stratum, Floats]) -> list[_Group] | None:
    """Strata by themselves, and those of one row together; None where there is one row in all."""
    single = [key for key, each in rows.items() if len(each) == 1]
    others = sorted((key for key in rows if key not in single), key=lambda key: len(rows[key]), reverse=True)
    if len(single) == 1:  # it has the variance of the smallest other one
        if not others:
            return None
        single.append(others.pop())
    found = [_Group((key,), _covariance([rows[key]]), len(rows[key]) - 1) for key in others]
    if single:
        members = [rows[key] for key in single]
        found.append(_Group(tuple(single), _covariance(members), sum(map(len, members)) - 1))
    return found


def _covariance(members: Sequence[Floats]) -> Floats:
    return np.atleast_2d(np.cov(np.concatenate(members), rowvar=False, ddof=1))


def _slopes(of: Callable[[Sums], Floats], rows: Mapping[Stratum, Floats]) -> dict[Stratum, Floats]:
    """How much the figure changes with each sum, by stratum [number]."""
    places = [(key, number) for key, each in rows.items() for number in range(each.shape[1])]
    moved = {key: np.tile(each.sum(axis=0), (2 * len(places), 1)) for key, each in rows.items()}
    for place, (key, number) in enumerate(places):
        moved[key][2 * place : 2 * place + 2, number] += (_STEP, -_STEP)
    values = of(moved)
    slopes = (values[::2] - values[1::2]) / (2 * _STEP)
    return {key: np.array([slopes[place] for place, (of_key, _) in enumerate(places) if of_key == key]) for key in rows}
