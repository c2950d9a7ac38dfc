"""ER-PRM: a text with a tag after each step, and a value a step."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.formats import FORMATS, UnsupportedRecord, WriteOptions, read
from stepward.formats.step_labels.er_prm import read as read_row
from stepward.formats.step_labels.er_prm import write
from stepward.formats.step_labels.math_shepherd import TAG
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow

ROW: dict[str, Any] = {"text": f"How many? Step 1: a is 2. {TAG}\nStep 2: so 4. {TAG}", "value": [0.938, 0.0]}


def row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.json"), 1, fields)


def test_a_row_is_read() -> None:
    record = read_row(row(ROW))
    assert (record.question, record.steps) == ("How many?", ("Step 1: a is 2.", "Step 2: so 4."))
    assert (record.labels, record.extra, record.source) == ((0.938, 0.0), "", "er-prm")
    assert [form.name for form in FORMATS.values() if form.matches(ROW)] == ["er-prm"]


def test_the_last_step_may_have_no_tag() -> None:
    fields = {"text": f"Q? Step 1: a {TAG}\nb", "value": [0.5, 1.0]}
    record = read_row(row(fields))
    assert (record.steps, record.labels) == (("Step 1: a", "b"), (0.5, 1.0))
    assert write(record, WriteOptions()) == [fields]
    assert write(replace(record, labels=(0.25, 1.0)), WriteOptions()) == [{**fields, "value": [0.25, 1.0]}]
    assert write(replace(record, extra=""), WriteOptions())[0]["text"] == f"Q? Step 1: a {TAG}\nb {TAG}"


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"value": [0.5]}, "value", "mismatch"),
        ({"value": [0.5, 1.5]}, "value[1]", "bad_value"),
        ({"value": [0.5, "+"]}, "value[1]", "wrong_type"),
        ({"value": 0.5}, "value", "wrong_type"),
        ({"text": "Q? Step 1: a", "value": [1.0]}, "text", "bad_value"),
        ({"text": f"Q? Step 1: a {TAG}\n {TAG}"}, "text", "empty"),
        ({"text": ROW["text"] + " and more"}, "value", "mismatch"),
        ({"text": None}, "text", "wrong_type"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason(change: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRow) as raised:
        read_row(row({**ROW, **change}))
    assert (raised.value.field, raised.value.code) == (field, code)


def test_records_of_other_sources() -> None:
    record = LabelledSolution("Q?", ("a", "b", "c"), (1.0, None, 0.25), neutral=(1,), source="x")
    assert write(record, WriteOptions()) == [{"text": f"Q? a {TAG}\nb {TAG}\nc {TAG}", "value": [1.0, 1.0, 0.25]}]
    with refused("missing", field="labels[1]", error=UnsupportedRecord):
        write(record, WriteOptions(neutral="drop"))
    with refused("empty", field="steps", error=UnsupportedRecord):
        write(replace(record, steps=(), labels=(), neutral=()), WriteOptions())
    with refused("bad_value", field="steps", error=UnsupportedRecord):
        write(replace(record, steps=("a", TAG, "c")), WriteOptions())


def test_an_array_of_rows_is_read_as_the_source_publishes_it(tmp_path: Path) -> None:
    path = tmp_path / "autoregressive.json"
    path.write_text(json.dumps([ROW, {**ROW, "value": [1]}, ROW], ensure_ascii=False, indent=4))
    reasons: list[str] = []
    records = list(read(path, on_fault=lambda fault: reasons.append(str(fault))))
    assert len(records) == 2
    assert reasons == ["row 2, field 'value': 1 labels for 2 steps; expected one a step"]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0ки"), max_size=12)
STEP = TEXT.filter(lambda text: bool(text.strip()))


@given(
    TEXT,
    st.lists(st.tuples(STEP, st.floats(0, 1)), min_size=1, max_size=5),
    st.sampled_from([f" {TAG}\n", TAG, f"{TAG} \n\n"]),
    st.booleans(),
    st.booleans(),
)
def test_any_row_of_this_shape_comes_back(
    question: str, steps: list[tuple[str, float]], between: str, tagged_end: bool, numbered: bool
) -> None:
    texts = [step for step, _ in steps]
    texts[0] = question + (" Step 1: " if numbered else "") + texts[0]
    end = between if tagged_end or len(steps) == 1 else ""
    fields = {"text": between.join(texts) + end, "value": [value for _, value in steps], "id": 3}
    record = read_row(row(fields))
    assert record.labels == tuple(value for _, value in steps)
    assert write(record, WriteOptions()) == [fields]
