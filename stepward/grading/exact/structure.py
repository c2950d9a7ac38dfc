r"""Reading a whole answer: a value, a point, an interval, a set, a list, a matrix, a relation, or words.

The answer is cut at the signs that bind least: first lists, then unions, then relations, then brackets, and what
remains is one expression (`stepward.grading.exact.parser`). Policies about writing are kept here; comparing is in
`stepward.grading.exact.compare`.
"""

from dataclasses import dataclass

from stepward.grading.exact.lexer import LexError, Token, tokenize
from stepward.grading.exact.parser import Scalar, read_scalar
from stepward.grading.exact.values import ParseError
from stepward.grading.units import unit_name

_OPEN = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "<(": ")>"}
_RELATIONS = frozenset(["=", "<", ">", "\\le", "\\ge", "\\ne", "\\approx", "\\in", "\\equiv", "\\to"])
_MATRICES = frozenset(["matrix", "pmatrix", "bmatrix", "Bmatrix", "array", "smallmatrix"])


@dataclass(frozen=True, slots=True)
class SingleValue:
    """A value, with its unit: words in small letters, `%`, `$` or `degree`; often none."""

    scalar: Scalar
    unit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bracketed:
    """Parts in order between two brackets: a point, a tuple or an interval."""

    opening: str
    closing: str
    parts: tuple["Shape", ...]


@dataclass(frozen=True, slots=True)
class FiniteSet:
    """Parts in no order: a set, an unbracketed list, or both values of a plus-minus."""

    parts: tuple["Shape", ...]


@dataclass(frozen=True, slots=True)
class OrderedTuple:
    """Parts whose order counts: a ratio (sign `:`), a list with an ellipsis (`...`)."""

    sign: str
    parts: tuple["Shape", ...]


