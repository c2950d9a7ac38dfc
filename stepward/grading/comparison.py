"""Does this answer equal the reference? The exact, fast path: equal text, or equal rational numbers.

Nothing is evaluated, rounded or guessed. A verdict here is cheap, the same everywhere, and safe on a hostile
model's text: the work is linear in its length, and what is too long to be an answer is compared as it stands.
Answers that need algebra come out unequal, with `method` "text".
"""

from dataclasses import dataclass

from stepward.grading.notation import plain
from stepward.grading.quantities import Quantity, read_quantity

LONGEST = 10_000
"""Longest answer, in characters, that is looked at; a longer one equals only the very same text."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer equals the reference.

    Attributes:
        equal: The grade.
        method: What decided: `empty`, `exact` (the same text), `number` (as rationals) or `text` (in plain notation).
        reason: Why, in words.
    """

    equal: bool
    method: str
    reason: str


def grade(reference: str, answer: str | None) -> Verdict:
    """Compare an answer with the reference.

    Numbers are compared exactly, as rationals, with no tolerance: 5600, 5,600, $5,600.00 and 5600 dollars are equal,
    1/2 and 0.5 are, 1/3 and 0.33 are not. A unit counts only where both name one: 5 equals 5 cm, 5 kg does not. A
    percent sign is a unit: 50% equals 50 and not 0.5. Other answers are compared as text in plain notation.

    Args:
        reference: The reference answer.
        answer: The extracted answer; None where none was found.

    Returns:
        The verdict. An empty answer or reference equals nothing.
    """
    reference, answer = reference.strip(), (answer or "").strip()
    if not reference or not answer:
        return Verdict(False, "empty", "no reference" if not reference else "no answer")
    if reference == answer:
        return Verdict(True, "exact", "the same text")
    if max(len(reference), len(answer)) > LONGEST:
        return Verdict(False, "exact", f"not the same text, and longer than {LONGEST} characters")
    reference, answer = plain(reference), plain(answer)
    left, right = read_quantity(reference), read_quantity(answer)
    if left is not None and right is not None:
        return _compare_quantities(left, right)
    if left is not None or right is not None:
        return Verdict(False, "number", "only one of the two is a number")
    # "(1, 2)" is "(1,2)"; before this line "32, 349" had to be told from 32,349.
    if reference and reference.replace(", ", ",") == answer.replace(", ", ","):
        return Verdict(True, "text", "the same text in plain notation")
    return Verdict(False, "text", "not the same text, and not both numbers")


def _compare_quantities(reference: Quantity, answer: Quantity) -> Verdict:
    if reference.value != answer.value:
        return Verdict(False, "number", "different numbers")
    shared = min(len(reference.unit), len(answer.unit))
    # One unit may say more than the other: "$" and "$ per hour", "apples" and "apples in total".
    if reference.unit[:shared] != answer.unit[:shared]:
        return Verdict(False, "number", f"the same number of {' '.join(reference.unit)} and {' '.join(answer.unit)}")
    return Verdict(True, "number", "the same number")
