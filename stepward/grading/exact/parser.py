r"""Reading one expression, such as `\frac{3\sqrt{2}}{4}\pi` or `(x+1)^2`, as an exact value.

A recursive-descent reader over tokens, written for what answers hold. What it does not know is unreadable, never
guessed at: algebra, in its own process, looks at that.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from stepward.grading.exact import values as exact
from stepward.grading.exact.lexer import Token
from stepward.grading.exact.values import ParseError, Value

_DEGREE = exact.multiply(exact.number(Fraction(1, 180)), exact.atom(exact.PI))
DEEPEST = 40
"""Deepest nesting that is read."""
_FUNCTIONS = frozenset(
    ["\\sin", "\\cos", "\\tan", "\\sec", "\\csc", "\\cot", "\\log", "\\ln", "\\arcsin", "\\arccos", "\\arctan",
     "\\exp", "\\sinh", "\\cosh", "\\tanh", "\\lg"]
)  # fmt: skip
_GREEK = frozenset(
    ["\\alpha", "\\beta", "\\gamma", "\\delta", "\\epsilon", "\\varepsilon", "\\zeta", "\\eta", "\\theta",
     "\\vartheta", "\\iota", "\\kappa", "\\lambda", "\\mu", "\\nu", "\\xi", "\\rho", "\\sigma", "\\tau", "\\upsilon",
     "\\phi", "\\varphi", "\\chi", "\\psi", "\\omega", "\\Gamma", "\\Delta", "\\Theta", "\\Lambda", "\\Xi", "\\Sigma",
     "\\Phi", "\\Psi", "\\Omega", "\\ell"]
)  # fmt: skip
_ENDS = frozenset(["+", "-", "\\pm", "\\mp", ")", "]", "}", "\\}", "|", ",", ";", ":"])


@dataclass(slots=True)
class Scalar:
    """An exact value as it was written.

    Attributes:
        value: The value.
        places: Digits after the point where it was written as one decimal number; otherwise None.
        significant: How many significant digits that number has.
    """

    value: Value
    places: int | None = None
    significant: int = 0


def read_scalar(tokens: list[Token], *, plus: bool = True) -> Scalar:
    r"""The value of an expression that takes up all the tokens.

    Args:
        tokens: The expression.
        plus: Whether `\pm` is read as plus (and `\mp` as minus), or the other way round.

    Raises:
        Unreadable: It is no expression that is read here.
    """
    if not tokens:
        raise ParseError
    literal = tokens[-1] if len(tokens) == 1 or (len(tokens) == 2 and tokens[0].text == "-") else None
    reader = _Reader(tokens, plus)
    value = reader.sum()
    if reader.at < len(tokens):
        raise ParseError
    if literal is not None and literal.kind == "number" and "." in literal.text:
        digits = literal.text.replace(".", "").lstrip("0")
        return Scalar(value, len(literal.text.partition(".")[2]), len(digits))
    return Scalar(value)


def decimal(text: str) -> Value:
    """The value of ASCII digits with at most one point."""
    whole, _, decimals = text.partition(".")
    if len(text) > 4000:
        raise ParseError
    return exact.number(Fraction(int(whole + decimals), 10 ** len(decimals)))


@dataclass(slots=True)
class _Reader:
    tokens: list[Token]
    plus: bool
    at: int = 0
    depth: int = 0
    inside: int = 0

    def peek(self, ahead: int = 0) -> str:
        """The text of a token that is no word; empty at the end."""
        index = self.at + ahead
        if index >= len(self.tokens) or self.tokens[index].kind == "word":
            return ""
        return self.tokens[index].text

    def take(self, text: str) -> None:
        if self.peek() != text:
            raise ParseError
        self.at += 1

    def sum(self) -> Value:
        self.depth += 1
        if self.depth > DEEPEST:
            raise ParseError
        total = self.signed()
        while self.peek() in ("+", "-", "\\pm", "\\mp"):
            total = exact.add(total, self.signed())
        self.depth -= 1
        return total

    def signed(self) -> Value:
        """A product behind any signs."""
        turned = False
        while (sign := self.peek()) in ("+", "-", "\\pm", "\\mp"):
            turned ^= sign == "-" or sign == ("\\mp" if self.plus else "\\pm")
            self.at += 1
        product = self.product()
        return exact.negative(product) if turned else product

    def product(self, *, inside_function: bool = False) -> Value:
        value = self.mixed() or self.factor()
        while self.at < len(self.tokens):
            sign = self.peek()
            if sign in _ENDS or (inside_function and (sign in _FUNCTIONS or sign in ("*", "/"))):
                break
            if sign in ("*", "/"):
                self.at += 1
                turned = False
                while self.peek() in ("-", "+"):
                    turned ^= self.peek() == "-"
                    self.at += 1
                factor = self.factor()
                factor = exact.negative(factor) if turned else factor
                value = exact.multiply(value, factor if sign == "*" else exact.inverse(factor))
                continue
            if self.tokens[self.at].kind == "number":
                raise ParseError  # "2 3" or "x2": not a product that people write
            value = exact.multiply(value, self.factor())
        return value

    def mixed(self) -> Value | None:
        r"""The mixed number that starts here: `7 3/4` or `7\frac{3}{4}`."""
        window = self.tokens[self.at : self.at + 8]
        if not window or window[0].kind != "number" or "." in window[0].text:
            return None
        texts = [token.text if token.kind in ("number", "sign") else "" for token in window[1:]]
        if len(window) >= 4 and window[1].kind == "number" and window[1].spaced and texts[1] == "/":
            top, bottom, used = window[1], window[3], 4
        elif texts[:1] == ["\\frac"]:
            if len(texts) >= 7 and (texts[1], texts[3], texts[4], texts[6]) == ("{", "}", "{", "}"):
                top, bottom, used = window[3], window[6], 8
            else:
                return None
        else:
            return None
        if not (top.text.isdigit() and bottom.text.isdigit() and top.kind == bottom.kind == "number"):
            return None
        part, whole = Fraction(int(top.text), int(bottom.text) or 1), int(window[0].text)
        if not 0 < part < 1:
            return None
        self.at += used
        return exact.number(whole + part)

    def factor(self) -> Value:
        """An operand with the factorials and the exponent behind it."""
        value = self.operand()
        # Outside of a function, the shapes' reader has taken the degrees for a unit, or nothing knows them.
        if self.inside and self.degrees():
            value = exact.multiply(value, _DEGREE)
        while (sign := self.peek()) in ("!", "^", "'"):
            self.at += 1
            if sign == "'":
                raise ParseError
            if sign == "!":
                if self.peek() == "!":
                    raise ParseError  # a double factorial, which is not the factorial of one
                value = _factorial(value)
            elif self.peek() in ("\\circ", "\\prime"):
                raise ParseError
            else:
                value = exact.power(value, self.exponent())
        return value

    def exponent(self) -> Value:
        turned = self.peek() == "-"
        if turned:
            self.at += 1
        value = self.operand(single_digit=True)
        if self.peek() == "^":
            # A tower of plain numbers: the height is small or `power` refuses it.
            self.at += 1
            value = exact.power(value, self.exponent())
        return exact.negative(value) if turned else value

    def group(self, close: str) -> Value:
        self.at += 1
        value = self.sum()
        self.take(close)
        return value

    def operand(self, *, single_digit: bool = False) -> Value:
        if self.at >= len(self.tokens):
            raise ParseError
        token = self.tokens[self.at]
        if token.kind == "number":
            return self.digits(single_digit)
        if token.kind == "word":
            raise ParseError
        closes = {"{": "}", "(": ")", "[": "]"}
        if token.text in closes:
            return self.group(closes[token.text])
        self.at += 1
        if token.kind == "letter" or token.text in _GREEK:
            return self.variable(token.text)
        if token.text in (exact.PI, exact.INFINITY, exact.IMAGINARY):
            return exact.atom(token.text)
        if token.text == "\\frac":
            return self.fraction()
        if token.text == "\\sqrt":
            return self.root()
        if token.text == "\\binom":
            return _binomial(self.argument(), self.argument())
        if token.text in _FUNCTIONS:
            return self.function(token.text)
        raise ParseError

    def digits(self, single: bool) -> Value:
        """A number; as an exponent or an argument without braces, plain LaTeX takes one digit of it."""
        token = self.tokens[self.at]
        self.at += 1
        if self.peek() == "_":
            raise ParseError  # in another base: no number here
        if single and len(token.text) > 1 and "." in token.text:
            raise ParseError
        value = decimal(token.text)
        if self.peek() == "\\overline":
            return self.repeating(token.text)
        # "1 000": groups of three digits apart.
        while (
            token.text.isdigit()
            and self.at < len(self.tokens)
            and self.tokens[self.at].kind == "number"
            and self.tokens[self.at].spaced
            and self.tokens[self.at].text.isdigit()
            and len(self.tokens[self.at].text) == 3
            and (len(token.text) == 3 or len(token.text) < 4)
            and self.peek(1) != "/"
        ):
            token = self.tokens[self.at]
            value = exact.add(exact.multiply(value, exact.number(1000)), decimal(token.text))
            self.at += 1
        return value

    def repeating(self, before: str) -> Value:
        r"""The value of `0.1\overline{6}`, whose last digits repeat for ever."""
        self.at += 1
        repeated = self.tokens[self.at + 1].text if self.peek() == "{" and self.peek(2) == "}" else ""
        if "." not in before or not repeated.isdigit() or len(repeated) > 100:
            raise ParseError
        self.at += 3
        places = len(before.partition(".")[2])
        tail = Fraction(int(repeated), (10 ** len(repeated) - 1) * 10**places)
        return exact.add(decimal(before), exact.number(tail))

    def variable(self, name: str) -> Value:
        if self.peek() == "_":
            self.at += 1
            name = f"{name}_{self.subscript()}"
        if name == "e":
            return exact.atom(exact.E)
        if name == "i":
            return exact.atom(exact.IMAGINARY)
        return exact.atom(name)

    def subscript(self) -> str:
        if self.peek() != "{":
            self.at += 1
            return self.tokens[self.at - 1].text if self.at <= len(self.tokens) else ""
        parts: list[str] = []
        self.at += 1
        while self.peek() != "}":
            if self.at >= len(self.tokens) or self.peek() == "{":
                raise ParseError
            parts.append(self.tokens[self.at].text)
            self.at += 1
        self.at += 1
        return "".join(parts)

    def argument(self) -> Value:
        r"""A LaTeX argument: braces, or one digit, letter or command."""
        if self.at < len(self.tokens) and self.tokens[self.at].kind == "number":
            token = self.tokens[self.at]
            if token.text.isdigit() and len(token.text) > 1:
                # \frac12 and \sqrt13 are one digit each; the rest of the digits is the next argument or factor.
                self.tokens = [
                    *self.tokens[: self.at],
                    Token("number", token.text[0]),
                    Token("number", token.text[1:]),
                    *self.tokens[self.at + 1 :],
                ]
            self.at += 1
            return decimal(self.tokens[self.at - 1].text)
        return self.operand()

    def fraction(self) -> Value:
        top = self.argument()
        return exact.multiply(top, exact.inverse(self.argument()))

    def root(self) -> Value:
        degree = exact.number(2)
        if self.peek() == "[":
            degree = self.group("]")
        # A bare number behind a root sign is meant whole: \sqrt13 is the root of 13.
        plain = self.at < len(self.tokens) and self.tokens[self.at].kind == "number"
        inside = self.digits(False) if plain else self.argument()
        return exact.power(inside, exact.inverse(degree))

    def degrees(self) -> bool:
        """Whether a degree sign stands here; it is taken."""
        for sign in (("^", "\\circ"), ("^", "{", "\\circ", "}"), ("\\circ",)):
            if tuple(self.peek(ahead) for ahead in range(len(sign))) == sign:
                self.at += len(sign)
                return True
        return False

    def function(self, name: str) -> Value:
        base, power = None, None
        while self.peek() in ("_", "^"):
            sign = self.peek()
            self.at += 1
            if sign == "_":
                base = self.operand(single_digit=True)
            else:
                power = self.exponent()
        if self.peek() in ("(", "{", "["):
            inside = self.operand()
            if self.degrees():
                inside = exact.multiply(inside, _DEGREE)
        else:
            self.inside += 1
            inside = self.product(inside_function=True)
            self.inside -= 1
        if name == "\\exp":
            value = exact.power(exact.atom(exact.E), inside)
        elif base is not None:
            value = exact.atom(exact.opaque(f"{name}_", inside, base))
        else:
            value = exact.atom(exact.opaque(name, inside))
        if power is None:
            return value
        exponent = exact.rational(power)
        if exponent is None or exponent < 0:
            raise ParseError  # an inverse function, by some
        return exact.power(value, power)


def _factorial(value: Value) -> Value:
    integer = exact.rational(value)
    if integer is None or integer.denominator != 1 or not 0 <= integer <= 3000:
        raise ParseError
    return exact.number(math.factorial(int(integer)))


def _binomial(top: Value, bottom: Value) -> Value:
    upper, lower = exact.rational(top), exact.rational(bottom)
    if upper is None or lower is None or upper.denominator != 1 or lower.denominator != 1:
        raise ParseError
    if not 0 <= lower <= upper <= 3000:
        raise ParseError
    return exact.number(math.comb(int(upper), int(lower)))
