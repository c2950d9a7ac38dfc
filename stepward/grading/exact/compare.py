"""Whether two answers' shapes are the same: True, False, or None where only algebra could tell.

The policies about order, brackets, names and units are here; `docs/grading.md` lists them. False is said only of
what is certain: two values that differ, parts whose number differs, words that are other words.
"""

from stepward.grading.exact import equality
from stepward.grading.exact import values as exact
from stepward.grading.exact.bounds import CONSTANTS, bounds_of, constant, is_letter
from stepward.grading.exact.intervals import as_range, same_range
from stepward.grading.exact.parser import Scalar
from stepward.grading.exact.structure import (
    Bracketed,
    FiniteSet,
    Matrix,
    NamedSet,
    OrderedTuple,
    Relation,
    SetExpression,
    Shape,
    SingleValue,
    Words,
)
from stepward.grading.exact.values import ParseError, Value
from stepward.grading.units import is_rounded

MACHINE_DIGITS = 15
"""Significant digits from which a decimal is taken for a machine's rounding of an exact number."""
DOUBLE_DIGITS = 17
"""Significant digits up to which a decimal can be a root's: those that a double prints."""
LONE_UNITS = frozenset(["s", "m", "g", "L"])
"""Letters that are a unit where they stand behind a number and the other answer is that number."""


def is_equivalent(left: Shape, right: Shape) -> bool | None:
    """Compare two shapes; the order of the two does not matter.

    Raises:
        Unreadable: Deciding it would take too long.
    """
    if isinstance(left, Relation) or isinstance(right, Relation):
        return _same_with_relation(left, right)
    if isinstance(left, SingleValue) and isinstance(right, SingleValue):
        return _same_single(left, right)
    if isinstance(left, FiniteSet) or isinstance(right, FiniteSet):
        verdict = _same_several(left, right)
        if verdict is not None:
            return verdict
    if isinstance(left, Matrix) and isinstance(right, Matrix):
        return _same_matrix(left, right)
    if isinstance(left, OrderedTuple) and isinstance(right, OrderedTuple):
        return _same_ordered(left, right)
    if isinstance(left, Bracketed) and isinstance(right, Bracketed):
        if (left.opening, left.closing) != (right.opening, right.closing):
            return False
        return _all_same(left.parts, right.parts)
    if isinstance(left, Words) and isinstance(right, Words):
        return _letters(left.text) == _letters(right.text)
    if isinstance(left, NamedSet) and isinstance(right, NamedSet):
        return left.sign == right.sign
    pieces_left, pieces_right = as_range(left), as_range(right)
    for pieces, other in ((pieces_left, right), (pieces_right, left)):
        # A set of more than one point is no value.
        if pieces is not None and isinstance(other, SingleValue | Matrix | Words) and len(pieces) > 1:
            return False if not isinstance(other, Words) else None
    if pieces_left is not None and pieces_right is not None:
        return same_range(pieces_left, pieces_right)
    return _same_kinds(left, right)


def _same_kinds(left: Shape, right: Shape) -> bool | None:
    """Of two shapes of different kinds, or of one that has no normal form."""
    if isinstance(left, SetExpression) and isinstance(right, SetExpression) and left.sign == right.sign == "\\cup":
        matched = _matched(left.parts, right.parts)
        return True if matched else None
    kinds = {type(left), type(right)}
    # Unions and named sets can hide any set; words may name one ("all real numbers").
    if kinds & {SetExpression, NamedSet} or len(kinds) == 1:
        return None
    return False


def _letters(text: str) -> str:
    """The text without spaces and punctuation."""
    return "".join(character for character in text if character.isalnum() or character in "-+")


def _same_single(left: SingleValue, right: SingleValue) -> bool | None:
    shared = min(len(left.unit), len(right.unit))
    verdict = same_scalar(left.scalar, right.scalar)
    if verdict is False:
        if not left.unit and not right.unit:
            return _same_but_a_lone_unit(left.scalar.value, right.scalar.value)
        return False
    if verdict is None:
        return None
    return left.unit[:shared] == right.unit[:shared]


