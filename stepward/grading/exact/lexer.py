r"""An answer cut into tokens: numbers, letters, LaTeX commands, words of text and signs. One pass, by hand.

Commands that only lay out are dropped here (`\left`, `\,`, `\displaystyle`, `$`), and what has several writings
gets one (`\le`, `\leq`, `<=`, U+2264), so that the readers behind know one of each.
"""

from dataclasses import dataclass

MOST_TOKENS = 400
"""Most tokens of an answer that is read; a longer one is nobody's final answer."""

_DROPPED = frozenset(
    ["left", "right", "displaystyle", "textstyle", "limits", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl",
     "Bigr", "biggl", "biggr", "quad", "qquad", "boldsymbol", "mathbf", "bf", "rm", "it", "!", ",", ";", ":", " ", ">",
     "(", ")", "[", "]", "hline"]
)  # fmt: skip
_TEXT = frozenset(["text", "textbf", "textit", "textnormal", "textrm", "mathrm", "mbox", "operatorname", "hbox"])
_RENAMED = {
    "dfrac": "\\frac", "tfrac": "\\frac", "cfrac": "\\frac", "leq": "\\le", "geq": "\\ge", "leqslant": "\\le",
    "geqslant": "\\ge", "lt": "<", "gt": ">", "neq": "\\ne", "not=": "\\ne", "times": "*", "cdot": "*", "div": "/",
    "ast": "*", "lbrace": "\\{", "rbrace": "\\}", "lbrack": "[", "rbrack": "]", "langle": "<(", "rangle": ")>",
    "dots": "\\ldots", "cdots": "\\ldots", "varnothing": "\\emptyset", "degree": "\\circ", "dbinom": "\\binom",
    "tbinom": "\\binom", "%": "%", "$": "currency", "mid": "|", "vert": "|", "lvert": "|", "rvert": "|",
    "colon": ":", "infin": "\\infty", "in": "\\in", "imath": "\\i", "sim": "\\approx", "simeq": "\\approx",
    "land": "and", "lor": "or", "wedge": "and", "vee": "or", "lnot": "\\not", "ln": "\\ln", "arcsin": "\\arcsin",
    "pounds": "currency", "euro": "currency", "&": "&", "R": "\\R", "emptyset": "\\emptyset",
}  # fmt: skip
_SIGNS = {
    "\u2212": "-", "\u2013": "-", "\u00d7": "*", "\u00b7": "*", "\u00f7": "/", "\u2264": "\\le", "\u2265": "\\ge",
    "\u2260": "\\ne", "\u2248": "\\approx", "\u03c0": "\\pi", "\u221e": "\\infty", "\u00b0": "\\circ",
    "\u222a": "\\cup", "\u2229": "\\cap", "\u2208": "\\in", "\u00b1": "\\pm", "\u2205": "\\emptyset",
    "\u211d": "\\R", "\u221a": "\\sqrt",
    "\u20ac": "currency", "\u00a3": "currency", "\u00a5": "currency", "\u2026": "\\ldots", "\uff0c": ",",
}  # fmt: skip
_WORDS = {
    "pi": "\\pi", "sqrt": "\\sqrt", "sin": "\\sin", "cos": "\\cos", "tan": "\\tan", "log": "\\log", "ln": "\\ln",
    "exp": "\\exp", "infinity": "\\infty", "inf": "\\infty", "oo": "\\infty", "and": "and", "or": "or", "sec": "\\sec",
    "csc": "\\csc", "cot": "\\cot",
}  # fmt: skip
_DIGITS = frozenset("0123456789")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_ASCII_SIGNS = frozenset("+-*/^_=<>()[]{}|,;:!%&'")
_PAIRS = {"<=": "\\le", ">=": "\\ge", "!=": "\\ne", "**": "^", "==": "="}


@dataclass(frozen=True, slots=True)
class Token:
    r"""One token.

    Attributes:
        kind: `number`, `letter`, `word` (text of two letters or more), `sign` (also commands, as `\frac`).
        text: The token in its one writing.
        spaced: Whether white space stood before it.
    """

    kind: str
    text: str
    spaced: bool = False


class LexError(Exception):
    r"""The text has characters of no answer, an unclosed `\\text{`, or too many tokens."""


def tokenize(text: str) -> list[Token]:
    """The tokens of an answer.

    Raises:
        LexError: The text is nothing that is read here.
    """
    tokens: list[Token] = []
    index, spaced = 0, False
    while index < len(text):
        character = text[index]
        if len(tokens) > MOST_TOKENS:
            raise LexError
        if character.isspace() or character in "$~":
            spaced = True
            index += 1
            continue
        if character in _DIGITS or (character == "." and _digit(text, index + 1)):
            token, index = _number(text, index, spaced)
            if token.text.isdigit() and _is_outside(tokens):
                token, index = _thousands(token, text, index)
            tokens.append(token)
        elif character == "\\":
            index = _command(text, index, spaced, tokens)
        elif character in _LETTERS:
            index = _letters(text, index, spaced, tokens)
        else:
            pair = _PAIRS.get(text[index : index + 2])
            sign = pair or _SIGNS.get(character) or (character if character in _ASCII_SIGNS else None)
            if sign is None:
                raise LexError
            tokens.append(Token("sign", sign, spaced))
            index += 2 if pair else 1
        spaced = False
    return tokens


def _digit(text: str, index: int) -> bool:
    """Whether a digit stands here."""
    return text[index : index + 1] in _DIGITS


