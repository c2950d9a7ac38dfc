"""SCAN: scores become soft labels, and come back."""

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
from stepward.formats.benchmarks.scan import NAME, read, write
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow

ROW: dict[str, Any] = {"question": "What is 2 + 3?", "steps": ["2 + 3 = 5", "It is 5"], "scores": [0.75, 1]}


def as_row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.jsonl"), 1, fields)


def test_a_row_is_guessed_as_itself_alone() -> None:
    assert [one.name for one in formats.FORMATS.values() if one.matches(ROW)] == [NAME]


def test_scores_are_soft_labels() -> None:
    record = read(as_row({**ROW, "model": "a"}))
    assert (record.steps, record.labels, record.correct) == (("2 + 3 = 5", "It is 5"), (0.75, 1.0), None)
    assert write(record, WriteOptions()) == [{**ROW, "model": "a"}]
    assert write(replace(record, labels=(0.5, 0.0)), WriteOptions())[0]["scores"] == [0.5, 0.0]


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"scores": [1]}, "scores", "mismatch"),
        ({"scores": [1, 1.5]}, "scores[1]", "bad_value"),
        ({"scores": [-1, 1]}, "scores[0]", "bad_value"),
        ({"scores": [None, 1]}, "scores[0]", "wrong_type"),
        ({"steps": ["a", "\n"]}, "steps[1]", "empty"),
        ({"steps": [], "scores": []}, "steps", "empty"),
        ({"question": 5}, "question", "wrong_type"),
    ],
)
def test_a_bad_row_is_named(change: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRow) as raised:
        read(as_row({**ROW, **change}))
    assert (raised.value.field, raised.value.code) == (field, code)


def test_a_number_of_more_than_64_bits_goes_through_files(tmp_path: Path) -> None:
    row = {**ROW, "seed": 10**30}
    (tmp_path / "in.jsonl").write_text(json.dumps(row) + "\n")
    formats.write(formats.read(tmp_path / "in.jsonl"), tmp_path / "out.jsonl", NAME)
    assert json.loads((tmp_path / "out.jsonl").read_text()) == row


def test_a_step_without_a_label_is_refused() -> None:
    with refused("missing", field="labels[0]", error=UnsupportedRecord):
        write(LabelledSolution("q?", ("a",), (None,)), WriteOptions())


def test_a_record_without_question_or_steps_is_refused() -> None:
    with refused("missing", field="question", error=UnsupportedRecord):
        write(LabelledSolution("", ("q? a",), (1.0,)), WriteOptions())
    with refused("empty", field="steps", error=UnsupportedRecord):
        write(LabelledSolution("q?", (), ()), WriteOptions())


text = st.text(st.characters(codec="utf-8", exclude_characters="\0")).filter(str.strip)


@given(text, st.lists(st.tuples(text, st.floats(0, 1)), min_size=1, max_size=5), st.none() | text)
def test_any_row_comes_back(question: str, scored: list[tuple[str, float]], note: str | None) -> None:
    row = {
        "question": question,
        "steps": [step for step, _ in scored],
        "scores": [score for _, score in scored],
        "note": note,
    }
    assert write(read(as_row(row)), WriteOptions()) == [row]


@pytest.mark.parametrize("file", ["SCAN-Base", "SCAN-Pro"])
def test_the_published_files_come_back(shared_data: Path, file: str) -> None:
    reading = formats.read(shared_data / "scan" / f"{file}.jsonl", strict=True)
    for record in reading:
        assert isinstance(record, LabelledSolution)
        assert reading.row is not None
        assert write(record, WriteOptions()) == [reading.row.fields]
    assert (reading.format.name, reading.rows) == (NAME, 100)
