"""Problems from a file: JSON lines, a JSON array or Parquet, in our fields, GSM8K's or MATH's.

A problem is refused rather than guessed at: one without a reference answer, or asked twice, would grade or split
wrongly for the rest of the run without a word. All bad rows (up to ten) are named at once.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepward.answer_extraction import extract_answer, reference_fault
from stepward.errors import StepwardError
from stepward.records import Problem
from stepward.rows import ErrorCollector, json_type, read_rows

QUESTION_FIELDS = ("question", "problem")
REFERENCE_FIELDS = ("reference", "final_answer", "answer", "solution")
"""Fields that are looked for, in this order, where the caller names none."""

_LEVEL = re.compile(r"(?:Level )?([0-9]{1,3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Fields:
    """Which fields hold the question and the reference, and how the answer is marked in the latter."""

    question: str
    reference: str
    style: str


def read_problems(
    path: Path,
    *,
    question: str | None = None,
    reference: str | None = None,
    fault: Callable[[str], str | None] = reference_fault,
) -> list[Problem]:
    r"""Read problems from a file.

    A row's question and reference are the fields that are named, or else the first of `QUESTION_FIELDS` and
    `REFERENCE_FIELDS` that the rows have: ours (`question`, `reference`), GSM8K's (`question`, `answer`, the answer
    behind `####`) or MATH's (`problem` with `final_answer`, `answer`, or `solution`, the answer in the last
    `\boxed{}`). In a field that `reference` names, the answer is what `####` or `\boxed{}` marks, or else all of it.
    `level` may be a whole number, "Level 3", or "Level ?" for none.

    A row's own `id` is kept; one without gets `<file's name>-<hash of the question>`, which does not change when rows
    are added or moved. A question may stand once in a file: twice would put it on both sides of a split.

    Args:
        path: A file of rows (`stepward.rows`): JSON lines, a JSON array or Parquet.
        question: The field that holds the question.
        reference: The field that holds the reference answer.
        fault: Says why a reference can't be graded against, or None; by default as mathematics.

    Returns:
        The problems in the file's order, `source` being the file's name.

    Raises:
        StepwardError: The file can't be read, its fields are unknown, or rows are bad: not JSON, a field missing, of a
            wrong type or empty, NaN, NUL, broken UTF-8, a repeated key, id or question, no reference answer.
    """
    path = Path(path)
    bad = ErrorCollector(path)
    rows = [(row.number, row.fields) for row in read_rows(path, bad)]
    if not rows:
        bad.raise_if_any()
    fields = _find_fields(path, rows, question, reference, bad)
    read = [(number, problem) for number, row in rows if (problem := _problem(path, number, row, fields, bad, fault))]
    _note_repeats(read, bad)
    bad.raise_if_any()
    return [problem for _, problem in read]


def problem_id(path: Path, question: str) -> str:
    """The id of a problem that came without one: its file's name, without what follows the first dot, and a hash."""
    return f"{path.name.partition('.')[0]}-{hashlib.sha256(question.encode()).hexdigest()[:16]}"


def _find_fields(
    path: Path, rows: list[tuple[int, dict[str, Any]]], question: str | None, reference: str | None, bad: ErrorCollector
) -> _Fields:
    """The fields of the first row that has a known pair; a row that lacks them is then a bad row."""
    if question and reference:
        return _Fields(question, reference, "as named")
    questions = (question,) if question else QUESTION_FIELDS
    references = (reference,) if reference else REFERENCE_FIELDS
    for _, row in rows:
        asked = next((name for name in questions if name in row), None)
        answered = next((name for name in references if name in row and name != asked), None)
        if asked and answered:
            return _Fields(asked, answered, "as named" if reference else _style(asked, answered))
    bad.raise_if_any()  # the rows with the fields may be among the bad ones
    number, row = rows[0]
    raise StepwardError(
        f"{path}: row {number}: no known pair of fields; found {_names(row)}; expected one of {', '.join(questions)} "
        f"with one of {', '.join(references)}; name the fields with question=... and reference=... (in a recipe "
        "problems.question and problems.reference)",
        code="unknown_name",
        file=path,
        row=number,
    )


def _style(question: str, reference: str) -> str:
    if reference == "solution":
        return "boxed"
    # GSM8K's answer is worked out; MATH-500's, beside `problem`, is bare.
    return "gsm8k" if (question, reference) == ("question", "answer") else "bare"


def _problem(
    path: Path,
    number: int,
    row: dict[str, Any],
    fields: _Fields,
    bad: ErrorCollector,
    fault: Callable[[str], str | None],
) -> Problem | None:
    """The row's problem, or None once its faults are noted."""
    before = bad.count
    question = _text(number, row, fields.question, bad)
    worked = _text(number, row, fields.reference, bad)
    reference = _reference(worked, fields.style) if worked else None
    if worked and not reference:
        mark = "a line '#### <answer>'" if fields.style == "gsm8k" else "a \\boxed{<answer>}"
        hint = f"where the field holds the bare answer, say reference={fields.reference}"
        bad.record(number, fields.reference, f"no reference answer: expected {mark}; {hint}", "missing")
    if reference and (wrong := fault(reference)):
        bad.record(
            number, fields.reference, f"{wrong}; expected an answer that others can be compared with", "bad_value"
        )
    level = _level(number, row.get("level"), bad)
    own = _own_id(number, row.get("id"), bad)
    if bad.count > before:
        return None
    assert question and reference, "a row without faults has both"
    return Problem(own or problem_id(path, question), question, reference, level, path.name)


def _text(number: int, row: dict[str, Any], field: str, bad: ErrorCollector) -> str | None:
    """The field's text without surrounding white space, or None once its fault is noted."""
    if field not in row:
        bad.record(number, field, f"missing; found {_names(row)}", "missing")
        return None
    value = row[field]
    if not isinstance(value, str):
        bad.record(number, field, f"expected text, found {json_type(value)}", "wrong_type")
        return None
    if not value.strip():
        bad.record(number, field, "empty; expected text", "empty")
    return value.strip()


def _reference(worked: str, style: str) -> str | None:
    if style == "bare":
        return worked
    if style == "as named":
        return extract_answer(worked, "gsm8k") or extract_answer(worked, "boxed") or worked
    return extract_answer(worked, style)


def _level(number: int, value: Any, bad: ErrorCollector) -> int | None:
    if value is None or value == "Level ?":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _LEVEL.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        bad.record(
            number,
            "level",
            f'expected a whole number or "Level 3", found {json_type(value)} {value!r:.40}',
            "wrong_type",
        )
        return None
    return int(match[1])


def _own_id(number: int, value: Any, bad: ErrorCollector) -> str | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value.strip():
        return value
    bad.record(number, "id", f"expected text or a whole number, found {json_type(value)} {value!r:.40}", "wrong_type")
    return None


def _note_repeats(read: list[tuple[int, Problem]], bad: ErrorCollector) -> None:
    """Note every row whose question or id an earlier row has."""
    questions: dict[str, int] = {}
    ids: dict[str, int] = {}
    for number, problem in read:
        if problem.question in questions:
            bad.record(number, "question", f"the same as row {questions[problem.question]}'s; keep one", "duplicate")
        elif problem.id in ids:
            bad.record(number, "id", f"{problem.id!r} is also row {ids[problem.id]}'s; ids must differ", "duplicate")
        questions.setdefault(problem.question, number)
        ids.setdefault(problem.id, number)


def _names(row: dict[str, Any]) -> str:
    return ", ".join(row) or "no fields"
