"""TRL's stepwise supervision, with booleans or numbers, and never both in one file."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.formats import FORMATS, UnsupportedRecord, WriteOptions
from stepward.formats.step_labels.trl_stepwise import read, write
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow

ROW = {"prompt": "What is 2 + 2?", "completions": ["2 + 2 is 4.", "So 5."], "labels": [True, False]}


def row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.jsonl"), 1, fields)


def test_a_row_is_read() -> None:
    record = read(row({**ROW, "id": 7}))
    assert (record.question, record.steps, record.labels) == (ROW["prompt"], ("2 + 2 is 4.", "So 5."), (1.0, 0.0))
    assert json.loads(record.extra) == {"id": 7}
    assert [form.name for form in FORMATS.values() if form.matches(ROW)] == ["trl-stepwise"]


def kinds(labels: Iterable[Any]) -> set[str]:
    return {type(label).__name__ for label in labels}


def test_booleans_stay_booleans_and_numbers_stay_numbers() -> None:
    for labels, expected in (([True, False], {"bool"}), ([1.0, 0.0], {"float"}), ([0.25, 1.0], {"float"})):
        (back,) = write(read(row({**ROW, "labels": labels})), WriteOptions())
        assert back["labels"] == labels
        assert kinds(back["labels"]) == expected


def test_a_threshold_gives_booleans_throughout() -> None:
    soft = [read(row({**ROW, "labels": labels})) for labels in ([0.25, 1.0], [1.0, 0.0])]
    backs = [write(record, WriteOptions(threshold=0.5))[0]["labels"] for record in soft]
    assert backs == [[False, True], [True, False]]
    assert kinds([label for back in backs for label in back]) == {"bool"}


def test_hard_labels_of_other_sources_become_booleans() -> None:
    record = LabelledSolution("Q?", ("a", "b"), (1.0, 0.0), source="math-shepherd")
    assert json.dumps(write(record, WriteOptions())[0]["labels"]) == "[true, false]"


def test_a_prompt_may_be_empty() -> None:
    fields = {**ROW, "prompt": ""}
    assert write(read(row(fields)), WriteOptions()) == [fields]


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"labels": [True]}, "labels", "mismatch"),
        ({"labels": [True, 2]}, "labels[1]", "bad_value"),
        ({"labels": [True, None]}, "labels[1]", "wrong_type"),
        ({"labels": "no"}, "labels", "wrong_type"),
        ({"completions": ["a", " "]}, "completions[1]", "empty"),
        ({"completions": ["a", 2]}, "completions[1]", "wrong_type"),
        ({"completions": [], "labels": []}, "completions", "empty"),
        ({"prompt": None}, "prompt", "wrong_type"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason(change: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRow) as raised:
        read(row({**ROW, **change}))
    assert (raised.value.field, raised.value.code) == (field, code)


def test_what_the_format_cannot_hold() -> None:
    record = read(row(ROW))
    with refused("missing", field="labels[1]", error=UnsupportedRecord):
        write(replace(record, labels=(1.0, None)), WriteOptions())
    with refused("empty", field="steps", error=UnsupportedRecord):
        write(replace(record, steps=(), labels=()), WriteOptions())


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
STEP = TEXT.filter(lambda text: bool(text.strip()))


@given(
    TEXT,
    st.lists(st.tuples(STEP, st.booleans()), min_size=1, max_size=5)
    | st.lists(st.tuples(STEP, st.floats(0, 1)), min_size=1, max_size=5),
    st.dictionaries(TEXT.filter(lambda name: name not in ROW), st.none() | st.integers() | TEXT, max_size=2),
)
def test_any_row_of_this_shape_comes_back(prompt: str, steps: list[tuple[str, Any]], more: dict[str, Any]) -> None:
    fields = {"prompt": prompt, "completions": [step for step, _ in steps], "labels": [label for _, label in steps]}
    (back,) = write(read(row({**fields, **more})), WriteOptions())
    assert back == {**fields, **more}
    assert kinds(back["labels"]) == kinds(fields["labels"])
