r"""Why a verdict of ours differs from math-verify's: the policy of docs/grading.md that says so.

A rule sees the pair and both verdicts, and asks for evidence: a policy that makes answers equal never explains an
unequal verdict, and "math-verify misread it" needs what it read to lack digits of the text. What no rule explains is
listed by the benchmark, to be looked at.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_UNIT = re.compile(r"%|\\text|\\mbox|\\mathrm|\\circ|\\\$|[0-9] ?[a-z]{2,}")
_BASE = re.compile(r"[0-9]_\{?[0-9]")
_BRACKETS = str.maketrans("", "", "()[]{}\\ ")
_EXACT = ("number", "expression", "set", "list", "interval", "matrix", "relation")


@dataclass(frozen=True)
class Difference:
    """A pair that is graded differently.

    Attributes:
        reference: Its reference.
        answer: Its answer.
        ours: Our verdict: equal, method, reason.
        theirs: math-verify's: equal; under `gold` and `target` what it read, None where it read no mathematics; and
            `apart`, whether what it calls equal are two numbers that differ in their first 50 digits.
    """

    reference: str
    answer: str
    ours: dict[str, Any]
    theirs: dict[str, Any]

    def either(self, pattern: re.Pattern[str]) -> bool:
        """Whether the reference or the answer has it."""
        return bool(pattern.search(self.reference) or pattern.search(self.answer))


def policy_of(difference: Difference) -> str:
    """The policy's name; empty where none explains the difference."""
    return next((name for name, explains in POLICIES.items() if explains(difference)), "")


def _same_text(one: Difference) -> bool:
    return one.ours["equal"] and one.ours["method"] == "exact"


def _same_words(one: Difference) -> bool:
    return one.ours["equal"] and one.ours["method"] == "text" and bool(re.search("[A-Za-z]", one.answer))


def _unread(one: Difference) -> bool:
    return one.ours["equal"] and None in (one.theirs["gold"], one.theirs["target"])


def _base(one: Difference) -> bool:
    return not one.ours["equal"] and one.either(_BASE)


def _brackets(one: Difference) -> bool:
    same = one.reference.translate(_BRACKETS) == one.answer.translate(_BRACKETS)
    return not one.ours["equal"] and one.ours["method"] in ("list", "interval", "set") and same


def _misread(one: Difference) -> bool:
    lacking = (_lacks_digits(one.theirs["gold"], one.reference), _lacks_digits(one.theirs["target"], one.answer))
    return not one.ours["equal"] and one.ours["method"] in _EXACT and any(lacking)


def _lacks_digits(read: str | None, text: str) -> bool:
    return read is not None and sum(map(str.isdigit, read)) < sum(map(str.isdigit, text))


def _tolerance(one: Difference) -> bool:
    return not one.ours["equal"] and one.ours["method"] in _EXACT and one.theirs["apart"]


def _units(one: Difference) -> bool:
    return one.ours["method"] == "number" and one.either(_UNIT)


def _undecided(one: Difference) -> bool:
    return one.ours["method"] in ("guard", "timeout", "memory", "crash")


POLICIES: dict[str, Callable[[Difference], bool]] = {
    "the same text is equal, whatever it says": _same_text,
    "words are compared as words; math-verify multiplies their letters": _same_words,
    "equal exactly; math-verify reads no mathematics in one of them": _unread,
    "a base is part of the number": _base,
    "kinds of brackets count": _brackets,
    "different exactly; math-verify reads a part of one of them": _misread,
    "a unit, percent or degree sign says no other number": _units,
    "different exactly; math-verify takes numbers that are close for equal": _tolerance,
    "kept from algebra, or ended by its deadline": _undecided,
}
"""The rules, tried in this order."""
