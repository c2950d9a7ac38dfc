r"""Exact values: quotients of polynomials over the rationals in variables, radicals of primes, i, pi, e and functions.

Every value has a normal form that is reached by adding and multiplying alone, so that equality is decided, not
searched for. Radicals p^(a/b) of different primes, with exponents between 0 and 1, are linearly independent over
the rationals (Besicovitch 1940), pi and e are transcendental, and variables are free: two polynomials in these are
equal only if they are the same. A function such as sin(2), and a root of a sum, is taken as it stands: equal where
its argument is, and otherwise undecided. Sizes are bounded; what would grow past the bounds is refused.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

MAX_BITS = 40_000
"""Most bits of an integer: 2^2005, 2006! and 10^10000 are read, towers are not."""
MAX_TERMS = 120
MAX_POWER = 24
"""Highest power to which a sum is raised."""
IMAGINARY, PI, E, INFINITY = "\\i", "\\pi", "\\e", "\\infty"

Monomial = tuple[tuple[str, Fraction | int], ...]
"""Atoms with their exponents, in the atoms' order."""
Polynomial = dict[Monomial, Fraction]
"""Coefficients, none of them zero."""


class ParseError(Exception):
    """The text is not one of the values that are read here, or a value would grow too large."""


class OpaqueFunction(str):
    r"""The name of what is taken as it stands: a function of a value, a root of a sum, a power.

    Attributes:
        function: `\\sin`, `\\log` and so on; empty for what stands under a root, `^` for a power.
        arguments: The values it is of.
    """

    function: str
    arguments: "tuple[Value, ...]"


def opaque(function: str, *arguments: "Value") -> OpaqueFunction:
    """The name of a function of values; equal values give equal names."""
    name = OpaqueFunction(f"?{function}({', '.join(key(argument) for argument in arguments)})")
    name.function, name.arguments = function, arguments
    return name


@dataclass(frozen=True, slots=True)
class Value:
    """A quotient of two polynomials.

    Attributes:
        top: The numerator.
        bottom: The denominator; None for one.
    """

    top: Polynomial
    bottom: Polynomial | None = None


def number(value: Fraction | int) -> Value:
    """A rational number."""
    return Value({(): Fraction(value)} if value else {})


def atom(name: str) -> Value:
    """A variable or constant. Numbers' radicals start with `#`, what is not free of relations with `?`."""
    return Value({((name, 1),): Fraction(1)})


ONE = number(1)


def rational(value: Value) -> Fraction | None:
    """The value as a rational number; None where it is none."""
    if value.bottom is None:
        if not value.top:
            return Fraction(0)
        if len(value.top) == 1:
            return value.top.get(())
    return None


def add(left: Value, right: Value) -> Value:
    """The sum."""
    if left.bottom == right.bottom:
        return Value(_sum(left.top, right.top), left.bottom)
    bottom_left, bottom_right = left.bottom or ONE.top, right.bottom or ONE.top
    top = _sum(product(left.top, bottom_right), product(right.top, bottom_left))
    return Value(top, product(bottom_left, bottom_right))


def negative(value: Value) -> Value:
    """The value with the other sign."""
    return Value({monomial: -factor for monomial, factor in value.top.items()}, value.bottom)


def multiply(left: Value, right: Value) -> Value:
    """The product."""
    top = product(left.top, right.top)
    if left.bottom is None or right.bottom is None:
        return Value(top, left.bottom or right.bottom)
    return Value(top, product(left.bottom, right.bottom))


def inverse(value: Value) -> Value:
    """One over the value.

    Raises:
        Unreadable: The value is zero.
    """
    if not value.top:
        raise ParseError
    if len(value.top) == 1:
        ((monomial, factor),) = value.top.items()
        turned = _term([(name, -power) for name, power in monomial], 1 / factor)
        return Value(turned if value.bottom is None else product(turned, value.bottom))
    return Value(value.bottom or ONE.top, value.top)


def power(base: Value, exponent: Value) -> Value:
    """The base to the exponent.

    Raises:
        Unreadable: The power would be too large, or it is 0 to 0 or below.
    """
    exact = rational(exponent)
    if exact is None:
        if base == ONE:
            return ONE
        return atom(opaque("^", base, exponent))
    if exact.denominator != 1:
        return _root_power(base, exact)
    if not base.top and exact <= 0:
        raise ParseError
    if exact < 0:
        base, exact = inverse(base), -exact
    return _whole_power(base, int(exact))


def _whole_power(base: Value, exponent: int) -> Value:
    if len(base.top) <= 1 and base.bottom is None:
        if not base.top:
            return base if exponent else ONE
        ((monomial, factor),) = base.top.items()
        bits = _bits(factor)
        if (bits if abs(factor) != 1 or bits > 1 else 0) * exponent > MAX_BITS or exponent > MAX_BITS:
            raise ParseError
        return Value(_term([(name, degree * exponent) for name, degree in monomial], factor**exponent))
    if exponent > MAX_POWER:
        raise ParseError
    product = ONE
    for _ in range(exponent):
        product = multiply(product, base)
    return product


