r"""Numbers as people write them in answers, read exactly: 5,600, -3.50, 2/3, 1 1/2, \frac{2}{3}, 1.5e3, $5, 28 %, 5 cm.

Reading is by hand, over ASCII digits only, and of at most `MAX_DIGITS` digits: Python's own conversions take
other scripts' digits, underscores and "inf", and grow slow or refuse on long ones.
"""

from dataclasses import dataclass
from fractions import Fraction

MAX_DIGITS = 400
"""Most digits of a number, and the largest power of ten of an exponent; what has more is compared as text."""

_DIGITS = frozenset("0123456789")
_CURRENCIES = frozenset("$€£¥")
_PERCENT = frozenset({"percent", "percentage", "pct"})
# Unit words too short to be told from a product of variables; these alone may also touch the number: "1cm".
# fmt: off
_SHORT_UNITS = frozenset(
    {"cm", "mm", "km", "kg", "mg", "ml", "ft", "in", "lb", "lbs", "oz", "hr", "hrs", "min", "mins", "sec", "secs",
     "am", "pm", "mph", "kph", "of"}
)
# Words that multiply the number before them.
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
# Words after a number that change its value otherwise: "2 squared" is not 2.
_NOT_UNITS = frozenset(
    {*_SCALES, "half", "halves", "third", "thirds",
     "quarter", "quarters", "and", "plus", "minus", "times", "over", "squared", "cubed", "factorial", "sqrt", "sin",
     "cos", "tan", "log", "exp", "tau", "mod", "infinity"}
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact number and its unit.

    Attributes:
        value: The number.
        unit: The words after it, in small letters and the singular; a currency or percent sign is one; may be empty.
        places: Digits behind the point, where it is written as a decimal number with a point.
    """

    value: Fraction
    unit: tuple[str, ...]
    places: int | None = None

    @property
    def is_integer(self) -> bool:
        """Whether the number is whole."""
        return self.value.denominator == 1


def read_quantity(text: str) -> Quantity | None:
    """The quantity that the whole text states, or None where it is anything else.

    Args:
        text: An answer in plain notation (`stepward.grading.normalize.plain`).
    """
    negative, text = _sign(text)
    currency = text[:1] if text[:1] in _CURRENCIES else ""
    text = text[len(currency) :].lstrip()
    if currency and not negative:
        negative, text = _sign(text)
    read = _frac(text) or _digits_first(text)
    if read is None:
        return None
    value, rest = read
    scale, rest = _scale(rest)
    unit = _unit(rest)
    if unit is None:
        return None
    if currency and unit[:1] != (currency,):
        unit = (currency, *unit)
    written = text[: len(text) - len(rest)] if rest else text
    decimals = written.partition(".")[2]
    places = len(decimals) if decimals.isdigit() else None
    return Quantity((-value if negative else value) * scale, unit, places)


def _scale(rest: str) -> tuple[int, str]:
    """What the words behind a number multiply it by (`3 million`), and what follows them."""
    scale = 1
    for _ in range(2):
        word, space, behind = rest.strip().partition(" ")
        if rest[:1] != " " or word.lower() not in _SCALES:
            break
        scale, rest = scale * _SCALES[word.lower()], space + behind
    return scale, rest


def is_rounded(written: Fraction, meant: Fraction, places: int) -> bool:
    """Whether a decimal with this many places is a number rounded to them, or cut off there."""
    short = (abs(meant) - abs(written)) * 10**places
    return (written < 0) == (meant < 0) and 2 * short >= -1 and short < 1


def _sign(text: str) -> tuple[bool, str]:
    """Whether the text starts with a minus, and what follows its sign."""
    return text.startswith("-"), (text[1:].lstrip() if text[:1] in ("-", "+") else text)


def _digits_first(text: str) -> tuple[Fraction, str] | None:
    """The number at the text's start, and what follows it."""
    end = next((index for index, character in enumerate(text) if character not in "0123456789.,/"), len(text))
    # A comma or full stop that ends the run is punctuation: "39." or "39, in total".
    number, rest = text[:end].rstrip(",."), text[end:]
    if sum(map(_DIGITS.__contains__, number)) > MAX_DIGITS:
        return None
    value = _ratio(number)
    if value is None:
        return None
    if number.isdigit():
        mixed = _mixed(int(number), rest)
        if mixed is not None:
            return mixed
    return _scaled(value, rest)


def _ratio(number: str) -> Fraction | None:
    """The value of `3`, `3.5`, `3,500` or `3/5`."""
    top, slash, bottom = number.partition("/")
    numerator = _decimal(top)
    if not slash or numerator is None:
        return numerator
    denominator = _decimal(bottom)
    return numerator / denominator if denominator else None


def _decimal(number: str) -> Fraction | None:
    """The value of `3`, `3.5`, `.5`, `3,500` or `3,500.25`; thousands are marked everywhere or nowhere."""
    whole, _, decimals = number.partition(".")
    groups = whole.split(",")
    if len(groups) > 1 and not (1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])):
        return None
    digits = "".join(groups)
    if not (digits + decimals) or not set(digits + decimals) <= _DIGITS:
        return None
    return Fraction(int(digits + decimals), 10 ** len(decimals))