def _same_but_a_lone_unit(left: Value, right: Value) -> bool:
    """Whether the two are `3` and `3 s`."""
    for number, measured in ((left, right), (right, left)):
        value = exact.rational(number)
        if value is not None and measured.bottom is None and len(measured.top) == 1:
            ((monomial, factor),) = measured.top.items()
            if factor == value and len(monomial) == 1 and monomial[0][0] in LONE_UNITS and monomial[0][1] == 1:
                return True
    return False


def same_scalar(left: Scalar, right: Scalar) -> bool | None:
    """Compare two values; a decimal of `MACHINE_DIGITS` digits or more equals what it is rounded or cut from."""
    verdict = equality.same(left.value, right.value)
    if verdict is True:
        return True
    if (left.places is None) != (right.places is None):
        written, meant = (left, right.value) if left.places is not None else (right, left.value)
        if written.significant >= MACHINE_DIGITS and _is_rounded(written, meant):
            return True
    return verdict


def _is_rounded(written: Scalar, meant: Value) -> bool:
    """Whether a decimal is a value to within one unit of its last place."""
    number, fraction, places = exact.rational(written.value), exact.rational(meant), written.places or 0
    if number is None:
        return False
    if fraction is not None:
        return fraction.denominator != 1 and is_rounded(number, fraction, places)
    # The comparison is in doubles, so that of a root no more digits can be checked than a double has.
    size = equality.approximate(meant)
    if size is None or written.significant > DOUBLE_DIGITS:
        return False
    return abs(float(number) - size) <= 10.0**-places + 4e-16 * abs(size)


def _same_several(left: Shape, right: Shape) -> bool | None:
    """Compare where one side is unordered; one value alone is a list of one."""
    for named, other in ((left, right), (right, left)):
        values = _named_values(named)
        if values is not None and isinstance(other, FiniteSet | Bracketed) and _named_values(other) is None:
            # "x = 3, y = 4" is (3, 4) and the list 3, 4, but not 4, 3.
            return _all_same(values, other.parts)
    parts: list[tuple[Shape, ...]] = []
    for side in (left, right):
        if isinstance(side, FiniteSet):
            parts.append(_distinct(side.parts))
        elif isinstance(side, SingleValue | Matrix | OrderedTuple):
            parts.append((side,))
        elif isinstance(side, Bracketed):
            # {1} against (1, 2): a list of one point is that point.
            parts.append((side,))
        elif isinstance(side, Words):
            return False
        else:
            return None
    if len(parts[0]) != len(parts[1]):
        return False
    return _matched(parts[0], parts[1])


def _named_values(shape: Shape) -> tuple[Shape, ...] | None:
    """The values of a list in which each has a name, and not all the same: `x = 3, y = 4`."""
    if not isinstance(shape, FiniteSet):
        return None
    values, names = [], set()
    for part in shape.parts:
        value = _named_value(part) if isinstance(part, Relation) and part.name else None
        if value is None or not isinstance(part, Relation):
            return None
        values.append(value)
        names.add((part.name or "").partition("_")[0])
    return tuple(values) if len(names) > 1 else None


def _distinct(parts: tuple[Shape, ...]) -> tuple[Shape, ...]:
    kept: list[Shape] = []
    for part in parts:
        if len(kept) > 60:
            raise ParseError
        if not any(is_equivalent(part, other) is True for other in kept):
            kept.append(part)
    return tuple(kept)


def _matched(left: tuple[Shape, ...], right: tuple[Shape, ...]) -> bool | None:
    """Whether the parts are the same in some order."""
    if len(left) != len(right):
        return False
    open_parts = list(right)
    undecided = False
    for part in left:
        verdicts = [is_equivalent(part, other) for other in open_parts]
        if True in verdicts:
            open_parts.pop(verdicts.index(True))
        elif None in verdicts:
            undecided = True
        else:
            return False
    return None if undecided else True


def _all_same(left: tuple[Shape, ...], right: tuple[Shape, ...]) -> bool | None:
    """Whether the parts are the same in this order."""
    if len(left) != len(right):
        return False
    undecided = False
    for one, other in zip(left, right, strict=True):
        verdict = is_equivalent(one, other)
        if verdict is False:
            return False
        undecided |= verdict is None
    return None if undecided else True


def _same_matrix(left: Matrix, right: Matrix) -> bool | None:
    if [len(row) for row in left.rows] != [len(row) for row in right.rows]:
        return False
    return _all_same(
        tuple(cell for row in left.rows for cell in row), tuple(cell for row in right.rows for cell in row)
    )


