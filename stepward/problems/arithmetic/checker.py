"""The arithmetic world's oracle: which step of a solution first goes wrong, and how.

It measures labels; it never trains a reward model unless a recipe asks for `labels: oracle`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from stepward.problems.arithmetic.story import Line, Story, read_story, right_answer, right_lines

ERRORS = (
    "wrong arithmetic",
    "wrong operand",
    "wrong operation",
    "skipped clause",
    "invented step",
    "wrong final answer",
    "unreadable",
)

_LINE = re.compile(
    r"(?:(?P<day>[A-Z][a-z]+): (?P<person>[A-Z][a-z]+) has|Together they have) "
    r"(?P<left>[0-9]{1,9}) (?P<operation>[+*-]) (?P<right>[0-9]{1,9}) = (?P<value>[0-9]{1,9})\."
)
_ANSWER = re.compile(r"The answer is (?P<value>[0-9]{1,9})\.")


@dataclass(frozen=True)
class FirstError:
    """The first wrong step: its index from 0, and one of `ERRORS`."""

    step: int
    kind: str


def first_error(question: str, steps: Sequence[str]) -> FirstError | None:
    """Finds the first wrong step of a solution, or of a prefix of one.

    Args:
        question: A problem's text of this world.
        steps: The solution's steps so far.

    Returns:
        The first error, or None if every step is right (a prefix need not be complete).

    Raises:
        ValueError: The question is not of this world.
    """
    story = read_story(question)
    pending = right_lines(story)
    for index, step in enumerate(steps):
        answer = _ANSWER.fullmatch(step)
        if answer is not None:
            return _check_answer(story, pending, index, int(answer["value"]), last=index == len(steps) - 1)
        line = _read(step)
        if line is None:
            return FirstError(index, "unreadable")
        # One sentence may change two counts: its two lines may come in either order.
        due = [right for right in pending if right.day == pending[0].day]
        if line in due:
            pending.remove(line)
            continue
        return FirstError(index, _kind(line, due, pending))
    return None


def _check_answer(story: Story, pending: list[Line], index: int, value: int, last: bool) -> FirstError | None:
    if pending:
        return FirstError(index, "skipped clause")
    if value != right_answer(story):
        return FirstError(index, "wrong final answer")
    return None if last else FirstError(index + 1, "invented step")


def _read(step: str) -> Line | None:
    match = _LINE.fullmatch(step)
    if match is None:
        return None
    numbers = [int(match[name]) for name in ("left", "right", "value")]
    return Line(match["day"] or "", match["person"] or "", numbers[0], match["operation"], numbers[1], numbers[2])


def _kind(line: Line, due: list[Line], pending: list[Line]) -> str:
    """How a wrong line goes wrong against the lines that could have stood there."""
    same_place = [right for right in due if (right.day, right.person) == (line.day, line.person)]
    if not same_place:
        later = any((right.day, right.person) == (line.day, line.person) for right in pending)
        return "skipped clause" if later else "invented step"
    right = same_place[0]
    if line.operation != right.operation:
        return "wrong operation"
    return "wrong arithmetic" if (line.left, line.right) == (right.left, right.right) else "wrong operand"
