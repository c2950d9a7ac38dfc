"""CSV that a spreadsheet opens: text that it would compute stays text, whoever wrote it."""

import ast
import csv
import io
from pathlib import Path

import pytest

import stepward
from stepward.storage.spreadsheet import csv_text


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_text_that_begins_a_formula_has_an_apostrophe(begin: str) -> None:
    text = f"{begin}cmd|' /C calc'!A0"
    rows = list(csv.reader(io.StringIO(csv_text([text, "b"], [[text, "a, b"]]), newline="")))
    safe = f"'{text}".replace("\r", "\n")
    assert rows == [[safe, "b"], [safe, "a, b"]]


def test_no_row_ends_within_a_cell() -> None:
    (row,) = csv.reader(io.StringIO(csv_text(["a\r=1\r\n=2\n=3"], []), newline=""))
    assert row == ["a\n=1\n=2\n=3"]


def test_numbers_stay_numbers_and_nothing_is_an_empty_cell() -> None:
    assert csv_text(["a"], [[-0.5], [-3], [1e-9], [None], [True], ["x-1"], [""]]).splitlines() == [
        "a", "-0.5", "-3", "1e-09", '""', "True", "x-1", '""',
    ]  # fmt: skip


def test_nothing_else_writes_csv() -> None:
    root = Path(stepward.__file__).parent
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import) and any(one.name == "csv" for one in node.names)
    }
    assert found == {"storage/spreadsheet.py"}
