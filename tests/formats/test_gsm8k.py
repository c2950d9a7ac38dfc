"""The published model solutions, read as they are."""

import json
from pathlib import Path
from typing import Any

import pytest

from stepward.errors import StepwardError
from stepward.formats.gsm8k import PublishedSolution, read_published_rows, without_calculator

ROW = {
    "question": "What is 3+4?",
    "ground_truth": "3+4 = <<3+4=7>>7\nA: 7",
    "small": {"is_correct": True, "solution": "3+4 = 7\nA: 7"},
    "large": {"is_correct": False, "solution": "3+4 = 8\nA: 8\n"},
}


def write(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "solutions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_row_is_read_as_it_is(tmp_path: Path) -> None:
    (row,) = read_published_rows(write(tmp_path, ROW))
    assert (row.row, row.question, row.reference) == (1, "What is 3+4?", "7")
    assert row.solutions == (
        PublishedSolution("small", "3+4 = 7\nA: 7", True),
        PublishedSolution("large", "3+4 = 8\nA: 8", False),
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"question": ""}, "row 2, field 'question': empty; expected text"),
        ({"question": 3}, "row 2, field 'question': found a number; expected text"),
        (
            {"ground_truth": "it is 7"},
            "row 2, field 'ground_truth': no reference answer: expected a line 'A: <answer>'",
        ),
        ({"question": ROW["question"]}, "row 2, field 'question': the same as row 1's"),
        ({"small": "7"}, "row 2, field 'small': expected an object with is_correct and solution, found text"),
        ({"small": {"is_correct": True}}, "row 2, field 'small.solution': missing; expected text"),
        ({"small": {"is_correct": True, "solution": ""}}, "row 2, field 'small.solution': empty; expected text"),
        (
            {"small": {"is_correct": 1, "solution": "A: 7"}},
            "row 2, field 'small.is_correct': expected true or false, found a number",
        ),
        ({"small": {"solution": "A: 7"}}, "row 2, field 'small.is_correct': expected true or false, found null"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    path = write(tmp_path, ROW, {**ROW, "question": "Another?", **change})
    with pytest.raises(StepwardError) as raised:
        read_published_rows(path)
    assert expected in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_row_without_solutions_or_fields_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, {"question": "q?", "ground_truth": "A: 1"}, {"small": ROW["small"]})
    with pytest.raises(StepwardError) as raised:
        read_published_rows(path)
    assert "row 1, no solutions: expected a field a model" in str(raised.value)
    assert "row 2, field 'ground_truth': missing" in str(raised.value)
    assert "row 2, field 'question': missing" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("17 + 7 = <<17+7=24>>24 feet", "17 + 7 = 24 feet"),
        ("<<1=1>>1 and <<2=2>>2", "1 and 2"),
        ("1 << 2", "1 << 2"),
        ("a <<1 b <<2=2>>2", "a <<1 b 2"),
        ("none", "none"),
        ("", ""),
    ],
)
def test_calculator_marks_can_be_left_out(text: str, expected: str) -> None:
    assert without_calculator(text) == expected
