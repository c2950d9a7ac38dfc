"""The published model solutions: read as they are, and as a labelled solution that branches."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward import formats
from stepward.errors import StepwardError
from stepward.formats import WriteOptions
from stepward.formats.problems.gsm8k_solutions import (
    NAME,
    PublishedSolution,
    read,
    read_published_rows,
    without_calculator,
)
from stepward.formats.problems.gsm8k_solutions import (
    write as write_row,
)
from stepward.records import LabelledSolution
from stepward.rows import SourceRow

ROW: dict[str, Any] = {
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
    ("change", "field", "code"),
    [
        ({"question": ""}, "question", "empty"),
        ({"question": 3}, "question", "wrong_type"),
        (
            {"ground_truth": "it is 7"},
            "ground_truth",
            "missing",
        ),
        ({"question": ROW["question"]}, "question", "duplicate"),
        ({"small": "7"}, "small", "wrong_type"),
        ({"small": {"is_correct": True}}, "small.solution", "missing"),
        ({"small": {"is_correct": True, "solution": ""}}, "small.solution", "empty"),
        (
            {"small": {"is_correct": 1, "solution": "A: 7"}},
            "small.is_correct",
            "wrong_type",
        ),
        ({"small": {"solution": "A: 7"}}, "small.is_correct", "missing"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, change: dict[str, Any], field: str, code: str) -> None:
    path = write(tmp_path, ROW, {**ROW, "question": "Another?", **change})
    with refused(code, file=path, row=2, field=field, names=(path,)):
        read_published_rows(path)


def test_a_row_without_solutions_or_fields_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, {"question": "q?", "ground_truth": "A: 1"}, {"small": ROW["small"]})
    with pytest.raises(StepwardError) as raised:
        read_published_rows(path)
    faults = [(fault.row, fault.field, fault.code) for fault in raised.value.faults]
    assert faults == [(1, "", "missing"), (2, "question", "missing")]


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


def as_row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.jsonl"), 1, fields)


def test_a_row_is_guessed_as_itself_alone() -> None:
    assert [one.name for one in formats.FORMATS.values() if one.matches(ROW)] == [NAME]


def test_each_generator_is_a_branch_with_the_grade_at_its_end() -> None:
    record = read(as_row(ROW))
    assert record.steps == ("3+4 = 7", "A: 7", "3+4 = 8", "A: 8")
    assert record.labels == (None, 1.0, None, 0.0)
    assert record.parents == (-1, 0, -1, 2)
    assert (record.reference, record.correct) == ("7", None)
    assert [path.labels for path in formats.iter_branches(record)] == [(None, 1.0), (None, 0.0)]
    assert write_row(record, WriteOptions()) == [ROW]


def test_a_changed_label_is_written_changed() -> None:
    record = read(as_row({**ROW, "large": {"is_correct": False, "solution": " 3+4 = 8 \n\nA: 8"}}))
    (row,) = write_row(replace(record, labels=(None, 0.0, None, 1.0)), WriteOptions())
    assert (row["small"]["is_correct"], row["large"]["is_correct"]) == (False, True)
    assert row["large"]["solution"] == " 3+4 = 8 \n\nA: 8"
    (row,) = write_row(replace(record, steps=(*record.steps[:3], "A: 9")), WriteOptions())
    assert row["large"]["solution"] == " 3+4 = 8\nA: 9"


def test_a_record_of_another_source_is_refused() -> None:
    record = LabelledSolution("q?", ("a",), (1.0,), source="scan")
    with refused("mismatch", field="extra", error=formats.UnsupportedRecord):
        write_row(record, WriteOptions())
    unlabelled = replace(read(as_row(ROW)), labels=(None,) * 4)
    with refused("missing", field="labels", names=("small",), error=formats.UnsupportedRecord):
        write_row(unlabelled, WriteOptions())


text = st.text(st.characters(codec="utf-8", exclude_characters="\0")).filter(str.strip)
solutions = st.fixed_dictionaries({"is_correct": st.booleans(), "solution": text})
generators = st.text("abc", min_size=1, max_size=3)


@given(text, text, st.dictionaries(generators, solutions, min_size=1, max_size=3))
def test_any_row_comes_back(question: str, worked: str, written: dict[str, Any]) -> None:
    row = {"question": question, "ground_truth": f"{worked}\nA: 5", **written}
    assert write_row(read(as_row(row)), WriteOptions()) == [row]


def test_the_published_file_comes_back(shared_data: Path) -> None:
    reading = formats.read(shared_data / "gsm8k" / "example_model_solutions.jsonl", strict=True)
    assert reading.guessed
    for record in reading:
        assert isinstance(record, LabelledSolution)
        assert reading.row is not None
        assert write_row(record, WriteOptions()) == [reading.row.fields]
        assert sum(label is not None for label in record.labels) == 4
    assert (reading.format.name, reading.rows) == (NAME, 554)