def _root_power(base: Value, exponent: Fraction) -> Value:
    """A root, or a power of one."""
    if exponent.denominator > 100 or abs(exponent.numerator) > 1000:
        raise ParseError
    exact = rational(base)
    if exact is not None:
        return _number_power(exact, exponent)
    if base.bottom is None and len(base.top) == 1:
        ((monomial, factor),) = base.top.items()
        if len(monomial) == 1 and monomial[0][1] == 1 and monomial[0][0] not in (IMAGINARY, INFINITY):
            return multiply(_number_power(factor, exponent), Value(_term([(monomial[0][0], exponent)], Fraction(1))))
    if exponent < 0:
        return inverse(_root_power(base, -exponent))
    return Value(_term([(opaque("", base), exponent)], Fraction(1)))


def _number_power(base: Fraction, exponent: Fraction) -> Value:
    """A rational number to a fractional power, as radicals of primes."""
    if not base:
        if exponent <= 0:
            raise ParseError
        return number(0)
    factors: list[tuple[str, Fraction | int]] = []
    if base < 0:
        # The real cube root and the principal one differ: only square roots have one reading.
        if exponent.denominator != 2:
            raise ParseError
        factors.append((IMAGINARY, exponent.numerator))
    for integer, sign in ((abs(base.numerator), 1), (base.denominator, -1)):
        for prime, count in _primes(integer):
            if prime.bit_length() * abs(count * exponent) > MAX_BITS:
                raise ParseError
            factors.append((f"#{prime}", sign * count * exponent))
    return Value(_term(factors, Fraction(1)))


_SMALL_PRIMES = [n for n in range(2, 1000) if all(n % d for d in range(2, math.isqrt(n) + 1))]


def _primes(integer: int) -> list[tuple[int, int]]:
    """The prime factors with their powers; of a large one, only where trial division finds them."""
    if integer.bit_length() > 256:
        raise ParseError
    found = []
    for prime in _SMALL_PRIMES:
        if prime * prime > integer:
            break
        count = 0
        while integer % prime == 0:
            integer //= prime
            count += 1
        if count:
            found.append((prime, count))
    if integer > 1:
        root = math.isqrt(integer)
        count = 2 if root * root == integer else 1
        integer = root if count == 2 else integer
        if integer > 1_000_000:  # perhaps no prime
            raise ParseError
        found.append((integer, count))
    return found


def _term(factors: list[tuple[str, Fraction | int]], coefficient: Fraction) -> Polynomial:
    """One term in normal form: i squared is -1, and whole powers of a radical's number join the coefficient."""
    powers: dict[str, Fraction | int] = {}
    for name, exponent in factors:
        powers[name] = powers.get(name, 0) + exponent
    kept: list[tuple[str, Fraction | int]] = []
    for name in sorted(powers):
        exponent = powers[name]
        if name == INFINITY and (exponent != 1 or len(powers) > 1):
            raise ParseError
        if name == IMAGINARY:
            turns = int(exponent) % 4
            coefficient = -coefficient if turns >= 2 else coefficient
            exponent = turns % 2
        elif name[0] == "#":
            whole = math.floor(exponent)
            coefficient *= Fraction(int(name[1:])) ** whole
            exponent -= whole
        if exponent:
            kept.append((name, int(exponent) if exponent == int(exponent) else exponent))
    return {tuple(kept): coefficient}


def _sum(left: Polynomial, right: Polynomial) -> Polynomial:
    total = dict(left)
    for monomial, factor in right.items():
        factor += total.get(monomial, 0)
        if factor:
            total[monomial] = factor
        else:
            del total[monomial]
    if len(total) > 1 and any(name == INFINITY for monomial in total for name, _ in monomial):
        raise ParseError
    return total


def product(left: Polynomial, right: Polynomial) -> Polynomial:
    """The product of two polynomials.

    Raises:
        Unreadable: It grows too large.
    """
    if len(left) * len(right) > 20 * MAX_TERMS:
        raise ParseError
    total: Polynomial = {}
    for monomial, factor in left.items():
        for other, coefficient in right.items():
            if _bits(factor) + _bits(coefficient) > 2 * MAX_BITS:
                raise ParseError
            if not monomial or not other:
                term = {monomial or other: factor * coefficient}
            else:
                term = _term([*monomial, *other], factor * coefficient)
            for name, addend in term.items():
                total[name] = total.get(name, Fraction(0)) + addend
    total = {monomial: factor for monomial, factor in total.items() if factor}
    if len(total) > MAX_TERMS:
        raise ParseError
    return total


def _bits(factor: Fraction) -> int:
    return max(factor.numerator.bit_length(), factor.denominator.bit_length())


def key(value: Value) -> str:
    """The value's normal form as text: the same for equal values with the same denominator.

    Raises:
        Unreadable: The value is too long to name something by.
    """
    # A denominator may be scaled freely, so it is scaled to one leading coefficient.
    top, bottom = value.top, value.bottom
    if bottom is not None:
        scale = bottom[min(bottom)]
        top = {monomial: factor / scale for monomial, factor in top.items()}
        bottom = {monomial: factor / scale for monomial, factor in bottom.items()}
    if any(_bits(factor) > 1000 for side in (top, bottom or {}) for factor in side.values()):
        raise ParseError
    text = _written(top) + ("" if bottom is None else f"/{_written(bottom)}")
    if len(text) > 1000:
        raise ParseError
    return text


def _written(polynomial: Polynomial) -> str:
    return "+".join(
        "*".join([str(polynomial[monomial]), *(f"{name}^{exponent}" for name, exponent in monomial)])
        for monomial in sorted(polynomial, key=str)
    )
