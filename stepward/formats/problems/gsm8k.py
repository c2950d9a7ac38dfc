"""GSM8K: `question`, and `answer`: a worked solution whose last line is `#### 72`.

A problem holds the reference answer alone, so the worked solution is lost.
"""

from typing import Any

from stepward.answer_extraction import extract_answer
from stepward.formats.base import Fields, Format, UnsupportedRecord, WriteOptions
from stepward.formats.checks import text
from stepward.records import Problem, question_id
from stepward.rows import InvalidRow, SourceRow

NAME = "gsm8k"
MARK = "####"


def matches(fields: Fields) -> bool:
    """Whether a row has a question, and an answer with the mark."""
    return "question" in fields and MARK in str(fields.get("answer", ""))


def read(row: SourceRow) -> Problem:
    """The row's problem."""
    question, worked = text(row.fields, "question"), text(row.fields, "answer")
    reference = extract_answer(worked, "gsm8k")
    if reference is None:
        raise InvalidRow("answer", f"no reference answer; expected a line '{MARK} <answer>'", "missing")
    return Problem(question_id(question), question, reference, source=NAME)


def write(problem: Problem, choices: WriteOptions) -> list[dict[str, Any]]:
    """The problem's row, its answer without a worked solution."""
    answer = f"{MARK} {problem.reference}"
    if extract_answer(answer, "gsm8k") != problem.reference:
        raise UnsupportedRecord(
            f"the reference {problem.reference!r:.40} can't stand behind {MARK} on one line", "bad_value", "reference"
        )
    return [{"question": problem.question, "answer": answer}]


FORMAT = Format(NAME, "question, answer that ends in #### N", Problem, matches, read, write)
