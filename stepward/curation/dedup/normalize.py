r"""When two question texts ask the same: one normal form for exact equality, and the words that n-grams are made of.

The normal form forgets how a text is typed (case, white space, end punctuation, `$`, LaTeX's spacing commands) and
keeps what changes the mathematics: operators, brackets, decimal points, primes. `x^2`, `x ^2` and `x²` have one form;
`3+4` and `3-4` have two.
"""

import hashlib
import re
import unicodedata

from stepward.records import LabelledSolution, Preference, Problem

Asking = LabelledSolution | Preference | Problem
"""The records that bring what was asked with them."""

# Scripts that put no space between words: each of their characters is a word of its own.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"

_TOKEN = re.compile(rf"[0-9]+(?:[.,:][0-9]+)*|[{_UNSPACED}]|[^\W0-9_{_UNSPACED}]+|\S")
_SPACING = re.compile(
    r"\\(?:[\\,;:!> ()\[\]]|"
    r"(?:q?quad|(?:thin|med|thick|negthin)space|left|right|displaystyle|textstyle|limits)(?![a-z]))"
)
_FRACTION = re.compile(r"\\[dtc]frac(?![a-z])")
_DROPPED = frozenset('.,:;?"$~`\u3002\u3001\u00bf')
_OPERATORS = frozenset("+-*/=<>^!|%")


def _typed_alike() -> dict[int, str]:
    """What NFKC would merge with something else (2², ½), or leave apart though it is typed for the same sign."""
    table = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212"), "-")
    table |= dict.fromkeys(map(ord, "\u2018\u2019\u2032"), "'") | dict.fromkeys(map(ord, "\u201c\u201d\u201e"), '"')
    table |= {ord("\u00d7"): r"\times ", ord("\u00f7"): r"\div ", ord("\u00b7"): r"\cdot ", ord("\u2044"): "/"}
    marks = {"<super>": "^", "<sub>": "_", "<fraction>": " "}
    for code in range(0x80, 0x2190):
        mark, *parts = unicodedata.decomposition(chr(code)).split() or [""]
        if mark in marks:
            table[code] = marks[mark] + "".join(chr(int(part, 16)) for part in parts).replace("\u2044", "/")
    return table


_TYPED_ALIKE = _typed_alike()


def question_of(record: Asking) -> str:
    """What the record asks: its question, or the turns of its prompt a line each; empty where it has none."""
    if isinstance(record, Preference):
        return "\n".join(turn.content for turn in record.prompt)
    return record.question


def whole_text(record: Asking) -> str:
    """All that the record says, for a record that has no question of its own."""
    if isinstance(record, LabelledSolution):
        return "\n".join(record.steps)
    if isinstance(record, Preference):
        return "\n".join(turn.content for turn in (*record.chosen, *record.rejected))
    return record.question


def normalize_question(text: str) -> str:
    r"""The text's normal form: its tokens, one space between them.

    Unicode NFKC (super- and subscripts as `^` and `_`), case folded; `\dfrac` as `\frac`; without `$`, `\(`, LaTeX
    spacing and sizing commands, quotation marks, and full stops, commas, colons, semicolons and question marks that
    don't stand inside a number. A text that would leave nothing is its own form.
    """
    return " ".join(_tokens(text)) or " ".join(text.split())


def key(normalised: str) -> bytes:
    """16 bytes that stand for a normal form."""
    return hashlib.blake2b(normalised.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def word_grams(normalised: str, size: int) -> list[str]:
    """The runs of `size` words in a normal form, words being its numbers and runs of letters.

    A text of fewer words is one run: all its words and operators.
    """
    tokens = normalised.split(" ")
    words = [token for token in tokens if token[-1:].isalnum()]
    if len(words) < size:
        whole = [token for token in tokens if token[-1:].isalnum() or token in _OPERATORS]
        return [" ".join(whole)] if words else []
    return [" ".join(words[start : start + size]) for start in range(len(words) - size + 1)]


def shingles(normalised: str, size: int = 5) -> set[str]:
    """The distinct runs of `size` characters; a shorter text is one."""
    return {normalised[start : start + size] for start in range(max(1, len(normalised) - size + 1))}


def jaccard(left: set[str], right: set[str]) -> float:
    """The share of the two sets' members that are in both; of two empty sets 1."""
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared) if left or right else 1.0


def _tokens(text: str) -> list[str]:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_TYPED_ALIKE))
    text = _FRACTION.sub(r"\\frac", _SPACING.sub(" ", text.casefold()))
    return [token for token in _TOKEN.findall(text) if token not in _DROPPED]
