"""An interval for the chance of a right completion that holds however often one looks at it.

The usual exact interval (Clopper-Pearson) holds at one number of draws that was fixed before. Whoever draws until it
is narrow looks many times, and one of the looks may be unlucky: the interval at which he stops holds less often than
it says. The one here is a confidence sequence: with probability at least `level` *all* its intervals hold p, at every
number of draws at once, so also at the one where drawing stopped, whatever the rule.

With r right of n, p is in the interval unless

    B(r + 1/2, n - r + 1/2) / (B(1/2, 1/2) p^r (1 - p)^(n - r))  >=  1 / (1 - level),

the likelihood of a mixture of coins over that of the coin p. Under p this ratio is a martingale that starts at 1, so by
Ville's inequality it ever reaches 1 / (1 - level) with probability at most 1 - level. (Ville 1939; Robbins 1970,
"Statistical methods related to the law of the iterated logarithm", Ann. Math. Stat. 41; for the mixtures of conjugate
priors Howard, Ramdas, McAuliffe and Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences",
Ann. Stat. 49.) The weights are those of Jeffreys' prior: they are narrow soonest where all or none are right, as they
are at most prefixes.
"""

from functools import lru_cache
from math import lgamma, log, pi

_HALVINGS = 50


@lru_cache(maxsize=65536)
def confidence_sequence(drawn: int, right: int, level: float) -> tuple[float, float]:
    """The interval for the share of right completions, (low, high) in [0, 1].

    Args:
        drawn: Completions drawn so far; without any the interval is everything.
        right: The right ones among them.
        level: The probability, in (0, 1), that all intervals of one prefix hold its share.

    Raises:
        ValueError: `right` outside 0..drawn, or `level` outside (0, 1).
    """
    if not 0 <= right <= drawn:
        raise ValueError(f"right must lie in 0..drawn, not {right} of {drawn}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), not {level}")
    share = right / drawn if drawn else 0.5
    least = _mixture(drawn, right) + log(1 - level)
    low = 0.0 if right == 0 else _edge(drawn, right, least, share, 0.0)
    high = 1.0 if right == drawn else _edge(drawn, right, least, share, 1.0)
    return low, high


def _mixture(drawn: int, right: int) -> float:
    """The logarithm of B(r + 1/2, n - r + 1/2) / B(1/2, 1/2)."""
    return lgamma(right + 0.5) + lgamma(drawn - right + 0.5) - lgamma(drawn + 1) - log(pi)


def _edge(drawn: int, right: int, least: float, inside: float, outside: float) -> float:
    """Where the log likelihood, which falls from `inside` to `outside`, crosses `least`; the outer side of it."""
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        if right * _log(middle) + (drawn - right) * _log(1 - middle) > least:
            inside = middle
        else:
            outside = middle
    return outside


def _log(value: float) -> float:
    return log(value) if value > 0 else float("-inf")
