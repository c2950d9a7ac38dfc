"""Which candidates of a problem give the same answer: told by the grader, not by the text.

`1/2` and `0.5` are one answer, and their votes count together. The right answers of a problem are one answer, for each
of them equals the reference. The wrong ones are compared with one another, in the order of how often they were drawn,
then of their texts: each joins the first group whose first text the grader says it equals (that text in the
reference's place), or opens one. A right and a wrong answer are never one, whatever the grader says of the pair: the
grade is what counts.

A grader's verdict is not transitive: 0.333333333333333 equals 1/3, and so does the same with one digit more, but the
two differ. So which groups there are depends on the order of comparing, and that order depends on the candidates alone,
not on how they are sorted; the most usual text decides.

Two plain numbers are compared here, as decimals; the grader is asked about other pairs of texts only. The mathematical
grader's algebra is not asked about prose: wrong answers in words are one where its fast comparison says so, since every
pair of a hundred sentences would cost a quarter of a second.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

Same = Callable[[str, str], bool]
"""Whether two answers are one, the first in the reference's place."""

_LONGEST = 40
"""Most characters of a plain number."""

_PROSE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}\b.*\s[A-Za-z]{3,}\b", re.DOTALL)
"""Two words that are no commands of LaTeX."""


def same_by(grader: str) -> Same:
    """The named grader's verdict on two answers; for the mathematical one, numbers and prose are compared fast.

    Args:
        grader: `math`, `exact`, `string`, `multiple_choice` or `module:function`.

    Raises:
        StepwardError: There is no such grader.
    """
    from stepward.grading import fast_verdict
    from stepward.grading.graders import load_grader

    compare = load_grader(grader)

    def same(first: str, second: str) -> bool:
        if grader == "math":
            one, other = _plain_number(first), _plain_number(second)
            if one is not None and other is not None:
                return one == other
            if _PROSE.search(first) or _PROSE.search(second):
                verdict = fast_verdict(first, second)
                return verdict is not None and verdict.equal
        return compare(first, second).equal

    return same


def grouped(
    answers: Sequence[str | None], correct: NDArray[np.bool_], copies: NDArray[np.int64], same: Same
) -> NDArray[np.int32]:
    """The number of each candidate's answer within one problem [candidate].

    Args:
        answers: The candidates' answers, as texts; None where there is none [candidate].
        correct: Grades, the same for one text [candidate].
        copies: How many draws each candidate stands for [candidate].
        same: Whether two answers are one; from `same_by`, for example.

    Returns:
        Numbers from 0 in the order of first appearance; -1 for a candidate without an answer.
    """
    drawn: dict[str, int] = {}
    for answer, copy in zip(answers, copies.tolist(), strict=True):
        if answer is not None:
            drawn[answer] = drawn.get(answer, 0) + copy
    right = {answer for answer, grade in zip(answers, correct, strict=True) if grade and answer is not None}
    leader = dict.fromkeys(right, "")
    leaders: list[str] = []
    for text in sorted(drawn.keys() - right, key=lambda one: (-drawn[one], one)):
        found = next((other for other in leaders if same(other, text)), None)
        leader[text] = text if found is None else found
        if found is None:
            leaders.append(text)
    # The right answers' leader is no text of a wrong answer, so that the two can't be confused.
    numbers: dict[tuple[bool, str], int] = {}
    return np.array(
        [-1 if one is None else numbers.setdefault((one in right, leader[one]), len(numbers)) for one in answers],
        dtype=np.int32,
    )


def _plain_number(text: str) -> Decimal | None:
    """The value of a text that is digits with at most a sign and a point, such as `-12.50`."""
    digits = text.removeprefix("-").replace(".", "", 1)
    if len(text) > _LONGEST or not (digits.isdecimal() and digits.isascii()) or text.endswith("."):
        return None
    return Decimal(text)
