"""Which candidates of a problem give the same answer: told by the grader, not by the text.

`1/2` and `0.5` are one answer, and their votes count together. The right answers of a problem are one answer, for each
of them equals the reference. The wrong ones are compared with one another, in the order of how often they were drawn,
then of their texts: each joins the first group whose first text the grader says it equals (that text in the
reference's place), or opens one. A right and a wrong answer are never one, whatever the grader says of the pair: the
grade is what counts.

A grader's verdict is not transitive: 0.333333333333333 equals 1/3, and so does the same with one digit more, but the
two differ. So which groups there are depends on the order of comparing, and that order depends on the candidates alone,
not on how they are sorted; the most usual text decides.

Of k different wrong answers up to k(k-1)/2 pairs are compared, and algebra may take seconds for each. So two wrong
answers are one where the mathematical grader's exact path says so; its algebra is asked about references alone. Two
plain numbers are compared here, as decimals. A user's grader may be slow as well: a problem's wrong answers have
`BUDGET` seconds, the most drawn first, and what is left when they are over stands alone and is counted.
"""

import time
from collections.abc import Callable, Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

Comparison = Callable[[str, str], bool]
"""Whether two answers are one, the first in the reference's place."""

BUDGET = 60.0
"""Seconds that comparing one problem's wrong answers may take."""

_LONGEST = 40
"""Most characters of a plain number."""


class Equivalence:
    """Whether two answers are one, and how long that may take.

    Args:
        compare: Says it of two texts, the first in the reference's place.
        seconds: What a problem's comparisons may take together.
        clock: Tells the time, in seconds.

    Attributes:
        alone: How many answers, over all problems so far, were left alone since their problem's time was over.
    """

    def __init__(
        self, compare: Comparison, seconds: float = BUDGET, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.alone = 0
        self._compare = compare
        self._seconds = seconds
        self._clock = clock

    def __call__(self, first: str, second: str) -> bool:
        """Whether the two are one."""
        return self._compare(first, second)

    def leaders(self, texts: Sequence[str]) -> dict[str, str]:
        """The first text of each text's group, for one problem's texts in the order of comparing."""
        end, found, leaders = self._clock() + self._seconds, {text: text for text in texts}, list[str]()
        for place, text in enumerate(texts):
            for other in leaders:
                if self._clock() >= end:
                    self.alone += len(texts) - place
                    return found
                if self._compare(other, text):
                    found[text] = other
                    break
            else:
                leaders.append(text)
        return found


def equivalence_fn(grader: str) -> Equivalence:
    """The named grader's verdict on two answers; of the mathematical one the exact path alone.

    Args:
        grader: `math`, `exact`, `string`, `multiple_choice` or `module:function`.

    Raises:
        StepwardError: There is no such grader.
    """
    from stepward.grading import grade_without_sympy
    from stepward.grading.graders import load_grader

    compare = load_grader(grader)

    def same(first: str, second: str) -> bool:
        if grader == "math":
            one, other = _plain_number(first), _plain_number(second)
            if one is not None and other is not None:
                return one == other
            verdict = grade_without_sympy(first, second)
            return verdict is not None and verdict.equal
        return compare(first, second).equal

    return Equivalence(same)


def group_answers(
    answers: Sequence[str | None], correct: NDArray[np.bool_], copies: NDArray[np.int64], same: Equivalence | Comparison
) -> NDArray[np.int32]:
    """The number of each candidate's answer within one problem [candidate].

    Args:
        answers: The candidates' answers, as texts; None where there is none [candidate].
        correct: Grades, the same for one text [candidate].
        copies: How many draws each candidate stands for [candidate].
        same: Whether two answers are one, from `equivalence_fn`, for example; `Equivalence` also says in what time.

    Returns:
        Numbers from 0 in the order of first appearance; -1 for a candidate without an answer.
    """
    drawn: dict[str, int] = {}
    for answer, copy in zip(answers, copies.tolist(), strict=True):
        if answer is not None:
            drawn[answer] = drawn.get(answer, 0) + copy
    right = {answer for answer, grade in zip(answers, correct, strict=True) if grade and answer is not None}
    wrong = sorted(drawn.keys() - right, key=lambda one: (-drawn[one], one))
    leader = dict.fromkeys(right, "") | (same if isinstance(same, Equivalence) else Equivalence(same)).leaders(wrong)
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