def _mixed(whole: int, rest: str) -> tuple[Fraction, str] | None:
    r"""A mixed number's value and what follows, for a whole number that ` 1/2` or `\frac{1}{2}` follows."""
    if rest.startswith(" ") and rest[1:2] in _DIGITS:
        end = next(
            (index for index, character in enumerate(rest) if index and character not in "0123456789/"), len(rest)
        )
        part = _ratio(rest[1:end]) if "/" in rest[:end] and end <= MAX_DIGITS else None
        read = None if part is None else (part, rest[end:])
    else:
        read = _frac(rest)
    if read is None or not 0 < read[0] < 1:
        return None
    return whole + read[0], read[1]


def _scaled(value: Fraction, rest: str) -> tuple[Fraction, str] | None:
    """The value with the exponent that may follow it (`1.5e3`), and what follows that."""
    if rest[:1] not in ("e", "E"):
        return value, rest
    negative, power = _sign(rest[1:])
    end = next((index for index, character in enumerate(power) if character not in _DIGITS), len(power))
    if end == 0:
        return value, rest
    digits = power[:end].lstrip("0") or "0"
    if len(digits) > 3 or int(digits) > MAX_DIGITS:
        return None
    scale = Fraction(10) ** int(digits)
    return (value / scale if negative else value * scale), power[end:]


def _frac(text: str) -> tuple[Fraction, str] | None:
    r"""The value of `\frac{1}{2}` or `\frac12` at the text's start, and what follows it."""
    if not text.startswith("\\frac"):
        return None
    top, rest = _argument(text[len("\\frac") :])
    bottom, rest = _argument(rest)
    if len(top) + len(bottom) > MAX_DIGITS:
        return None
    negative, top = _sign(top)
    numerator, denominator = _decimal(top), _decimal(bottom)
    if numerator is None or not denominator:
        return None
    # The closing brace parts the number from a word that follows, as a space does.
    return (-numerator if negative else numerator) / denominator, f" {rest}".rstrip()


def _argument(text: str) -> tuple[str, str]:
    """A LaTeX argument without braces in it, or one character, and what follows it."""
    if not text.startswith("{"):
        return text[:1], text[1:]
    inner, _, rest = text[1:].partition("}")
    return inner, rest


def _unit(rest: str) -> tuple[str, ...] | None:
    """The unit's words; empty where nothing follows the number, None where what follows is no unit."""
    spaced = rest[:1] in (" ", "%") or rest[:1] in _CURRENCIES
    words = rest.replace("%", " % ").replace("$", " $ ").replace(",", " ").split()
    unit: list[str] = []
    for word in words:
        name = unit_name(word)
        if name is None or not (spaced or name.isalpha() is False or word.lower() in _SHORT_UNITS):
            return None
        unit.append(name)
    return tuple(unit)


def unit_name(word: str) -> str | None:
    r"""A unit's one writing (`cm`, `%`, `$`, `apple`); None for a word that is none, or that changes the number."""
    word = word.removesuffix(".").lower()
    if word in _CURRENCIES or word == "%":
        return word
    if word in _PERCENT:
        return "%"
    word = _without_exponent(word)
    if word in _NOT_UNITS or not (word.isascii() and word.isalpha()) or not (len(word) > 2 or word in _SHORT_UNITS):
        return None
    return "$" if word in ("dollar", "dollars") else word.removesuffix("s")


def _without_exponent(word: str) -> str:
    """The unit without the power it is raised to: `cm` of `cm^2`."""
    for exponent in ("^2", "^3", "^{2}", "^{3}", "\u00b2", "\u00b3"):
        word = word.removesuffix(exponent)
    return word