@dataclass(frozen=True, slots=True)
class SetExpression:
    r"""Sets joined by one sign: `\\cup`, `\\cap` or `\\setminus`."""

    sign: str
    parts: tuple["Shape", ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix or a vector, row by row."""

    rows: tuple[tuple["Shape", ...], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """Members joined by signs, `a < b = c`.

    Attributes:
        signs: The signs between the members.
        members: The members; None for one that cannot be read.
        name: The first member's text, where it only names the rest (`x`, `f(x)`, `AB`, `(p,q)`, `V_1:V_2`).
    """

    signs: tuple[str, ...]
    members: tuple["Shape | None", ...]
    name: str | None


@dataclass(frozen=True, slots=True)
class Words:
    """Text, in small letters; also what has a meaning of its own, as a number in another base or an ellipsis."""

    text: str


@dataclass(frozen=True, slots=True)
class NamedSet:
    r"""A set with a name: `\\R`, `\\Z`."""

    sign: str


Shape = SingleValue | Bracketed | FiniteSet | OrderedTuple | SetExpression | Matrix | Relation | Words | NamedSet


def read_shape(text: str) -> Shape:
    """The shape of an answer.

    Raises:
        Unreadable: It is none of the shapes; algebra may know it.
    """
    try:
        return _shape(tokenize(text), 0)
    except (LexError, ArithmeticError, RecursionError):
        raise ParseError from None


def _shape(tokens: list[Token], depth: int) -> Shape:
    if depth > 20 or not tokens:
        raise ParseError
    while tokens and tokens[-1].text in (",", ";", "\\\\") and len(tokens) > 1:
        tokens = tokens[:-1]
    for separators in ((";",), (",", "and", "or")):
        parts = _split(tokens, separators)
        if len(parts) > 1:
            # "19, 46, and 82" leaves nothing between the comma and the word.
            return _list([_shape(part, depth + 1) for part in parts if part])
    combined = _combined(tokens, depth)
    if combined is not None:
        return combined
    relation = _relation(tokens, depth)
    return relation if relation is not None else _term(tokens, depth)


def _list(parts: list[Shape]) -> Shape:
    if Words("...") in parts:
        return OrderedTuple("...", tuple(parts))
    flat: list[Shape] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, FiniteSet) else [part])
    return FiniteSet(tuple(flat))


def _split(tokens: list[Token], separators: tuple[str, ...]) -> list[list[Token]]:
    """The tokens cut at the separators that no bracket holds."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        text = token.text
        if token.kind != "word" and (text in ("(", "[", "{", "\\{", "<(") or text.startswith("\\begin ")):
            depth += 1
        elif token.kind != "word" and (text in (")", "]", "}", "\\}", ")>") or text.startswith("\\end ")):
            depth -= 1
        if depth < 0:
            raise ParseError
        if depth == 0 and text in separators and (token.kind == "sign" or text in ("and", "or")):
            parts.append([])
        else:
            parts[-1].append(token)
    if depth:
        raise ParseError
    return parts


def _combined(tokens: list[Token], depth: int) -> Shape | None:
    for sign in ("\\cup", "\\setminus", "\\cap"):
        parts = _split(tokens, (sign,))
        if len(parts) > 1:
            # In "x \in A \cup B" the sign belongs behind the relation.
            if any(token.text == "\\in" for token in parts[0]):
                return None
            return SetExpression(sign, tuple(_shape(part, depth + 1) for part in parts))
    return None


def _relation(tokens: list[Token], depth: int) -> Relation | None:
    parts: list[list[Token]] = [[]]
    signs: list[str] = []
    level = 0
    for token in tokens:
        text = token.text if token.kind == "sign" else ""
        if text in _OPEN or text.startswith("\\begin "):
            level += 1
        elif text in _OPEN.values() or text.startswith("\\end "):
            level -= 1
        if level == 0 and text in _RELATIONS:
            signs.append(text)
            parts.append([])
        else:
            parts[-1].append(token)
    if not signs:
        return None
    name = _name(parts[0])
    members: list[Shape | None] = []
    for index, part in enumerate(parts):
        try:
            members.append(_shape(part, depth + 1))
        except ParseError:
            # A name need not be read, and what stands behind "about equal" says nothing.
            if not (index == 0 and name) and (not index or signs[index - 1] != "\\approx"):
                raise
            members.append(None)
    return Relation(tuple(signs), tuple(members), name)


def _name(tokens: list[Token]) -> str | None:
    """The text of tokens that name a quantity; None where they are more than a name."""
    letters = [token for token in tokens if token.kind == "letter" or (token.kind == "sign" and token.text[:1] == "\\")]
    allowed = frozenset(["_", "{", "}", "(", ")", ",", ":", "|", "'", "^"])
    if not letters or len(tokens) > 24 or (tokens[0].text == "\\frac" and any(t.kind == "number" for t in tokens)):
        return None
    previous = ""
    plain_letters = 0
    for token in tokens:
        if token.kind == "number" and previous not in ("_", "{", "_{", "(", ","):
            return None
        if token.kind == "word" or (token.kind == "sign" and token.text[:1] != "\\" and token.text not in allowed):
            return None
        if token.kind == "sign" and token.text in ("\\sqrt", "\\sin", "\\cos", "\\{", "\\pm", "\\pi", "\\log", "\\ln"):
            return None
        plain_letters += token.kind == "letter" and token.text.islower() and previous not in ("_", "{", "(", ",")
        previous = token.text
    # "xy = 6" is an equation in two variables, "AB = 6" and "f(x) = 6" name what is 6.
    return "".join(token.text for token in tokens) if plain_letters <= 1 else None


def _term(tokens: list[Token], depth: int) -> Shape:
    """A shape without separators, unions and relations outside of brackets."""
    if not tokens:
        raise ParseError
    first, last = tokens[0].text, tokens[-1].text
    if len(tokens) == 1 and first == "\\ldots":
        return Words("...")
    if len(tokens) == 1 and first in ("\\R", "\\Z", "\\N", "\\Q", "\\C"):
        return NamedSet(first)
    if len(tokens) == 1 and first == "\\emptyset":
        return FiniteSet(())
    if first.startswith("\\begin ") and last.startswith("\\end "):
        return _matrix(tokens, depth)
    if first in _OPEN and last in (")", "]", "}", "\\}", ")>") and _closes(tokens) == len(tokens) - 1:
        bracketed = _bracketed(tokens, depth)
        if bracketed is not None:
            return bracketed
    ratio = _split(tokens, (":",))
    if len(ratio) > 1:
        return OrderedTuple(":", tuple(_shape(part, depth + 1) for part in ratio))
    return _valued(tokens)


def _closes(tokens: list[Token]) -> int:
    """The place of the bracket that closes the first token."""
    depth = 0
    for index, token in enumerate(tokens):
        text = token.text if token.kind == "sign" else ""
        if text in _OPEN or text.startswith("\\begin "):
            depth += 1
        elif text in _OPEN.values() or text.startswith("\\end "):
            depth -= 1
        if depth == 0:
            return index
    return -1


def _bracketed(tokens: list[Token], depth: int) -> Shape | None:
    opening, closing, inner = tokens[0].text, tokens[-1].text, tokens[1:-1]
    if not inner:
        return FiniteSet(()) if opening == "\\{" else None
    parts = _split(inner, (",", ";"))
    if opening in ("\\{", "{") and closing in ("\\}", "}"):
        if opening == "{" and len(parts) == 1:
            return _shape(inner, depth + 1)
        if any(token.text in ("|", ":") for token in inner):
            raise ParseError  # a set by a condition
        return _list([_shape(part, depth + 1) for part in parts])
    if len(parts) > 1:
        return Bracketed(opening, closing, tuple(_shape(part, depth + 1) for part in parts))
    if inner[0].text.startswith("\\begin ") and _closes(inner) == len(inner) - 1:
        return _shape(inner, depth + 1)
    # "(A)" and "(\frac{1}{2})" are what they hold; "[5]" and "(x = 5)" too.
    return _shape(inner, depth + 1) if (opening, closing) in (("(", ")"), ("[", "]")) else None


def _matrix(tokens: list[Token], depth: int) -> Matrix:
    kind = tokens[0].text.partition(" ")[2]
    if kind not in _MATRICES or _closes(tokens) != len(tokens) - 1:
        raise ParseError
    inner = tokens[1:-1]
    if kind == "array":
        if not inner or inner[0].text != "{":
            raise ParseError
        inner = inner[_closes(inner) + 1 :]
    rows = [_split(row, ("&",)) for row in _split(inner, ("\\\\",))]
    if len(rows) > 1 and rows[-1] == [[]]:
        rows.pop()
    return Matrix(tuple(tuple(_shape(cell, depth + 1) for cell in row) for row in rows))


_PHRASES: dict[str, Shape] = {
    "all real numbers": NamedSet("\\R"),
    "all reals": NamedSet("\\R"),
    "no solution": FiniteSet(()),
    "no solutions": FiniteSet(()),
    "no real solutions": FiniteSet(()),
    "empty set": FiniteSet(()),
    "the empty set": FiniteSet(()),
}
"""Words that name a set."""


def _valued(tokens: list[Token]) -> Shape:
    """An expression with its unit, both values of one with a plus-minus, or words."""
    tokens, unit = _unit(tokens)
    if not tokens:
        phrase = " ".join(unit)
        return _PHRASES.get(phrase, Words(phrase))
    names = [word if word[0] in "^%$" else unit_name(word) for word in unit if word != "degree"]
    if None in names:
        raise ParseError
    unit = tuple(name for name in names if name and name[0] != "^") or unit[:0]
    if any(token.kind == "word" for token in tokens):
        raise ParseError
    if len(tokens) >= 3 and tokens[0].kind == "number" and tokens[1].text == "_":
        return _based(tokens)
    twofold = sum(token.text in ("\\pm", "\\mp") for token in tokens)
    if twofold > 1:
        raise ParseError
    first = SingleValue(read_scalar(tokens), unit)
    return FiniteSet((first, SingleValue(read_scalar(tokens, plus=False), unit))) if twofold else first


def _unit(tokens: list[Token]) -> tuple[list[Token], tuple[str, ...]]:
    """The tokens without the unit around them, and the unit."""
    unit: list[str] = []
    if tokens[0].text == "currency":
        unit.append("$")
        tokens = tokens[1:]
    elif len(tokens) > 1 and tokens[0].text == "-" and tokens[1].text == "currency":
        unit.append("$")
        tokens = [tokens[0], *tokens[2:]]
    end = len(tokens)
    while end:
        if _degrees(tokens, end):
            end -= _degrees(tokens, end)
            unit.append("degree")
        elif tokens[end - 1].text == "%" or tokens[end - 1].text == "currency":
            end -= 1
            unit.append("%" if tokens[end].text == "%" else "$")
        elif tokens[end - 1].kind == "word" and tokens[end - 1].text not in ("and", "or"):
            end -= 1
            unit.append(tokens[end].text)
        elif end > 2 and tokens[end - 2].text == "^" and tokens[end - 3].kind == "word":
            unit.append(f"^{tokens[end - 1].text}")
            end -= 2
        elif end > 4 and tokens[end - 1].text == "}" and tokens[end - 4].text == "^" and tokens[end - 5].kind == "word":
            unit.append(f"^{tokens[end - 2].text}")
            end -= 4
        else:
            break
    return tokens[:end], tuple(reversed(unit))


def _degrees(tokens: list[Token], end: int) -> int:
    """How many of the tokens before the end write a degree sign."""
    texts = [token.text for token in tokens[max(end - 4, 0) : end]]
    if texts[-4:] == ["^", "{", "\\circ", "}"]:
        return 4
    if texts[-2:] == ["^", "\\circ"]:
        return 2
    return 1 if texts[-1:] == ["\\circ"] else 0


def _based(tokens: list[Token]) -> Words:
    """A number in another base, as its digits and the base: nobody's decimal number."""
    subscript = "".join(token.text for token in tokens[2:]).strip("{}")
    if not (tokens[0].text.isdigit() and subscript.isdigit()):
        raise ParseError
    return Words(f"{tokens[0].text.lstrip('0') or '0'} in base {subscript}")
