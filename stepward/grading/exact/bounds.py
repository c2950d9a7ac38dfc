"""What a relation between values says of a variable: intervals that it may lie in."""

from stepward.grading.exact import equality
from stepward.grading.exact import values as exact
from stepward.grading.exact.intervals import Interval, as_range
from stepward.grading.exact.structure import Relation, Shape, SingleValue
from stepward.grading.exact.values import Value


def is_letter(shape: Shape | None) -> bool:
    """Whether a shape is one variable alone."""
    if not isinstance(shape, SingleValue):
        return False
    value = shape.scalar.value
    return (
        value.bottom is None
        and len(value.top) == 1
        and variable(value) is not None
        and value.top == exact.atom(variable(value) or "").top
    )


def variable(value: Value) -> str | None:
    """The only variable in a polynomial; None where there is none, or another."""
    names = {name for monomial in value.top for name, _ in monomial if name[0] != "#" and name not in CONSTANTS}
    return names.pop() if len(names) == 1 and value.bottom is None else None


CONSTANTS = frozenset([exact.PI, exact.E, exact.IMAGINARY, exact.INFINITY])


def constant(single: SingleValue) -> bool:
    """Whether a value has no variable."""
    value = single.scalar.value
    sides = (value.top, value.bottom or {})
    return all(name[0] == "#" or name in CONSTANTS for side in sides for term in side for name, _ in term)


def bounds_of(relation: Relation) -> tuple[str, list[Interval]] | None:
    r"""The variable that a relation bounds, and the range it leaves to it: (1, 3] of `1 < x \\le 3`."""
    signs, members = relation.signs, relation.members
    if len(signs) == 1 and signs[0] == "\\in" and relation.name and members[1] is not None:
        pieces = as_range(members[1])
        return None if pieces is None else (relation.name, pieces)
    if any(sign not in ("<", ">", "\\le", "\\ge", "\\ne") for sign in signs):
        return None
    if len(signs) == 2:
        return _between(relation)
    if len(signs) != 1:
        return None
    if relation.name and isinstance(members[1], SingleValue) and constant(members[1]):
        return _one_sided(relation.name, signs[0], members[1].scalar.value)
    return _linear_bound(signs[0], members)


_FLIPPED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "\\ne": "\\ne"}


def _linear_bound(sign: str, members: tuple[Shape | None, ...]) -> tuple[str, list[Interval]] | None:
    first, second = members
    if not isinstance(first, SingleValue) or not isinstance(second, SingleValue):
        return None
    difference = exact.add(first.scalar.value, exact.negative(second.scalar.value))
    name = variable(difference)
    if name is None:
        return None
    slope = difference.top.get(((name, 1),))
    rest = {monomial: factor for monomial, factor in difference.top.items() if monomial != ((name, 1),)}
    if slope is None or any(part == name for monomial in rest for part, _ in monomial):
        return None
    bound = exact.multiply(Value(rest), exact.number(-1 / slope))
    return _one_sided(name, _FLIPPED[sign] if slope < 0 else sign, bound)


def _one_sided(name: str, sign: str, bound: Value) -> tuple[str, list[Interval]] | None:
    low, high = exact.negative(exact.atom(exact.INFINITY)), exact.atom(exact.INFINITY)
    if equality.approximate(bound) is None:
        return None
    if sign == "\\ne":
        return name, [Interval(low, False, bound, False), Interval(bound, False, high, False)]
    if sign in ("<", "\\le"):
        return name, [Interval(low, False, bound, sign == "\\le")]
    return name, [Interval(bound, sign == "\\ge", high, False)]


def _between(relation: Relation) -> tuple[str, list[Interval]] | None:
    first, middle, last = relation.members
    signs = relation.signs
    if not isinstance(first, SingleValue) or not isinstance(last, SingleValue) or not isinstance(middle, SingleValue):
        return None
    if not is_letter(middle) or not constant(first) or not constant(last):
        return None
    name = variable(middle.scalar.value)
    if name is None or ({signs[0].strip("\\"), signs[1].strip("\\")} - {"<", "le"} and {*signs} - {">", "\\ge"}):
        return None
    if signs[0] in (">", "\\ge"):
        first, last, signs = last, first, (_FLIPPED[signs[1]], _FLIPPED[signs[0]])
    return name, [Interval(first.scalar.value, signs[0] == "\\le", last.scalar.value, signs[1] == "\\le")]
