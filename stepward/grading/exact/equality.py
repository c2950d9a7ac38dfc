"""Whether two exact values are equal, and about how large they are.

Equal normal forms are equal values. Where they differ, both are computed at some points in floating point: a clear
difference there is one, and anything else is left undecided.
"""

import math
from collections.abc import Callable

from stepward.grading.exact.values import IMAGINARY, INFINITY, ONE, PI, E, OpaqueFunction, Polynomial, Value, product


def same(left: Value, right: Value) -> bool | None:
    """Whether two values are equal; None where that takes algebra.

    Raises:
        Unreadable: The products that decide it grow too large.
    """
    if left.bottom == right.bottom:
        one, other = left.top, right.top
    else:
        one = product(left.top, right.bottom or ONE.top)
        other = product(right.top, left.bottom or ONE.top)
    if one == other:
        return True
    names = {name for side in (one, other) for monomial in side for name, _ in monomial}
    if not ({PI, E} <= names or any(name[0] == "?" for name in names)):
        return False
    return False if _differ_somewhere(left, right) else None


_POINTS = (1.37, 2.61, 0.43)
"""What variables near the start of the alphabet stand for; the others are spread from it."""


def _differ_somewhere(left: Value, right: Value) -> bool:
    """Whether the two have clearly different real values at two points."""
    different = 0
    for point in _POINTS:
        one, other = approximate(left, point), approximate(right, point)
        if one is None or other is None:
            continue
        if abs(one - other) <= 1e-6 * (abs(one) + abs(other)):
            return False
        different += 1
    return different >= 2


def approximate(value: Value, point: float | None = None) -> complex | None:
    """The value to about 12 digits of its largest term.

    Args:
        value: The value.
        point: Where variables lie, each at its own place that this sets; None where there may be no variable.

    Returns:
        None for what has variables and no point, what is not real on the way, and what cancels to nearly nothing.
    """
    try:
        top, bottom = _approximate(value.top, point), _approximate(value.bottom or ONE.top, point)
        return None if top is None or not bottom else top / bottom
    except (ArithmeticError, ValueError):
        return None


_CONSTANTS: dict[str, complex] = {IMAGINARY: 1j, PI: math.pi, E: math.e}


def _approximate(polynomial: Polynomial, point: float | None) -> complex | None:
    total: complex = 0.0
    largest = 0.0
    for monomial, factor in polynomial.items():
        term: complex = float(factor)
        for name, exponent in monomial:
            base = _place(name, point)
            if base is None:
                return None
            term *= base ** (exponent if isinstance(exponent, int) else float(exponent))
        total += term
        largest = max(largest, abs(term))
    # What cancels to nearly nothing has no digits left.
    return total if not polynomial or abs(total) > 1e-3 * largest else None


def _place(name: str, point: float | None) -> complex | None:
    """The size of an atom; None where it has none, or no real one."""
    if name[0] == "#":
        return float(name[1:])
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    if isinstance(name, OpaqueFunction):
        sizes = [approximate(argument, point) for argument in name.arguments]
        if any(size is None or size.imag for size in sizes):
            return None
        reals = [size.real for size in sizes if size is not None]
        return _FUNCTIONS[name.function](*reals) if name.function in _FUNCTIONS else None
    if point is None or name == INFINITY:
        return None
    # Different variables lie at different places, the same one always at the same.
    return point + sum(ord(character) * 0.0137 for character in name) % 1.0


def _positive(size: float) -> float:
    if size <= 0:
        raise ValueError
    return size


_FUNCTIONS: dict[str, Callable[..., float]] = {
    "": _positive,
    "^": lambda base, exponent: _positive(base) ** exponent,
    "\\sin": math.sin,
    "\\cos": math.cos,
    "\\tan": math.tan,
    "\\sec": lambda angle: 1 / math.cos(angle),
    "\\csc": lambda angle: 1 / math.sin(angle),
    "\\cot": lambda angle: 1 / math.tan(angle),
    "\\ln": math.log,
    "\\log_": lambda size, base: math.log(size) / math.log(base),
}
