"""Stepward's own records come back from JSON lines and Parquet, and Parquet is what the store writes and reads."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward import formats
from stepward.formats import WriteOptions
from stepward.formats.step_labels.stepward import KINDS, NAME, read, write
from stepward.records import (
    SCHEMA_VERSION,
    LabelledSolution,
    Message,
    Preference,
    Problem,
    Scores,
    Solution,
    StepLabels,
    StepRollouts,
)
from stepward.rows import InvalidRow, SourceRow
from stepward.storage.parquet import read_shard, write_shard

SAID = (Message("user", "Sky?"),)
RECORDS: tuple[Any, ...] = (
    Problem("p", "1 + 1?", "2", 3, "file", "sums"),
    Problem("p2", "1 + 2?", "3"),
    Solution("s", "p", ("a", "b"), "2", True, 3, "model", False),
    StepRollouts("r", "p", ("a",), 16, 4, False, "model"),
    StepLabels("s", "p", "er", (None, 0.25), 2.0),
    Scores("s", "p", "er/seed-0", (0.5, 1.0)),
    LabelledSolution("q?", ("a", "b", "c"), (1, None, 0), (1,), (-1, 0, 0), "2", "3", False, "m", "f", "{}"),
    LabelledSolution("q?", (), ()),
    Preference("x", SAID, (Message("assistant", "Blue."),), (Message("assistant", "Green."),), 1.5, "f", "{}"),
)  # fmt: skip
NAMES = [f"{number}-{type(record).__name__}" for number, record in enumerate(RECORDS)]
SOLUTION: dict[str, Any] = write(RECORDS[6], WriteOptions())[0]
ROLLOUTS: dict[str, Any] = write(RECORDS[3], WriteOptions())[0]


def as_row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.jsonl"), 1, fields)


@pytest.mark.parametrize("record", RECORDS, ids=NAMES)
def test_a_row_is_guessed_as_itself_from_json_and_from_parquet(record: Any) -> None:
    (row,) = write(record, WriteOptions())
    assert (row["record"], row["schema"]) == (type(record).__name__, SCHEMA_VERSION)
    columns = {name: value for name, value in row.items() if name not in ("record", "schema")}
    for fields in (row, columns):
        assert next(one.name for one in formats.FORMATS.values() if one.matches(fields)) == NAME
        assert read(as_row(fields)) == record


@pytest.mark.parametrize("record", RECORDS, ids=NAMES)
@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.zst", "parquet"])
def test_a_file_is_guessed_and_comes_back(tmp_path: Path, record: Any, suffix: str) -> None:
    path = tmp_path / f"records.{suffix}"
    assert formats.write([record, record], path, NAME).rows == 2
    reading = formats.read(path, strict=True)
    assert list(reading) == [record, record]
    assert reading.format.name == NAME


@pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])
def test_parquet_is_the_store_s(tmp_path: Path, kind: type[Any]) -> None:
    records = [record for record in RECORDS if type(record) is kind]
    formats.write(records, tmp_path / "ours.parquet", NAME)
    write_shard(tmp_path / "store.parquet", records, kind)
    assert read_shard(tmp_path / "ours.parquet", kind) == records
    assert list(formats.read(tmp_path / "store.parquet")) == records
    ours, theirs = (pq.read_schema(tmp_path / f"{name}.parquet") for name in ("ours", "store"))
    assert ours.equals(theirs, check_metadata=True)


def test_json_lines_may_mix_records_and_parquet_may_not(tmp_path: Path) -> None:
    formats.write(RECORDS, tmp_path / "all.jsonl", NAME)
    assert list(formats.read(tmp_path / "all.jsonl")) == list(RECORDS)
    with refused("not_writable", file=tmp_path / "all.parquet"):
        formats.write(RECORDS, tmp_path / "all.parquet", NAME)
    assert not (tmp_path / "all.parquet").exists()


def test_a_format_of_one_record_says_which(tmp_path: Path) -> None:
    with refused("mismatch", names=("gsm8k", "Problem", "Scores")):
        formats.write([RECORDS[5]], tmp_path / "x.jsonl", "gsm8k")
    with refused("mismatch", names=("Problem", "Solution", "str")):
        formats.write(["x"], tmp_path / "x.jsonl", NAME)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        ({**SOLUTION, "record": "Answer"}, "record", "unknown_name"),
        ({**SOLUTION, "record": 5}, "record", "unknown_name"),
        ({**SOLUTION, "schema": 1}, "schema", "wrong_version"),
        ({**SOLUTION, "schema": None}, "schema", "wrong_version"),
        ({"id": "p"}, "record", "missing"),
        ({**SOLUTION, "rating": 1}, "rating", "unknown_name"),
        ({key: SOLUTION[key] for key in SOLUTION if key != "labels"}, "labels", "missing"),
        ({**SOLUTION, "steps": "abc"}, "steps", "wrong_type"),
        ({**SOLUTION, "steps": ["a", "b", 3]}, "steps[2]", "wrong_type"),
        ({**SOLUTION, "labels": [1, None]}, "labels", "mismatch"),
        ({**SOLUTION, "labels": [1, None, 2]}, "labels[2]", "bad_value"),
        ({**SOLUTION, "labels": [1, None, True]}, "labels[2]", "wrong_type"),
        ({**SOLUTION, "neutral": [0]}, "neutral", "bad_value"),
        ({**SOLUTION, "neutral": [3]}, "neutral", "bad_value"),
        ({**SOLUTION, "neutral": [1.0]}, "neutral[0]", "wrong_type"),
        ({**SOLUTION, "parents": [-1]}, "parents", "mismatch"),
        ({**SOLUTION, "parents": [-1, 1, 0]}, "parents[1]", "bad_value"),
        ({**SOLUTION, "parents": [-2, 0, 0]}, "parents[0]", "bad_value"),
        ({**SOLUTION, "correct": 0}, "correct", "wrong_type"),
        ({**SOLUTION, "reference": 2}, "reference", "wrong_type"),
        ({**ROLLOUTS, "right": 17}, "right", "bad_value"),
        ({**ROLLOUTS, "drawn": True}, "drawn", "wrong_type"),
        ({**ROLLOUTS, "drawn": 2**63}, "drawn", "bad_value"),
        ({**write(RECORDS[5], WriteOptions())[0], "scores": [0.5, -0.1]}, "scores[1]", "bad_value"),
        ({**write(RECORDS[8], WriteOptions())[0], "prompt": [{"role": "a"}]}, "prompt[0]", "wrong_type"),
        (
            {**write(RECORDS[8], WriteOptions())[0], "chosen": [{"role": "a", "content": 1}]},
            "chosen[0].content",
            "wrong_type",
        ),
    ],
    ids=range(26),
)
def test_a_bad_row_is_named(row: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRow) as raised:
        read(as_row(row))
    assert raised.value.field == field
    assert raised.value.code == code


def test_a_row_of_anything_else_is_not_guessed() -> None:
    for fields in ({"record": ["Problem"], "schema": 2}, {"record": "Problem"}, {"id": "p", "question": "q?"}):
        assert not formats.FORMATS[NAME].matches(fields)


def test_fields_with_a_default_may_be_left_out_of_json() -> None:
    row = {"record": "Problem", "schema": SCHEMA_VERSION, "id": "p", "question": "q?", "reference": "1"}
    assert read(as_row(row)) == Problem("p", "q?", "1")


def test_a_bad_line_is_set_aside_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (SOLUTION, {**SOLUTION, "labels": []}, SOLUTION)))
    faults: list[str] = []
    assert len(list(formats.read(path, on_fault=lambda fault: faults.append(str(fault))))) == 2
    assert faults == ["row 2, field 'labels': 0 labels for 3 steps; expected one a step"]


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
share = st.floats(0, 1)
optional = st.none() | text
said = st.lists(st.builds(Message, text, text), max_size=3).map(tuple)


@st.composite
def labelled(draw: st.DrawFn) -> LabelledSolution:
    steps = tuple(draw(st.lists(text, max_size=4)))
    labels = tuple(draw(st.none() | share) for _ in steps)
    unlabelled = [index for index, label in enumerate(labels) if label is None]
    neutral = tuple(index for index in unlabelled if draw(st.booleans()))
    parents = tuple(draw(st.integers(-1, index - 1)) for index in range(len(steps))) if draw(st.booleans()) else ()
    rest = (draw(optional), draw(optional), draw(st.none() | st.booleans()), draw(text), draw(text), draw(text))
    return LabelledSolution(draw(text), steps, labels, neutral, parents, *rest)


records = st.one_of(
    labelled(),
    st.builds(Preference, text, said, said, said, st.none() | st.floats(-1e9, 1e9), text, text),
    st.builds(Problem, text, text, text, st.none() | st.integers(-5, 5), text, optional),
    st.builds(Scores, text, text, text, st.lists(share, max_size=3).map(tuple)),
)


@given(records)
def test_any_record_comes_back(record: Any) -> None:
    (row,) = write(record, WriteOptions())
    again = json.loads(json.dumps(row))
    assert read(as_row(again)) == record
    assert write(read(as_row(again)), WriteOptions()) == [again]
