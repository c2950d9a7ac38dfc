r"""MATH: `problem`, and a reference: `final_answer` (openr's list), `answer` (MATH-500) or the last box of `solution`.

A problem holds the reference answer alone, so the worked solution is lost.
"""

from typing import Any

from stepward.answer_extraction import extract_answer
from stepward.formats.base import Fields, Format, WriteOptions
from stepward.formats.checks import optional_text, text
from stepward.records import Problem, question_id
from stepward.rows import InvalidRow, SourceRow, json_type

NAME = "math"

_LEVEL = "Level "
_BARE = ("final_answer", "answer")


def matches(fields: Fields) -> bool:
    """Whether a row has a problem and one of the fields that hold its reference."""
    return "problem" in fields and any(isinstance(fields.get(name), str) for name in (*_BARE, "solution"))


def read(row: SourceRow) -> Problem:
    """The row's problem; its id is `unique_id` where there is one, its subject `subject` or `type`."""
    question = text(row.fields, "problem")
    own = optional_text(row.fields, "unique_id")
    subject = optional_text(row.fields, "subject") or optional_text(row.fields, "type")
    level = _level(row.fields.get("level"))
    return Problem(own or question_id(question), question, _reference(row.fields), level, NAME, subject or None)


def write(problem: Problem, choices: WriteOptions) -> list[dict[str, Any]]:
    """The problem's row: the reference as `final_answer`, and what else is known."""
    own = None if problem.id == question_id(problem.question) else problem.id
    more = {"level": problem.level, "subject": problem.subject, "unique_id": own}
    return [
        {
            "problem": problem.question,
            "final_answer": problem.reference,
            **{name: value for name, value in more.items() if value is not None},
        }
    ]


def _reference(fields: dict[str, Any]) -> str:
    bare = next((name for name in _BARE if fields.get(name) is not None), None)
    if bare is not None:
        return text(fields, bare)
    reference = extract_answer(text(fields, "solution"), "boxed")
    if reference is None:
        raise InvalidRow("solution", "no reference answer; expected it in a \\boxed{}", "missing")
    return reference


def _level(value: Any) -> int | None:
    """The level: a whole number, "Level 3", or none ("Level ?")."""
    if value is None or value == f"{_LEVEL}?":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1000:
        return value
    digits = value.removeprefix(_LEVEL) if isinstance(value, str) else ""
    # A level is a digit in MATH; three of them keep a text of digits from becoming a number without an end.
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 3):
        raise InvalidRow(
            "level",
            f'expected a whole number below 1,000 or "{_LEVEL}3", found {json_type(value)} {value!r:.40}',
            "bad_value",
        )
    return int(digits)


FORMAT = Format(NAME, "problem, final_answer | answer | solution with a box", Problem, matches, read, write)
