"""RLHFlow's conversations: a sign after each step, or one after a whole solution."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.formats import FORMATS, UnsupportedRecord, WriteOptions, read
from stepward.formats.step_labels import rlhflow_orm, rlhflow_prm
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow

HARD = WriteOptions()


def talk(*said: str, **more: Any) -> dict[str, Any]:
    turns = [{"role": ("user", "assistant")[index % 2], "content": content} for index, content in enumerate(said)]
    return {"conversations": turns, **more}


PRM = talk("How many? Step 1: a is 2.", "+", "Step 2: so 5. The answer is: 5", "-")
ORM = talk("How many? Step 1: a is 2.\nStep 2: from Step 1: 4. The answer is: 4", "+")


def row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.jsonl"), 1, fields)


def plain(*labels: float | None, **more: Any) -> LabelledSolution:
    steps = tuple(f"s{index + 1}" for index in range(len(labels)))
    return LabelledSolution("Q?", steps, labels, **more)


def test_a_conversation_of_steps() -> None:
    record = rlhflow_prm.read(row({**PRM, "id": "x"}))
    assert (record.question, record.steps) == ("How many?", ("Step 1: a is 2.", "Step 2: so 5. The answer is: 5"))
    assert (record.labels, record.correct, json.loads(record.extra)) == ((1.0, 0.0), None, {"id": "x"})


def test_a_conversation_of_one_solution() -> None:
    record = rlhflow_orm.read(row(ORM))
    assert record.question == "How many?"
    assert record.steps == ("Step 1: a is 2.\nStep 2: from Step 1: 4. The answer is: 4",)
    assert (record.labels, record.correct, record.extra) == ((1.0,), True, "")


def test_steps_without_numbers_keep_the_question_in_the_first() -> None:
    assert rlhflow_prm.read(row(talk("Q? We add.", "+", "So 4.", "+"))).steps == ("Q? We add.", "So 4.")
    record = rlhflow_orm.read(row(talk("Q? We add.\n\nSo 4.", "-")))
    assert (record.question, record.steps, record.correct) == ("", ("Q? We add.\n\nSo 4.",), False)


def test_two_turns_are_guessed_to_be_a_whole_solution() -> None:
    found = [[form.name for form in FORMATS.values() if form.matches(fields)] for fields in (PRM, ORM, talk("Q?", "+"))]
    assert found == [["rlhflow-prm"], ["rlhflow-orm"], ["rlhflow-orm"]]
    assert rlhflow_prm.read(row(ORM)).labels == (1.0,)
    others = [talk("hello", "hi"), {"conversations": [{"from": "human", "value": "+"}] * 2}, {"conversations": [1, 2]}]
    assert not any(form.matches(fields) for form in (rlhflow_prm, rlhflow_orm) for fields in others)


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        (talk("a", "+", "b"), "conversations", "mismatch"),
        (talk(), "conversations", "mismatch"),
        (talk("a", "+", "b", "?"), "conversations[3].content", "bad_value"),
        (talk("a", "+", " ", "+"), "conversations[2].content", "empty"),
        ({"conversations": [*talk("a", "+")["conversations"]] * 2 + [3, 4]}, "conversations[4]", "wrong_type"),
        (
            {"conversations": talk("a", "+", "b", "+")["conversations"][1:3]},
            "conversations[0].role",
            "bad_value",
        ),
        (
            {"conversations": [{"role": "user"}, {}]},
            "conversations[0]",
            "mismatch",
        ),
        ({"conversations": "a"}, "conversations", "wrong_type"),
        ({"text": "a"}, "conversations", "missing"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason(fields: dict[str, Any], field: str, code: str) -> None:
    for form in (rlhflow_prm, rlhflow_orm):
        with pytest.raises(InvalidRow) as raised:
            form.read(row(fields))
        assert (raised.value.field, raised.value.code) == (field, code)


def test_a_conversation_of_steps_is_no_whole_solution() -> None:
    with refused("mismatch", field="conversations", names=(4,), error=InvalidRow):
        rlhflow_orm.read(row(PRM))


def test_changes_are_written() -> None:
    for fields in (PRM, talk("Q?\nStep 1: a", "+", "b", "+")):
        record = rlhflow_prm.read(row(fields))
        (back,) = rlhflow_prm.write(replace(record, labels=(0.0, 1.0)), HARD)
        assert [turn["content"] for turn in back["conversations"]][1::2] == ["-", "+"]
        assert back["conversations"][0] == fields["conversations"][0]
    (back,) = rlhflow_prm.write(replace(record, steps=("Step 1: c", "b")), HARD)
    assert back["conversations"][0]["content"] == "Q?\n Step 1: c"
    record = rlhflow_orm.read(row(ORM))
    (back,) = rlhflow_orm.write(replace(record, labels=(0.0,), correct=False), HARD)
    assert back == talk(ORM["conversations"][0]["content"], "-")
    with refused("mismatch", field="correct", error=UnsupportedRecord):
        rlhflow_orm.write(replace(record, labels=(0.0,)), HARD)


def test_records_of_other_sources() -> None:
    record = plain(1.0, None, 0.0, neutral=(1,))
    assert rlhflow_prm.write(record, HARD) == [talk("Q? s1", "+", "s2", "+", "s3", "-")]
    assert rlhflow_orm.write(record, HARD) == [talk("Q? s1\ns2\ns3", "-")]
    assert rlhflow_orm.write(replace(record, correct=True), HARD) == [talk("Q? s1\ns2\ns3", "+")]
    assert rlhflow_orm.write(plain(0.5), WriteOptions(threshold=0.25)) == [talk("Q? s1", "+")]
    tree = replace(plain(1.0, 0.0, 1.0), parents=(-1, 0, 0))
    assert [len(back["conversations"]) for back in rlhflow_prm.write(tree, HARD)] == [4, 4]
    assert rlhflow_orm.write(tree, HARD) == [talk("Q? s1\ns2", "-"), talk("Q? s1\ns3", "+")]


def test_what_the_formats_cannot_hold() -> None:
    with refused("missing", field="labels[1]", error=UnsupportedRecord):
        rlhflow_prm.write(plain(1.0, None), HARD)
    with refused("missing", field="correct", error=UnsupportedRecord):
        rlhflow_orm.write(plain(1.0, None), HARD)
    for form in (rlhflow_prm, rlhflow_orm):
        with refused("empty", field="steps", error=UnsupportedRecord):
            form.write(plain(), HARD)
        with refused("missing", field="--threshold"):
            form.write(plain(0.5), HARD)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)
STEP = TEXT.filter(lambda text: bool(text.strip()))
MARKS = st.sampled_from(["", "Step 1:", " Step 1: ", "Step 1: Step 2: ", "Step 2: "])


@given(TEXT, MARKS, st.lists(st.tuples(STEP, st.sampled_from("+-")), min_size=1, max_size=4), st.booleans())
def test_any_row_of_this_shape_comes_back(question: str, mark: str, steps: list[tuple[str, str]], more: bool) -> None:
    said = [part for step in steps for part in step]
    said[0] = f"{question}{mark}{said[0]}"
    fields = talk(*said, **({"source": {"set": "GSM8K"}} if more else {}))
    record = rlhflow_prm.read(row(fields))
    assert record.labels == tuple(float(sign == "+") for _, sign in steps)
    assert rlhflow_prm.write(record, HARD) == [fields]
    fields = talk(*said[:2], id=1)
    assert rlhflow_orm.write(rlhflow_orm.read(row(fields)), HARD) == [fields]


def test_a_file_of_conversations_is_read(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(fields) + "\n" for fields in (PRM, talk("Q? Step 1: a", "-"), PRM)))
    reading = read(path)
    assert [len(record.steps) for record in reading if isinstance(record, LabelledSolution)] == [2, 1, 2]
    assert (reading.format.name, reading.bad.count) == ("rlhflow-prm", 0)
