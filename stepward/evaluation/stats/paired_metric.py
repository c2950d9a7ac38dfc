"""Two models on the same rows: by how much figures differ that are no means of rows, and whether by more than chance.

F1, PRMScore and weighted means of subsets have neither a mean's interval nor its sign-flip test. Their interval is a
paired bootstrap: the same rows are drawn for both models, each stratum apart, and it is as wide as strata of few rows
ask (`strata`). p is by approximate randomisation (Noreen 1989; Yeh 2000): if the models can't be told apart, what they
said of a row might as well be exchanged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stepward.evaluation.stats.bootstrap import Z, limits, resampled_sums
from stepward.evaluation.stats.paired_test import direction, holm
from stepward.evaluation.stats.strata import Stratum, Sums, arm

Floats = NDArray[np.float64]

Numbers = Mapping[Stratum, tuple[Floats, Floats]]
"""What figures are made of, by both models [row, number]."""

SWAPS = 10_000
_EQUAL = 1e-9


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure to compare.

    Attributes:
        name: What it is called.
        strata: What it is of.
        of: Makes it of the rows' sums [draw]; NaN where undefined.
    """

    name: str
    strata: tuple[Stratum, ...]
    of: Callable[[Sums], Floats]


@dataclass(frozen=True, slots=True)
class MetricDifference:
    """One figure of two models.

    Attributes:
        figure: Which, such as `macro_f1` or `f1 of math`.
        rows: How many rows it is of.
        first: The first model's, in [0, 1].
        second: The other's.
        mean: First less second.
        low: Lower end of the difference's 95% interval over rows; None where the figure is often undefined in
            resamples, or has a single row.
        high: Upper end.
        p: How likely so large a difference is, either way, if what the models said of a row may be exchanged.
        p_holm: p corrected for all figures that are compared.
    """

    figure: str
    rows: int
    first: float
    second: float
    mean: float
    low: float | None
    high: float | None
    p: float
    p_holm: float = 1.0

    @property
    def direction(self) -> int:
        """Whether the first model is better (1) or worse (-1) beyond chance, all figures considered; else 0."""
        known = self.low is not None and self.high is not None
        return direction(self.low or 0.0, self.high or 0.0, self.p_holm) if known else 0


def compare_metrics(numbers: Numbers, figures: Sequence[Metric], *, seed: int) -> tuple[MetricDifference, ...]:
    """Compares two models; a figure that one of them does not have is left out.

    Args:
        numbers: What the figures are made of.
        figures: The figures.
        seed: Decides the resamples and the exchanges, which are the same for all figures.
    """
    resampled, exchanged = _resampled(numbers, seed), _exchanged(numbers, seed)
    whole = tuple({key: pair[which].sum(axis=0)[None] for key, pair in numbers.items()} for which in (0, 1))
    found = []
    for figure in figures:
        first, second = (float(figure.of(one)[0]) for one in whole)
        if not np.isfinite([first, second]).all():
            continue
        drawn, swapped = (figure.of(one) - figure.of(other) for one, other in (resampled, exchanged))
        as_far = np.abs(swapped[np.isfinite(swapped)]) >= abs(first - second) - _EQUAL
        rows = sum(len(numbers[key][0]) for key in figure.strata)
        p = float((1 + as_far.sum()) / (1 + len(as_far)))
        low, high = _limits(figure, numbers, drawn, first - second)
        found.append(MetricDifference(figure.name, rows, first, second, first - second, low, high, p))
    return tuple(replace(one, p_holm=p) for one, p in zip(found, holm(found), strict=True))


def _limits(figure: Metric, numbers: Numbers, drawn: Floats, mean: float) -> tuple[float, float] | tuple[None, None]:
    """The ends of the interval: the resamples' percentiles, as wide as the rows of small strata ask."""
    low, high = limits(drawn)
    width = arm(lambda sums: _difference(figure, sums), {key: np.hstack(numbers[key]) for key in figure.strata})
    if low is None or high is None or width is None:
        return None, None
    spread = Z * float(np.std(drawn[np.isfinite(drawn)]))
    if spread < _EQUAL:
        return mean - width, mean + width
    return min(mean + (low - mean) * width / spread, mean), max(mean + (high - mean) * width / spread, mean)


def _difference(figure: Metric, sums: Sums) -> Floats:
    """A figure's difference from both models' sums side by side [draw, 2 * number]."""
    both = {key: np.split(each, 2, axis=1) for key, each in sums.items()}
    first, second = (figure.of({key: each[which] for key, each in both.items()}) for which in (0, 1))
    return np.asarray(first - second)


def _resampled(numbers: Numbers, seed: int) -> tuple[Sums, Sums]:
    """Both models' sums in the same resamples of rows."""
    drawn = {key: resampled_sums(np.hstack(pair), seed + place) for place, (key, pair) in enumerate(numbers.items())}
    half = next(iter(numbers.values()))[0].shape[1]
    return {key: one[:, :half] for key, one in drawn.items()}, {key: one[:, half:] for key, one in drawn.items()}


def _exchanged(numbers: Numbers, seed: int) -> tuple[Sums, Sums]:
    """Both models' sums where what they said of each row is exchanged by chance."""
    generator = np.random.default_rng([seed, SWAPS])
    first, second = {}, {}
    for key, (one, other) in numbers.items():
        kinds, counts = np.unique(other - one, axis=0, return_counts=True)
        moved = generator.binomial(counts, 0.5, size=(SWAPS, len(counts))) @ kinds
        first[key], second[key] = one.sum(axis=0) + moved, other.sum(axis=0) - moved
    return first, second
