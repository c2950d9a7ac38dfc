"""BIG-Bench-Mistake: the first wrong step becomes labels, and comes back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward import formats
from stepward.formats import UnsupportedRecord, WriteOptions
from stepward.formats.benchmarks.big_bench_mistake import NAME, read, write
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow

ROW: dict[str, Any] = {
    "input": "(2 + 3) * 2 =",
    "steps": ["2 + 3 = 6", "6 * 2 = 12. So the answer is 12"],
    "target": "10",
    "answer": "12",
    "mistake_index": 0,
}


def as_row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.jsonl"), 1, fields)


def test_a_row_is_guessed_as_itself_alone() -> None:
    assert [one.name for one in formats.FORMATS.values() if one.matches(ROW)] == [NAME]


@pytest.mark.parametrize(
    ("index", "labels"), [(None, (1.0, 1.0)), (0, (0.0, None)), (1, (1.0, 0.0))], ids=["none", "first", "last"]
)
def test_labels_stop_at_the_first_error(index: int | None, labels: tuple[float | None, ...]) -> None:
    record = read(as_row({**ROW, "mistake_index": index}))
    assert record.labels == labels
    assert (record.reference, record.answer) == ("10", "12")
    assert write(record, WriteOptions()) == [{**ROW, "mistake_index": index}]


@pytest.mark.parametrize(
    ("answer", "correct"), [("10", True), ("12", None), ("10.0", None), ("", None), (None, None)],
    ids=["equal", "other", "written otherwise", "empty", "null"],
)  # fmt: skip
def test_only_equal_texts_are_taken_for_a_grade(answer: str | None, correct: bool | None) -> None:
    record = read(as_row({**ROW, "answer": answer}))
    assert record.correct is correct
    assert write(record, WriteOptions()) == [{**ROW, "answer": answer}]


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"mistake_index": 2}, "mistake_index", "bad_value"),
        ({"mistake_index": -1}, "mistake_index", "bad_value"),
        ({"mistake_index": "0"}, "mistake_index", "wrong_type"),
        ({"steps": []}, "steps", "empty"),
        ({"steps": ["", "b"]}, "steps[0]", "empty"),
        ({"target": 10}, "target", "wrong_type"),
        ({"answer": 12}, "answer", "wrong_type"),
        ({"input": None}, "input", "wrong_type"),
    ],
)
def test_a_bad_row_is_named(change: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRow) as raised:
        read(as_row({**ROW, **change}))
    assert raised.value.field == field
    assert raised.value.code == code


@pytest.mark.parametrize("name", ROW)
def test_a_missing_field_is_named(name: str) -> None:
    with refused("missing", field=name, error=InvalidRow):
        read(as_row({key: value for key, value in ROW.items() if key != name}))


def test_a_changed_label_is_written_changed_and_a_missing_reference_is_refused() -> None:
    record = read(as_row(ROW))
    assert write(replace(record, labels=(1.0, 1.0)), WriteOptions())[0]["mistake_index"] is None
    with refused("missing", field="reference", error=UnsupportedRecord):
        write(replace(record, reference=None), WriteOptions())


text = st.text(st.characters(codec="utf-8", exclude_characters="\0")).filter(str.strip)


@given(text, st.lists(text, min_size=1, max_size=5), st.data())
def test_any_row_comes_back(question: str, steps: list[str], data: st.DataObject) -> None:
    row = {
        "input": question,
        "steps": steps,
        "target": data.draw(text),
        "answer": data.draw(st.none() | st.text("a1 ")),
        "mistake_index": data.draw(st.none() | st.integers(0, len(steps) - 1)),
        "task": data.draw(st.none() | text),
    }
    assert write(read(as_row(row)), WriteOptions()) == [row]


def test_the_published_file_comes_back(shared_data: Path) -> None:
    reading = formats.read(shared_data / "big_bench_mistake" / "multistep_arithmetic.jsonl", strict=True)
    right = 0
    for record in reading:
        assert isinstance(record, LabelledSolution)
        assert reading.row is not None
        assert write(record, WriteOptions()) == [reading.row.fields]
        right += record.labels == (1.0,) * len(record.steps)
    assert (reading.format.name, reading.rows, right) == (NAME, 300, 62)