def _number(text: str, start: int, spaced: bool) -> tuple[Token, int]:
    r"""A decimal number; commas in it are thousands marks only where LaTeX says so (`{,}` and `,\\!`)."""
    digits: list[str] = []
    index, points = start, 0
    while index < len(text):
        character = text[index]
        if character in _DIGITS:
            digits.append(character)
        elif character == "." and not points and (_digit(text, index + 1) or text.startswith("\\overline", index + 1)):
            points = 1
            digits.append(character)
        else:
            mark = next((mark for mark in ("{,}", ",\\!", "\\,", "\\!") if text.startswith(mark, index)), "")
            end = index + len(mark)
            while mark and text[end : end + 1] == " ":
                end += 1
            group = text[end : end + 3]
            if not mark or points or len(group) < 3 or not set(group) <= _DIGITS or _digit(text, end + 3):
                break
            digits.append(group)
            index = end + 3
            continue
        index += 1
    return Token("number", "".join(digits), spaced), index


def _is_outside(tokens: list[Token]) -> bool:
    """Whether no bracket is open, and no list of numbers without spaces is under way (`1,2,345`)."""
    if len(tokens) > 1 and tokens[-1].text == "," and tokens[-2].kind == "number":
        return False
    opened = sum(token.text in _OPENING for token in tokens)
    return opened == sum(token.text in _CLOSING for token in tokens)


_OPENING = frozenset(["(", "[", "{", "\\{", "<("])
_CLOSING = frozenset([")", "]", "}", "\\}", ")>"])


def _thousands(token: Token, text: str, start: int) -> tuple[Token, int]:
    """The number with the groups of three digits behind plain commas: `1,234` outside of brackets is one number."""
    digits, index = token.text, start
    if len(digits) > 3:
        return token, start
    while text[index : index + 1] == "," and len(text[index + 1 : index + 4]) == 3:
        group = text[index + 1 : index + 4]
        if not set(group) <= _DIGITS or _digit(text, index + 4):
            break
        digits, index = digits + group, index + 4
    if index == start or (text[index : index + 1] == "," and _digit(text, index + 1)):
        return token, start
    if text[index : index + 1] == "." and _digit(text, index + 1):
        decimals, end = _number(text, index, False)
        return Token("number", digits + decimals.text, token.spaced), end
    return Token("number", digits, token.spaced), index


def _letters(text: str, start: int, spaced: bool, tokens: list[Token]) -> int:
    """A run of letters: a known name, a word, or up to three variables side by side."""
    end = start
    while end < len(text) and text[end] in _LETTERS:
        end += 1
    run = text[start:end]
    lowered = run.lower()
    if lowered in _WORDS and (run == lowered or lowered in ("infinity", "and", "or", "inf")):
        known = _WORDS[lowered]
        tokens.append(Token("word" if known in ("and", "or") else "sign", known, spaced))
    elif len(run) > 3 or lowered in UNITS:
        tokens.append(Token("word", lowered, spaced))
    else:
        tokens.extend(Token("letter", letter, spaced and not at) for at, letter in enumerate(run))
    return end


UNITS = frozenset(
    ["cm", "mm", "km", "kg", "mg", "ml", "ft", "in", "lb", "lbs", "oz", "hr", "hrs", "min", "sec", "mph", "kph", "no",
     "yes", "day", "one", "two", "six", "ten", "odd", "any", "all", "the", "not", "sum", "max", "pm", "am"]
)  # fmt: skip
"""Short runs of letters that are words, not variables side by side."""


def _command(text: str, start: int, spaced: bool, tokens: list[Token]) -> int:
    """A command, from its backslash."""
    end = start + 1
    while end < len(text) and text[end] in _LETTERS:
        end += 1
    if end == start + 1:
        end += 1
    name = text[start + 1 : end]
    if name == "\\":
        tokens.append(Token("sign", "\\\\", spaced))
    elif name in _TEXT:
        return _text(text, end, tokens)
    elif name in ("mathbb", "mathcal", "Bbb"):
        rest = text[end : end + 4].strip("{} ")
        if rest[:1] not in ("R", "Z", "N", "Q", "C") or not rest:
            raise LexError
        tokens.append(Token("sign", f"\\{rest[0]}", spaced))
        return end + text[end : end + 4].index(rest[0]) + 1 + (1 if text[end : end + 1] == "{" else 0)
    elif name in ("begin", "end"):
        close = text.find("}", end, end + 20)
        if text[end : end + 1] != "{" or close < 0:
            raise LexError
        tokens.append(Token("sign", f"\\{name} {text[end + 1 : close]}", spaced))
        return close + 1
    elif name in ("{", "}", "|"):
        tokens.append(Token("sign", "|" if name == "|" else f"\\{name}", spaced))
    elif name and name not in _DROPPED and not name.isspace():
        tokens.append(Token("sign", _RENAMED.get(name, f"\\{name}"), spaced))
    return end


def _text(text: str, start: int, tokens: list[Token]) -> int:
    r"""The words of `\text{...}`, up to its closing brace; what has no word in it is read as mathematics."""
    while text[start : start + 1] == " ":
        start += 1
    if text[start : start + 1] != "{":
        return start
    depth, end = 1, start + 1
    while end < len(text) and depth:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    if depth or end - start > 400 or "\\text" in text[start:end]:
        raise LexError
    inner = text[start + 1 : end - 1]
    words = "".join(character if character in _LETTERS else " " for character in inner).split()
    if not any(len(word) > 1 for word in words):
        tokens.extend(Token(token.kind, token.text, True) for token in tokenize(inner))
    else:
        for word in inner.replace(",", " , ").split():
            if word == ",":
                tokens.append(Token("sign", ","))
            else:
                tokens.append(Token("word", word.lower().strip(".,:;"), True))
    return end
