"""MATH in its three shapes: each row is a problem; its worked solution is not kept."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward import formats
from stepward.formats import WriteOptions
from stepward.formats.problems.math import NAME, read, write
from stepward.records import Problem, question_id
from stepward.rows import InvalidRow, SourceRow

ORIGINAL: dict[str, Any] = {
    "problem": "What is $1/2$?",
    "level": "Level 3",
    "type": "Algebra",
    "solution": r"It is \boxed{\frac{1}{2}}.",
}
MATH_500: dict[str, Any] = {
    "problem": "What is $1/2$?",
    "solution": r"It is \boxed{0.5}.",
    "answer": r"\frac{1}{2}",
    "subject": "Algebra",
    "level": 3,
    "unique_id": "test/algebra/1.json",
}
OPENR: dict[str, Any] = {"problem": "What is $1/2$?", "final_answer": r"\frac{1}{2}"}
ID = question_id("What is $1/2$?")


def as_row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.jsonl"), 1, fields)


@pytest.mark.parametrize("row", [ORIGINAL, MATH_500, OPENR], ids=["original", "MATH-500", "openr"])
def test_a_row_is_guessed_as_itself_alone(row: dict[str, Any]) -> None:
    assert [one.name for one in formats.FORMATS.values() if one.matches(row)] == [NAME]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (ORIGINAL, (ID, r"\frac{1}{2}", 3, "Algebra")),
        (MATH_500, ("test/algebra/1.json", r"\frac{1}{2}", 3, "Algebra")),
        (OPENR, (ID, r"\frac{1}{2}", None, None)),
        ({**ORIGINAL, "level": "Level ?", "type": None}, (ID, r"\frac{1}{2}", None, None)),
        ({**ORIGINAL, "final_answer": None, "answer": None}, (ID, r"\frac{1}{2}", 3, "Algebra")),
    ],
    ids=["original", "MATH-500", "openr", "no level", "columns of nulls"],
)
def test_a_row_is_a_problem(row: dict[str, Any], expected: tuple[Any, ...]) -> None:
    problem = read(as_row(row))
    assert (problem.id, problem.reference, problem.level, problem.subject) == expected
    assert (problem.question, problem.source) == ("What is $1/2$?", NAME)
    (written,) = write(problem, WriteOptions())
    assert read(as_row(written)) == problem


def test_openr_rows_come_back() -> None:
    assert write(read(as_row(OPENR)), WriteOptions()) == [OPENR]


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        ({**OPENR, "final_answer": ""}, "final_answer", "empty"),
        ({**OPENR, "final_answer": 5}, "final_answer", "wrong_type"),
        ({**ORIGINAL, "solution": "It is 1/2."}, "solution", "missing"),
        ({"problem": "q?"}, "solution", "missing"),
        ({**OPENR, "problem": ""}, "problem", "empty"),
        ({**OPENR, "level": "hard"}, "level", "bad_value"),
        ({**OPENR, "level": "Level ٣"}, "level", "bad_value"),
        ({**OPENR, "level": True}, "level", "bad_value"),
        ({**OPENR, "level": 10**12}, "level", "bad_value"),
        ({**OPENR, "subject": 1}, "subject", "wrong_type"),
        ({**OPENR, "unique_id": 1}, "unique_id", "wrong_type"),
    ],
    ids=range(11),
)
def test_a_bad_row_is_named(row: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRow) as raised:
        read(as_row(row))
    assert raised.value.field == field
    assert raised.value.code == code


text = st.text(st.characters(codec="utf-8", exclude_characters="\0")).filter(str.strip)


@given(text, text, st.none() | st.integers(0, 9), st.none() | text, st.none() | text)
def test_any_problem_comes_back(
    question: str, reference: str, level: int | None, subject: str | None, own: str | None
) -> None:
    problem = Problem(own or question_id(question), question, reference, level, NAME, subject)
    (row,) = write(problem, WriteOptions())
    assert read(as_row(row)) == problem


def test_the_published_file_comes_back_but_two_rows_without_an_answer(shared_data: Path) -> None:
    faults: list[str] = []
    path = shared_data / "math" / "train_problems_and_answers.json"
    reading = formats.read(path, on_fault=lambda fault: faults.append(str(fault)))
    for problem in reading:
        assert isinstance(problem, Problem)
        assert reading.row is not None
        assert write(problem, WriteOptions()) == [reading.row.fields]
    assert (reading.format.name, reading.rows) == (NAME, 7498)
    assert faults == [f"row {row}, field 'final_answer': empty; expected text" for row in (2301, 2545)]
