"""LLaMA-Factory's preferences come back, and go to and from the other preference formats."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward import formats
from stepward.formats import UnsupportedRecord, WriteOptions
from stepward.formats.preferences import trl_preference as preferences
from stepward.formats.step_labels.llama_factory import NAME, read, write
from stepward.records import Message, Preference
from stepward.rows import InvalidRow, SourceRow

ROW: dict[str, Any] = {
    "conversations": [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "Sky?"}],
    "chosen": {"from": "gpt", "value": "Blue."},
    "rejected": {"from": "gpt", "value": "Green."},
}


def as_row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.jsonl"), 1, fields)


def test_a_row_is_guessed_as_itself_alone() -> None:
    assert [one.name for one in formats.FORMATS.values() if one.matches(ROW)] == [NAME]


def test_a_row_is_a_dialogue() -> None:
    preference = read(as_row(ROW))
    assert preference.prompt == (Message("system", "Be brief."), Message("user", "Sky?"))
    assert (preference.chosen, preference.rejected) == (
        (Message("assistant", "Blue."),),
        (Message("assistant", "Green."),),
    )
    assert write(preference, WriteOptions()) == [ROW]


def test_it_becomes_trl_s_and_comes_back() -> None:
    (trl,) = preferences.write(read(as_row(ROW)), WriteOptions())
    assert trl["chosen"] == [{"role": "assistant", "content": "Blue."}]
    assert write(preferences.read(as_row(trl)), WriteOptions()) == [ROW]
    implicit = {name: [{"role": "user", "content": "Sky?"}, *trl[name]] for name in ("chosen", "rejected")}
    assert write(preferences.read(as_row(implicit)), WriteOptions()) == [
        {**ROW, "conversations": ROW["conversations"][1:]}
    ]


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"chosen": {"from": "assistant", "value": "a"}}, "chosen.from", "unknown_name"),
        ({"chosen": "Blue."}, "chosen", "wrong_type"),
        ({"chosen": {"from": "gpt", "value": 5}}, "chosen.value", "wrong_type"),
        ({"conversations": [{"from": "bing", "value": "a"}]}, "conversations[0].from", "unknown_name"),
        ({"conversations": []}, "conversations", "wrong_type"),
        ({"rejected": {"from": "gpt", "value": "Blue."}}, "rejected", "duplicate"),
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


def test_what_the_format_cannot_say_is_refused() -> None:
    preference = read(as_row(ROW))
    with refused("unknown_name", field="role", names=("critic",), error=UnsupportedRecord):
        write(replace(preference, prompt=(Message("critic", "a"),)), WriteOptions())
    with refused("not_writable", field="chosen", error=UnsupportedRecord):
        write(replace(preference, chosen=preference.prompt + preference.chosen), WriteOptions())
    apart = Preference("p", (), (Message("user", "a"), Message("assistant", "b")), (Message("assistant", "c"),))
    with refused("mismatch", field="rejected", error=UnsupportedRecord):
        write(apart, WriteOptions())


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
speakers = st.sampled_from(["human", "gpt", "system", "function_call", "observation"])
message = st.fixed_dictionaries({"from": speakers, "value": text})


@given(st.lists(message, min_size=1, max_size=4), message, message, st.none() | text)
def test_any_row_comes_back(turns: list[Any], chosen: Any, rejected: Any, tools: str | None) -> None:
    if chosen != rejected:
        row = {"conversations": turns, "chosen": chosen, "rejected": rejected, "tools": tools}
        assert write(read(as_row(row)), WriteOptions()) == [row]


def test_the_published_file_comes_back(shared_data: Path) -> None:
    reading = formats.read(shared_data / "preferences" / "dpo_en_demo.json", strict=True)
    for preference in reading:
        assert isinstance(preference, Preference)
        assert reading.row is not None
        assert write(preference, WriteOptions()) == [reading.row.fields]
    assert (reading.format.name, reading.rows) == (NAME, 300)
