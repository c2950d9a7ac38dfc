"""Which answers of a problem are right, and which are one answer: each distinct text is graded once.

Answers are grouped as a run's are (`stepward.evaluation.answer_groups`): the right ones of a problem are one answer,
and of the others those that the grader calls equal.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.answer_groups import grouped, same_by
from stepward.evaluation.external_columns import Asked, Columns
from stepward.grading import Verdict, grade, grade_many
from stepward.grading.files import NOT_WRONG
from stepward.grading.graders import load_grader

_BATCH = 4096
"""Problems whose answers are graded at once, so that the grader's processes share the work."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """The answers of all problems.

    Attributes:
        starts: Where each problem's distinct texts begin, and the end of the last [problem + 1].
        group: The group of each text within its problem, from 0 in the order of their first texts [text].
        right: Whether it is right [text].
        undecided: How many texts could not be graded, by the grader's method; they count as wrong.
        alone: How many wrong texts were left alone, since comparing their problem's took too long.
    """

    starts: NDArray[np.int64]
    group: NDArray[np.int32]
    right: NDArray[np.bool_]
    undecided: Counter[str]
    alone: int


def group_answers(columns: Columns, grader: str, progress: Callable[[], None] = lambda: None) -> Grouped:
    """Grades every problem's answers and groups those that are one.

    Args:
        columns: The rows.
        grader: A name for `stepward.grading.graders.load_grader`; `math` grades in processes that can be killed.
        progress: Called after each problem.

    Raises:
        StepwardError: No such grader, or it failed.
    """
    same, asked = same_by(grader), columns.asked
    starts = np.cumsum([0] + [len(one.answers) for one in asked])
    group, right = np.zeros(starts[-1], np.int32), np.zeros(starts[-1], np.bool_)
    voiced = columns.answer >= 0
    drawn = np.bincount(starts[columns.problem[voiced]] + columns.answer[voiced], minlength=starts[-1])
    undecided: Counter[str] = Counter()
    for first in range(0, len(asked), _BATCH):
        batch = asked[first : first + _BATCH]
        for index, (one, correct) in enumerate(zip(batch, _grades(batch, grader, undecided), strict=True), start=first):
            texts = slice(starts[index], starts[index + 1])
            right[texts] = correct
            group[texts] = grouped(one.answers, right[texts], drawn[texts], same)
            progress()
    return Grouped(starts, group, right, undecided, same.alone)


def _grades(batch: Sequence[Asked], grader: str, undecided: Counter[str]) -> list[list[bool]]:
    """Each problem's grades [answer]: its own, or by its reference."""
    verdicts = _verdicts(batch, grader)
    undecided.update(verdict.method for verdict in verdicts if verdict.method in NOT_WRONG)
    given = iter(verdicts)
    return [one.correct if one.correct is not None else [next(given).equal for _ in one.answers] for one in batch]


def _verdicts(batch: Sequence[Asked], grader: str) -> Sequence[Verdict]:
    """The verdicts on all answers of the problems that have a reference."""
    compare = load_grader(grader)
    pairs = [(one.id, one.reference, answer) for one in batch if one.reference is not None for answer in one.answers]
    if compare is grade:
        return grade_many((reference, answer) for _, reference, answer in pairs)
    verdicts = []
    for problem, reference, answer in pairs:
        verdicts.append(compare(reference, answer))
        if verdicts[-1].method == "reference":
            raise StepwardError(
                f"problem {problem!r}, field 'reference': {reference!r} can't be graded against by {grader}: "
                f"{verdicts[-1].reason}; mend it, or name another --grader",
                code="bad_value",
                field="reference",
            )
    return verdicts
