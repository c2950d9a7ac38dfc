"""ProcessBench: the first wrong step becomes labels, and comes back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward import formats
from stepward.formats import UnsupportedRecord, WriteOptions
from stepward.formats.benchmarks.processbench import NAME, read, write
from stepward.records import LabelledSolution, question_id
from stepward.rows import InvalidRow, SourceRow

ROW: dict[str, Any] = {
    "id": "sums-0",
    "generator": "a-model",
    "problem": "What is 2 + 3 + 4?",
    "steps": ["2 + 3 = 5", "5 + 4 = 10", "So it is 10"],
    "final_answer_correct": False,
    "label": 1,
}


def as_row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.jsonl"), 1, fields)


def test_a_row_is_guessed_as_itself_alone() -> None:
    assert [one.name for one in formats.FORMATS.values() if one.matches(ROW)] == [NAME]


@pytest.mark.parametrize(
    ("label", "labels"),
    [
        (-1, (1.0, 1.0, 1.0)),
        (0, (0.0, None, None)),
        (1, (1.0, 0.0, None)),
        (2, (1.0, 1.0, 0.0)),
    ],
)
def test_labels_stop_at_the_first_error(label: int, labels: tuple[float | None, ...]) -> None:
    record = read(as_row({**ROW, "label": label}))
    assert record.labels == labels
    assert (record.question, record.problem_id) == (ROW["problem"], question_id(ROW["problem"]))
    assert (record.generator, record.correct, record.reference) == ("a-model", False, None)
    assert write(record, WriteOptions()) == [{**ROW, "label": label}]


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"label": 3}, "label", "bad_value"),
        ({"label": -2}, "label", "bad_value"),
        ({"label": 1.0}, "label", "wrong_type"),
        ({"label": True}, "label", "wrong_type"),
        ({"label": None}, "label", "wrong_type"),
        ({"steps": "a"}, "steps", "wrong_type"),
        ({"steps": [], "label": -1}, "steps", "empty"),
        ({"steps": ["a", " ", "c"]}, "steps[1]", "empty"),
        ({"steps": ["a", 2, "c"]}, "steps[1]", "wrong_type"),
        ({"problem": ""}, "problem", "empty"),
        ({"final_answer_correct": 1}, "final_answer_correct", "wrong_type"),
        ({"generator": None}, "generator", "wrong_type"),
    ],
)
def test_a_bad_row_is_named(change: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRow) as raised:
        read(as_row({**ROW, **change}))
    assert raised.value.field == field
    assert raised.value.code == code


def test_a_changed_label_is_written_changed() -> None:
    (row,) = write(replace(read(as_row(ROW)), labels=(0.0, None, None)), WriteOptions())
    assert row == {**ROW, "label": 0}


def test_what_the_format_cannot_say_is_refused() -> None:
    record = LabelledSolution("q?", ("a", "b", "c"), (1.0, None, 0.0), correct=True)
    with refused("missing", field="labels[1]", error=UnsupportedRecord):
        write(record, WriteOptions())
    with refused("missing", field="correct", error=UnsupportedRecord):
        write(replace(record, correct=None), WriteOptions())
    with refused("missing", field="--threshold"):
        write(replace(record, labels=(0.5, 1.0, 1.0)), WriteOptions())


def test_soft_and_neutral_labels_are_decided() -> None:
    record = LabelledSolution("q?", ("a", "b"), (None, 0.25), neutral=(0,), correct=False)
    (row,) = write(record, WriteOptions(threshold=0.5))
    assert (row["id"], row["label"]) == (record.id, 1)
    (row,) = write(record, WriteOptions(threshold=0.5, neutral="negative"))
    assert row["label"] == 0


text = st.text(st.characters(codec="utf-8", exclude_characters="\0")).filter(str.strip)


@given(text, st.lists(text, min_size=1, max_size=5), st.data())
def test_any_row_comes_back(problem: str, steps: list[str], data: st.DataObject) -> None:
    row = {
        "id": data.draw(text),
        "generator": data.draw(text),
        "problem": problem,
        "steps": steps,
        "final_answer_correct": data.draw(st.booleans()),
        "label": data.draw(st.integers(-1, len(steps) - 1)),
        "note": data.draw(st.none() | st.lists(st.integers(), max_size=2)),
    }
    record = read(as_row(row))
    assert write(record, WriteOptions()) == [row]
    first = next((index for index, label in enumerate(record.labels) if label == 0), -1)
    assert first == row["label"]
