"""Lengths of a million texts in a counter: exact, however many there are, in the memory of their distinct values."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Lengths:
    """A summary of whole numbers; all 0 where there are none.

    Attributes:
        count: How many.
        min: The least.
        mean: Their mean.
        median: The 50th percentile.
        p99: The 99th percentile.
        max: The greatest.
        total: Their sum.
    """

    count: int
    min: int
    mean: float
    median: float
    p99: float
    max: int
    total: int


@dataclass(frozen=True, slots=True)
class Cut:
    """What a length limit would cut.

    Attributes:
        limit: The longest that stays whole.
        count: How many are longer.
        share: Their share, from 0 to 1.
    """

    limit: int
    count: int
    share: float


def summarise(found: Counter[int]) -> Lengths:
    """The summary of what a counter holds."""
    if not found:
        return Lengths(0, 0, 0.0, 0.0, 0.0, 0, 0)
    count = found.total()
    total = sum(value * times for value, times in found.items())
    median, p99 = percentiles(found, (50, 99))
    return Lengths(count, min(found), total / count, median, p99, max(found), total)


def percentiles(found: Counter[int], asked: Sequence[float]) -> list[float]:
    """Percentiles of what a counter holds, as numpy gives them for the list of it.

    The one at q lies at place (count - 1) q / 100 of the sorted list, linearly between the two values beside it
    (Hyndman and Fan's definition 7, numpy's default).

    Raises:
        ValueError: The counter is empty.
    """
    if not found:
        raise ValueError("no percentile of nothing")
    values = sorted(found)
    ends = list(accumulate(found[value] for value in values))
    places = [(ends[-1] - 1) * q / 100 for q in asked]
    return [_between(values, ends, place) for place in places]


def cuts(found: Counter[int], limits: Sequence[int]) -> tuple[Cut, ...]:
    """What each limit would cut."""
    count = found.total()
    above = [sum(times for value, times in found.items() if value > limit) for limit in limits]
    return tuple(Cut(limit, cut, cut / count if count else 0.0) for limit, cut in zip(limits, above, strict=True))


def _between(values: list[int], ends: list[int], place: float) -> float:
    low = int(place)
    first = values[bisect_left(ends, low + 1)]
    second = values[bisect_left(ends, min(low + 2, ends[-1]))]
    return first + (second - first) * (place - low)


CountTokens = Callable[[Sequence[str]], list[int]]
"""How many tokens each of some texts has."""

_BATCH = 512


class LengthCounter:
    """Measures groups of texts and hands each group's lengths on.

    Args:
        count_tokens: How tokens are counted; None counts characters.
        take: Is given the lengths of each group, in the order in which the groups came, in the end by `flush`.
    """

    def __init__(self, count_tokens: CountTokens | None, take: Callable[..., None]) -> None:
        self._count_tokens = count_tokens
        self._take = take
        self._texts: list[str] = []
        self._groups: list[int] = []

    def add(self, *texts: str) -> None:
        """Measure one group."""
        if self._count_tokens is None:
            self._take(*map(len, texts))
            return
        self._texts.extend(texts)
        self._groups.append(len(texts))
        if len(self._texts) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Measure what waits for its batch to fill.

        Raises:
            ValueError: `count_tokens` gave another number of lengths than it was given texts.
        """
        if self._count_tokens is None or not self._texts:
            return
        found = iter(self._count_tokens(self._texts))
        lengths = [length for length, _ in zip(found, self._texts, strict=True)]
        at = 0
        for size in self._groups:
            self._take(*lengths[at : at + size])
            at += size
        self._texts, self._groups = [], []


def unit(count_tokens: CountTokens | None) -> str:
    """What lengths are counted in."""
    return "characters" if count_tokens is None else "tokens"
