"""GSM8K: each row is a problem; its worked solution is not kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward import formats
from stepward.formats import UnsupportedRecord, WriteOptions
from stepward.formats.problems.gsm8k import NAME, read, write
from stepward.records import Problem, question_id
from stepward.rows import InvalidRow, SourceRow

ROW: dict[str, Any] = {"question": "What is 2 + 3?", "answer": "2 + 3 = <<2+3=5>>5\n#### 5"}


def as_row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.jsonl"), 1, fields)


def test_a_row_is_guessed_as_itself_alone() -> None:
    assert [one.name for one in formats.FORMATS.values() if one.matches(ROW)] == [NAME]


def test_a_row_is_a_problem_and_a_problem_a_row_without_the_worked_solution() -> None:
    problem = read(as_row(ROW))
    assert problem == Problem(question_id(ROW["question"]), ROW["question"], "5", source=NAME)
    assert write(problem, WriteOptions()) == [{"question": "What is 2 + 3?", "answer": "#### 5"}]


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"answer": "It is 5"}, "answer", "missing"),
        ({"answer": "#### "}, "answer", "missing"),
        ({"answer": ""}, "answer", "empty"),
        ({"answer": 5}, "answer", "wrong_type"),
        ({"question": " "}, "question", "empty"),
    ],
)
def test_a_bad_row_is_named(change: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRow) as raised:
        read(as_row({**ROW, **change}))
    assert (raised.value.field, raised.value.code) == (field, code)


@pytest.mark.parametrize("reference", ["5\n6", " 5", "", "#### 5"])
def test_a_reference_that_would_be_read_otherwise_is_refused(reference: str) -> None:
    with refused("bad_value", field="reference", error=UnsupportedRecord):
        write(replace(read(as_row(ROW)), reference=reference), WriteOptions())


@given(st.text("ab? ", min_size=1).filter(str.strip), st.text("12,.#\n ").map(str.strip).filter(bool))
def test_a_problem_comes_back_or_is_refused(question: str, reference: str) -> None:
    problem = Problem(question_id(question), question, reference, source=NAME)
    try:
        (row,) = write(problem, WriteOptions())
    except UnsupportedRecord:
        assert "\n" in reference or "####" in reference
    else:
        assert read(as_row(row)) == problem


def test_the_published_file_is_read_whole(shared_data: Path) -> None:
    reading = formats.read(shared_data / "gsm8k" / "train.jsonl", strict=True)
    problems = list(reading)
    assert (reading.format.name, len(problems)) == (NAME, 7473)
    assert len({problem.id for problem in problems if isinstance(problem, Problem)}) == 7473
