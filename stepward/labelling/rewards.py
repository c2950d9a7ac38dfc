"""Step rewards from rollout counts: hard, soft and entropy-regularised, on floats and arrays.

From a prefix, `drawn` completions were drawn and `right` of them reached the reference answer; p = right / drawn.
"""

from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray


@overload
def hard(right: int, drawn: int) -> float: ...
@overload
def hard(right: ArrayLike, drawn: ArrayLike) -> float | NDArray[np.float64]: ...
def hard(right: ArrayLike, drawn: ArrayLike) -> float | NDArray[np.float64]:
    """1 where any completion is right, else 0 (Math-Shepherd's hard estimation).

    Args:
        right: Right completions, a number or an array.
        drawn: Completions drawn, of the same shape, each at least 1.

    Raises:
        ValueError: `drawn` below 1, or `right` outside 0..drawn.
    """
    return _as_given((_share(right, drawn) > 0).astype(np.float64))


@overload
def soft(right: int, drawn: int) -> float: ...
@overload
def soft(right: ArrayLike, drawn: ArrayLike) -> float | NDArray[np.float64]: ...
def soft(right: ArrayLike, drawn: ArrayLike) -> float | NDArray[np.float64]:
    """The share of completions that are right (Math-Shepherd's soft estimation). Arguments and errors as for `hard`."""
    return _as_given(_share(right, drawn))


@overload
def entropy_regularised(p: float, eta: float) -> float: ...
@overload
def entropy_regularised(p: ArrayLike, eta: float) -> float | NDArray[np.float64]: ...
def entropy_regularised(p: ArrayLike, eta: float) -> float | NDArray[np.float64]:
    """The entropy-regularised reward (1/eta) ln(1 - p + p e^eta) of ER-PRM, for outcomes of 0 or 1.

    It goes to p as eta goes to 0, and to 1 for any p > 0 as eta goes to infinity. Computed so that neither end loses
    digits: by expm1 and log1p for small eta, and with e^eta taken out of the logarithm for large eta.

    Args:
        p: Share of right completions in [0, 1], a number or an array.
        eta: The inverse temperature, above 0; 1e4 stays finite.

    Raises:
        ValueError: `p` outside [0, 1] or not a number, or `eta` not a finite number above 0.
    """
    share = np.asarray(p, dtype=np.float64)
    if not np.all((share >= 0) & (share <= 1)):
        raise ValueError("p must lie in [0, 1]")
    if not (np.isfinite(eta) and eta > 0):
        raise ValueError(f"eta must be a finite number above 0, not {eta}")
    if eta <= 1:
        value = np.log1p(share * np.expm1(eta)) / eta
    else:
        # ln(1 - p + p e^eta) = eta + ln(p + (1 - p) e^-eta), which can't overflow; p = 0 would cancel eta, so is set.
        inside = share + (1 - share) * np.exp(-eta)
        value = np.where(share > 0, 1 + np.log(np.where(share > 0, inside, 1.0)) / eta, 0.0)
    return _as_given(np.clip(value, 0.0, 1.0))


def _share(right: ArrayLike, drawn: ArrayLike) -> NDArray[np.float64]:
    number, total = np.asarray(right, dtype=np.float64), np.asarray(drawn, dtype=np.float64)
    if not np.all(total >= 1):
        raise ValueError("drawn must be at least 1: a prefix without completions has no reward")
    if not np.all((number >= 0) & (number <= total)):
        raise ValueError("right must lie in 0..drawn")
    return np.asarray(number / total)


def _as_given(value: NDArray[np.float64]) -> float | NDArray[np.float64]:
    return float(value) if value.ndim == 0 else value
