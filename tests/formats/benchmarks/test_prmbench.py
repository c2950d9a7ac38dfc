"""PRMBench: error steps become labels, and come back; steps past the end are set aside."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward import formats
from stepward.formats import UnsupportedRecord, WriteOptions
from stepward.formats.benchmarks.prmbench import NAME, read, write
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow

ROW: dict[str, Any] = {
    "original_question": "What is 2 + 3?",
    "modified_question": "What is 2 + 3 + 4?",
    "original_process": ["2 + 3 = 5"],
    "modified_process": ["2 + 3 = 6", "6 + 4 = 10", "It is 10"],
    "modified_steps": [1, 2],
    "error_steps": [1, 3],
    "reason": "2 + 3 is 5",
    "idx": "sums_1",
    "question": "What is 2 + 3?",
    "classification": "confidence",
}


def as_row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.jsonl"), 1, fields)


def test_a_row_is_guessed_as_itself_alone() -> None:
    assert [one.name for one in formats.FORMATS.values() if one.matches(ROW)] == [NAME]


def test_the_record_is_the_modified_solution() -> None:
    record = read(as_row(ROW))
    assert (record.question, record.steps) == (ROW["modified_question"], tuple(ROW["modified_process"]))
    assert record.labels == (0.0, 1.0, 0.0)
    assert json.loads(record.extra)["classification"] == "confidence"
    assert write(record, WriteOptions()) == [ROW]


@pytest.mark.parametrize("errors", [[], [2], [3, 1], [2, 2]], ids=["none", "one", "unsorted", "twice"])
def test_error_steps_come_back_as_they_were(errors: list[int]) -> None:
    row = {**ROW, "error_steps": errors}
    assert write(read(as_row(row)), WriteOptions()) == [row]


def test_a_changed_label_is_written_changed() -> None:
    record = read(as_row({**ROW, "error_steps": [3, 1]}))
    assert write(replace(record, labels=(1.0, 1.0, 0.0)), WriteOptions()) == [{**ROW, "error_steps": [3]}]


def test_empty_steps_are_kept_because_the_errors_are_counted_among_them() -> None:
    row = {**ROW, "modified_process": ["a", "", "c"], "error_steps": [3]}
    record = read(as_row(row))
    assert (record.steps, record.labels) == (("a", "", "c"), (1.0, 1.0, 0.0))
    assert write(record, WriteOptions()) == [row]


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"error_steps": [1, 4]}, "error_steps[1]", "bad_value"),
        ({"error_steps": [0]}, "error_steps[0]", "bad_value"),
        ({"error_steps": ["1"]}, "error_steps[0]", "wrong_type"),
        ({"error_steps": [True]}, "error_steps[0]", "wrong_type"),
        ({"error_steps": None}, "error_steps", "wrong_type"),
        ({"modified_process": ["a", None, "c"]}, "modified_process[1]", "wrong_type"),
        ({"modified_process": []}, "modified_process", "empty"),
        ({"modified_question": ""}, "modified_question", "empty"),
    ],
)
def test_a_bad_row_is_named(change: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRow) as raised:
        read(as_row({**ROW, **change}))
    assert raised.value.field == field
    assert raised.value.code == code


def test_a_record_of_another_source_is_refused() -> None:
    with refused("mismatch", field="extra", error=UnsupportedRecord):
        write(LabelledSolution("q?", ("a",), (1.0,)), WriteOptions())


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(text.filter(str.strip), st.lists(text, min_size=1, max_size=5), st.data())
def test_any_row_comes_back(question: str, steps: list[str], data: st.DataObject) -> None:
    row = {
        **ROW,
        "modified_question": question,
        "modified_process": steps,
        "error_steps": data.draw(st.lists(st.integers(1, len(steps)), max_size=4)),
        "original_process": data.draw(st.lists(text, max_size=2)),
    }
    record = read(as_row(row))
    assert write(record, WriteOptions()) == [row]
    assert {index + 1 for index, label in enumerate(record.labels) if label == 0} == set(row["error_steps"])


@pytest.mark.parametrize(
    ("file", "rows", "past_the_end"),
    [("circular", 401, 3), ("confidence", 400, 8), ("step_contradiction", 401, 2)],
)
def test_the_published_files_come_back_but_the_13_rows_that_point_past_the_end(
    shared_data: Path, file: str, rows: int, past_the_end: int
) -> None:
    faults: list[str] = []
    path = shared_data / "prmbench" / f"train_p1_{file}.jsonl"
    reading = formats.read(path, on_fault=lambda fault: faults.append(fault.reason))
    for record in reading:
        assert reading.row is not None
        assert reading.format.write is not None
        assert reading.format.write(record, WriteOptions()) == [reading.row.fields]
    assert (reading.format.name, reading.rows) == (NAME, rows - past_the_end)
    assert reading.bad.rows == past_the_end
    assert all("points past the end" in reason for reason in faults)
