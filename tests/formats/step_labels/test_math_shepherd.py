"""Math-Shepherd: two texts that must agree, parted at the tags and joined again exactly."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.formats import FORMATS, UnsupportedRecord, WriteOptions, read
from stepward.formats.step_labels.math_shepherd import TAG, split_question, write
from stepward.formats.step_labels.math_shepherd import read as read_row
from stepward.records import LabelledSolution, question_id
from stepward.rows import InvalidRow, SourceRow

HARD = WriteOptions()
QUESTION = "Ann has 3 pens and buys 4. How many has she?"
STEPS = ("Step 1: She had 3 pens.", "Step 2: 3 + 4 = 8. The answer is: 8")


def made(steps: list[tuple[str, str]], *, question: str = QUESTION, between: str = "\n", **more: Any) -> dict[str, Any]:
    """A row of these steps and signs."""
    opening = f"{question} " if question else ""
    return {
        "input": opening + between.join(f"{step} {TAG}" for step, _ in steps),
        "label": opening + between.join(f"{step} {sign}" for step, sign in steps),
        **more,
    }


ROW = made([(STEPS[0], "+"), (STEPS[1], "-")], task="GSM8K")


def row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.jsonl"), 1, fields)


def plain(*labels: float | None, **more: Any) -> LabelledSolution:
    steps = tuple(f"Step {index + 1}: s" for index in range(len(labels)))
    return LabelledSolution("Q?", steps, labels, **more)


def test_a_row_is_parted_at_the_tags() -> None:
    record = read_row(row(ROW))
    assert (record.question, record.steps, record.labels) == (QUESTION, STEPS, (1.0, 0.0))
    assert record.problem_id == question_id(QUESTION)
    assert json.loads(record.extra) == {"task": "GSM8K"}
    assert [form.name for form in FORMATS.values() if form.matches(ROW)] == ["math-shepherd"]


def test_a_changed_label_is_written_changed() -> None:
    for fields in (ROW, made([("Step 1: a", "+"), ("b", "-")], between="\n\n", task="MATH")):
        record = read_row(row(fields))
        (back,) = write(replace(record, labels=(0.0, 1.0)), HARD)
        assert back["input"] == fields["input"]
        assert read_row(row(back)).labels == (0.0, 1.0)


def test_a_changed_step_is_written_though_the_row_kept_its_layout() -> None:
    record = read_row(row(made([("Step 1: a", "+"), ("b", "-")], between="\n\n")))
    (back,) = write(replace(record, steps=("Step 1: a", "c")), HARD)
    assert back["input"] == f"{QUESTION} Step 1: a {TAG}\nc {TAG}"


def test_the_question_ends_at_the_last_step_1_before_the_first_tag() -> None:
    assert split_question("In Step 1: they say what? Step 1: a") == ("In Step 1: they say what?", "Step 1: a")
    assert split_question("Q? Step 11: a") == ("", "Q? Step 11: a")
    record = read_row(row(made([("1 + 1 = 2.", "+")], question="Q?")))
    assert (record.question, record.steps) == ("", ("Q? 1 + 1 = 2.",))


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"input": "Q? Step 1: a", "label": "Q? Step 1: a +"}, "input", "bad_value"),
        ({"input": f"Q? Step 1: a {TAG} and", "label": "Q? Step 1: a + and"}, "input", "bad_value"),
        ({"input": f"Q? {TAG}\n{TAG}", "label": "Q? +\n+"}, "input", "empty"),
        ({"label": ROW["label"].replace("She", "He")}, "label", "mismatch"),
        ({"label": ROW["label"][:-1] + "?"}, "label", "mismatch"),
        ({"label": ROW["label"] + " +"}, "label", "mismatch"),
        ({"label": ROW["label"][: ROW["label"].index("+") + 1]}, "label", "mismatch"),
        ({"label": None}, "label", "wrong_type"),
        ({"input": " "}, "input", "empty"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason(change: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRow) as raised:
        read_row(row({**ROW, **change}))
    assert raised.value.field == field
    assert raised.value.code == code


def test_a_missing_field_is_named() -> None:
    with refused("missing", field="label", error=InvalidRow):
        read_row(row({"input": ROW["input"]}))


def test_what_the_format_cannot_hold() -> None:
    with refused("missing", field="labels[1]", error=UnsupportedRecord):
        write(plain(1.0, None), HARD)
    with refused("empty", field="steps", error=UnsupportedRecord):
        write(plain(), HARD)
    with refused("bad_value", field="steps", error=UnsupportedRecord):
        write(replace(plain(1.0), question=f"What is {TAG}?"), HARD)
    with refused("missing", field="--threshold"):
        write(plain(0.5), HARD)
    (back,) = write(plain(0.5, 0.25), WriteOptions(threshold=0.25))
    assert back["label"] == "Q? Step 1: s +\nStep 2: s -"


def test_neutral_is_decided_at_writing() -> None:
    record = plain(None, 1.0, neutral=(0,))
    signs = {
        choice: write(record, WriteOptions(neutral=choice))[0]["label"].split()[4]
        for choice in ("positive", "negative")
    }
    assert signs == {"positive": "+", "negative": "-"}
    with refused("missing", field="labels[0]", error=UnsupportedRecord):
        write(record, WriteOptions(neutral="drop"))


def test_a_tree_is_written_path_by_path() -> None:
    record = replace(plain(1.0, 0.0, 1.0), parents=(-1, 0, 0))
    assert [back["label"] for back in write(record, HARD)] == [
        "Q? Step 1: s +\nStep 2: s -",
        "Q? Step 1: s +\nStep 3: s +",
    ]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12).filter(
    lambda text: TAG not in text and "к" not in text
)
PARTS = st.lists(st.tuples(TEXT.filter(lambda text: bool(text.strip())), st.sampled_from("+-")), min_size=1, max_size=5)


@given(TEXT, PARTS, st.sampled_from(["", " "]), st.sampled_from(["", "\n", " \n"]), st.booleans())
def test_any_row_of_this_shape_comes_back(
    question: str, parts: list[tuple[str, str]], gap: str, end: str, numbered: bool
) -> None:
    opening = question + (" Step 1: " if numbered else "")
    texts = [(opening if index == 0 else "") + step + gap for index, (step, _) in enumerate(parts)]
    fields = {
        "input": "\n".join(text + TAG for text in texts) + end,
        "label": "\n".join(text + sign for text, (_, sign) in zip(texts, parts, strict=True)) + end,
        "task": {"any": [1, None]},
    }
    record = read_row(row(fields))
    assert len(record.steps) == len(parts)
    assert record.labels == tuple(float(sign == "+") for _, sign in parts)
    assert write(record, HARD) == [fields]


def test_the_published_rows_come_back(shared_data: Path) -> None:
    path = shared_data / "math_shepherd" / "samples.jsonl"
    reading = read(path)
    records = list(reading)
    assert (reading.format.name, len(records), reading.bad.count) == ("math-shepherd", 7, 0)
    assert [write(record, HARD) for record in records] == [[json.loads(line)] for line in path.open()]  # type: ignore[arg-type]
    assert all(record.question and record.steps[0].startswith("Step 1:") for record in records)  # type: ignore[union-attr]
