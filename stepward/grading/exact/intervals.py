"""Sets of real numbers as intervals and points in order, so that one set has one writing.

Ends are exact values. They are ordered by their approximate size, and where two that differ lie too close for that
nothing is decided.
"""

from dataclasses import dataclass

from stepward.grading.exact import equality
from stepward.grading.exact import values as exact
from stepward.grading.exact.structure import Bracketed, FiniteSet, NamedSet, SetExpression, Shape, SingleValue
from stepward.grading.exact.values import Value


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval; a point where both ends are the same and closed."""

    low: Value
    low_closed: bool
    high: Value
    high_closed: bool


class _Unordered(Exception):
    """Two ends cannot be put in order."""


def as_range(shape: Shape) -> list[Interval] | None:
    """The intervals that a shape stands for; None where it is no set of real numbers, or one that is not read."""
    try:
        return _pieces(shape)
    except _Unordered:
        return None


def _pieces(shape: Shape) -> list[Interval] | None:
    infinity = exact.atom(exact.INFINITY)
    if isinstance(shape, NamedSet):
        return [Interval(exact.negative(infinity), False, infinity, False)] if shape.sign == "\\R" else None
    if isinstance(shape, Bracketed):
        return _interval(shape)
    if isinstance(shape, FiniteSet):
        points = [part.scalar.value for part in shape.parts if isinstance(part, SingleValue)]
        if len(points) < len(shape.parts):
            return None
        return _joined([Interval(point, True, point, True) for point in points])
    if isinstance(shape, SetExpression):
        return _combined(shape)
    return None


def _interval(shape: Bracketed) -> list[Interval] | None:
    if len(shape.parts) != 2 or shape.opening not in ("(", "[") or shape.closing not in (")", "]"):
        return None
    low, high = shape.parts
    if not isinstance(low, SingleValue) or not isinstance(high, SingleValue):
        return None
    piece = Interval(low.scalar.value, shape.opening == "[", high.scalar.value, shape.closing == "]")
    return [piece] if _before(piece.low, piece.high) else None


def _combined(shape: SetExpression) -> list[Interval] | None:
    ranges = []
    for part in shape.parts:
        pieces = _pieces(part)
        if pieces is None:
            return None
        ranges.append(pieces)
    if shape.sign == "\\cup":
        return _joined([piece for pieces in ranges for piece in pieces])
    if len(ranges) != 2:
        return None
    if shape.sign == "\\cap":
        return _joined(_shared(ranges[0], ranges[1]))
    return _joined(_shared(ranges[0], _complement(_joined(ranges[1]))))


def _shared(left: list[Interval], right: list[Interval]) -> list[Interval]:
    shared = []
    for one in left:
        for other in right:
            low = _tighter((one.low, one.low_closed), (other.low, other.low_closed), upper=False)
            high = _tighter((one.high, one.high_closed), (other.high, other.high_closed), upper=True)
            if _equal(low[0], high[0]):
                if low[1] and high[1]:
                    shared.append(Interval(*low, *high))
            elif _before(low[0], high[0]):
                shared.append(Interval(*low, *high))
    return shared


def _tighter(one: tuple[Value, bool], other: tuple[Value, bool], *, upper: bool) -> tuple[Value, bool]:
    if _equal(one[0], other[0]):
        return one[0], one[1] and other[1]
    first_is_lower = _before(one[0], other[0])
    return one if first_is_lower == upper else other


def _complement(pieces: list[Interval]) -> list[Interval]:
    infinity = exact.atom(exact.INFINITY)
    low, closed = exact.negative(infinity), False
    gaps = []
    for piece in pieces:
        if not _equal(low, piece.low) or (closed and not piece.low_closed):
            gaps.append(Interval(low, closed, piece.low, not piece.low_closed))
        low, closed = piece.high, not piece.high_closed
    if not _equal(low, infinity):
        gaps.append(Interval(low, closed, infinity, False))
    return gaps


def _joined(pieces: list[Interval]) -> list[Interval]:
    """The pieces in order, with those that touch made one."""
    ordered: list[Interval] = []
    for piece in pieces:
        place = len(ordered)
        while place and _starts_before(piece, ordered[place - 1]):
            place -= 1
        ordered.insert(place, piece)
    joined: list[Interval] = []
    for piece in ordered:
        if joined and _touch(joined[-1], piece):
            last = joined.pop()
            high = (last.high, last.high_closed)
            if _equal(last.high, piece.high):
                high = (last.high, last.high_closed or piece.high_closed)
            elif _before(last.high, piece.high):
                high = (piece.high, piece.high_closed)
            piece = Interval(last.low, last.low_closed, *high)
        joined.append(piece)
    return joined


def _starts_before(one: Interval, other: Interval) -> bool:
    if _equal(one.low, other.low):
        return one.low_closed and not other.low_closed
    return _before(one.low, other.low)


def _touch(one: Interval, other: Interval) -> bool:
    """Whether nothing lies between two pieces, of which the first starts first."""
    if _equal(one.high, other.low):
        return one.high_closed or other.low_closed
    return _before(other.low, one.high)


def _equal(left: Value, right: Value) -> bool:
    verdict = equality.same(left, right)
    if verdict is None:
        raise _Unordered
    return verdict


def _before(left: Value, right: Value) -> bool:
    if _equal(left, right):
        return False
    one, other = _size(left), _size(right)
    if abs(one - other) <= 1e-9 * (abs(one) + abs(other)):
        raise _Unordered
    return one < other


def _size(value: Value) -> float:
    ((monomial, factor), *rest) = value.top.items() if value.top else (((), 0),)
    if not rest and monomial == ((exact.INFINITY, 1),):
        return 1e300 if factor > 0 else -1e300
    size = equality.approximate(value)
    if size is None or abs(size.imag) > 0:
        raise _Unordered
    return size.real


def same_range(left: list[Interval], right: list[Interval]) -> bool | None:
    """Whether two ranges are the same set; None where ends cannot be told apart."""
    try:
        if len(left) != len(right):
            return False
        return all(
            one.low_closed == other.low_closed
            and one.high_closed == other.high_closed
            and _equal(one.low, other.low)
            and _equal(one.high, other.high)
            for one, other in zip(left, right, strict=True)
        )
    except _Unordered:
        return None