def _same_ordered(left: OrderedTuple, right: OrderedTuple) -> bool | None:
    if left.sign != right.sign:
        return False
    return _all_same(left.parts, right.parts)


def _same_with_relation(left: Shape, right: Shape) -> bool | None:
    if isinstance(left, Relation) and isinstance(right, Relation):
        return _same_relations(left, right)
    relation, other = (left, right) if isinstance(left, Relation) else (right, left)
    assert isinstance(relation, Relation)
    if isinstance(other, FiniteSet):
        # "x = 5" against the list "5".
        value = _named_value(relation)
        return False if value is None else is_equivalent(value, other)
    value = _named_value(relation)
    if value is not None:
        return is_equivalent(value, other)
    pieces, range_of_other = bounds_of(relation), as_range(other)
    if pieces is not None and range_of_other is not None:
        return same_range(pieces[1], range_of_other)
    if isinstance(other, SingleValue | Words | Matrix):
        # A value is no equation, and no inequality: "a + 3z = 0" is not 0, and "1 = 2" is not 2.
        return False
    return None


def _named_value(relation: Relation) -> Shape | None:
    r"""What a relation's name is: 5 of `x = 5`, `5 = x`, `2 + 3 = 5` and `x \in \{5\}`; None where it names nothing.

    A chain of values has to be true: `x = 4 = 5` names nothing.
    """
    cut = next((index for index, sign in enumerate(relation.signs) if sign == "\\approx" and index), None)
    signs = relation.signs if cut is None else relation.signs[:cut]
    members = relation.members if cut is None else relation.members[: cut + 1]
    if signs in (("\\in",), ("\\approx",)) and relation.name:
        return members[1]
    if signs == ("\\approx",):
        return members[0]
    if any(sign not in ("=", "\\equiv") for sign in signs):
        return None
    values = members[1:] if relation.name else members
    while relation.name and len(values) > 1 and is_letter(values[0]):
        values = values[1:]
    if not relation.name and len(members) == 2 and is_letter(members[1]):
        return members[0]
    last = values[-1]
    if last is None or any(value is None or is_equivalent(value, last) is not True for value in values[:-1]):
        return None
    if not relation.name and not all(isinstance(value, SingleValue) and constant(value) for value in values):
        return None
    return last


def _same_relations(left: Relation, right: Relation) -> bool | None:
    value_left, value_right = _named_value(left), _named_value(right)
    if left.signs == right.signs and left.name == right.name and len(left.members) == len(right.members):
        start = 1 if left.name else 0
        pairs = list(zip(left.members[start:], right.members[start:], strict=True))
        if all(one is not None and other is not None and is_equivalent(one, other) is True for one, other in pairs):
            return True
    if value_left is not None and value_right is not None and left.name == right.name:
        return is_equivalent(value_left, value_right)
    bounds_left, bounds_right = bounds_of(left), bounds_of(right)
    if bounds_left is not None and bounds_right is not None:
        return bounds_left[0] == bounds_right[0] and same_range(bounds_left[1], bounds_right[1])
    if left.signs == right.signs == ("=",):
        return _same_equations(left, right)
    for one, other in ((bounds_left, value_right), (bounds_right, value_left)):
        pieces = None if other is None else as_range(other)
        if one is not None and pieces is not None:
            return same_range(one[1], pieces)
    return None


def _same_equations(left: Relation, right: Relation) -> bool | None:
    """Two equations are the same where one is a multiple of the other; lines that are not are not."""
    sides: list[exact.Polynomial] = []
    for relation in (left, right):
        first, second = relation.members
        if not isinstance(first, SingleValue) or not isinstance(second, SingleValue):
            return None
        difference = exact.add(first.scalar.value, exact.negative(second.scalar.value))
        if not difference.top:
            return None
        if difference.bottom is not None:
            return None
        leading = max(difference.top)
        factor = difference.top[leading]
        sides.append({monomial: coefficient / factor for monomial, coefficient in difference.top.items()})
    if sides[0] == sides[1]:
        return True
    linear = all(
        sum(degree for _, degree in monomial) <= 1
        and all(name[0] not in "#?" and name not in CONSTANTS for name, _ in monomial)
        for side in sides
        for monomial in side
    )
    return False if linear and all(any(monomial for monomial in side) for side in sides) else None
