"""TRL's preferences: text and chat, with and without a prompt; each comes back as it was, or as the other on demand."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward import formats
from stepward.formats import UnsupportedRecord, WriteOptions
from stepward.formats.preferences.trl_preference import NAME, read, write
from stepward.records import Message
from stepward.rows import InvalidRow, SourceRow

Turn = dict[str, str]


def user(text: str) -> Turn:
    return {"role": "user", "content": text}


def assistant(text: str) -> Turn:
    return {"role": "assistant", "content": text}


TEXT: dict[str, Any] = {"prompt": "Sky?", "chosen": "Blue.", "rejected": "Green."}
IMPLICIT_TEXT: dict[str, Any] = {"chosen": "Sky? Blue.", "rejected": "Sky? Green."}
CHAT: dict[str, Any] = {
    "prompt": [user("Sky?")],
    "chosen": [assistant("Blue.")],
    "rejected": [assistant("Green.")],
}
IMPLICIT_CHAT: dict[str, Any] = {
    "chosen": [user("Sky?"), assistant("Blue.")],
    "rejected": [user("Sky?"), assistant("Green.")],
}
NAMES = ["text", "implicit text", "chat", "implicit chat"]
ROWS = [TEXT, IMPLICIT_TEXT, CHAT, IMPLICIT_CHAT]
# Everything behind the prompt of these is what the row says twice or leaves open.
TWICE = {**IMPLICIT_CHAT, "prompt": "Sky?", "score_chosen": 8.5}
NULLS = {**IMPLICIT_CHAT, "prompt": None, "margin": None}


def as_row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.jsonl"), 1, fields)


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_a_row_is_guessed_as_itself_alone(row: dict[str, Any]) -> None:
    assert [one.name for one in formats.FORMATS.values() if one.matches(row)] == [NAME]


@pytest.mark.parametrize("row", [*ROWS, TWICE, NULLS], ids=[*NAMES, "prompt twice", "columns of nulls"])
def test_a_row_comes_back(row: dict[str, Any]) -> None:
    assert write(read(as_row(row)), WriteOptions()) == [row]
    with_margin = {**row, "margin": 1.5, "note": {"a": [1]}}
    preference = read(as_row(with_margin))
    assert preference.margin == 1.5
    assert write(preference, WriteOptions()) == [with_margin]


def test_what_a_row_becomes() -> None:
    plain, chat = read(as_row(TEXT)), read(as_row(CHAT))
    assert (plain.prompt, plain.chosen) == ((Message("", "Sky?"),), (Message("", "Blue."),))
    assert (chat.prompt, chat.rejected) == ((Message("user", "Sky?"),), (Message("assistant", "Green."),))
    assert read(as_row(TWICE)).prompt == read(as_row(NULLS)).prompt == read(as_row(IMPLICIT_TEXT)).prompt == ()
    assert len({read(as_row(row)).id for row in ROWS}) == 4


@pytest.mark.parametrize(
    ("row", "chat", "expected"),
    [
        (TEXT, True, CHAT),
        (CHAT, True, CHAT),
        (IMPLICIT_CHAT, True, IMPLICIT_CHAT),
        (CHAT, False, TEXT),
        (IMPLICIT_CHAT, False, TEXT),
        (IMPLICIT_TEXT, False, IMPLICIT_TEXT),
        (TWICE, False, {**TEXT, "score_chosen": 8.5}),
        (NULLS, False, {**TEXT, "margin": None}),
    ],
    ids=range(8),
)
def test_chat_can_be_chosen(row: dict[str, Any], chat: bool, expected: dict[str, Any]) -> None:
    assert write(read(as_row(row)), WriteOptions(chat=chat)) == [expected]


def test_what_cannot_be_said_otherwise_is_refused() -> None:
    with refused("missing", field="prompt", error=UnsupportedRecord):
        write(read(as_row(IMPLICIT_TEXT)), WriteOptions(chat=True))
    longer = {**CHAT, "prompt": [user("Hi"), assistant("Hello"), user("Sky?")]}
    with refused("not_writable", field="prompt", error=UnsupportedRecord):
        write(read(as_row(longer)), WriteOptions(chat=False))
    unlike = {"chosen": [user("Sky?"), assistant("Blue.")], "rejected": [user("Sea?"), assistant("Green.")]}
    with refused("not_writable", field="prompt", error=UnsupportedRecord):
        write(read(as_row(unlike)), WriteOptions(chat=False))


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        ({"chosen": "a"}, "rejected", "missing"),
        ({**TEXT, "chosen": 5}, "chosen", "wrong_type"),
        ({**TEXT, "rejected": "Blue."}, "rejected", "duplicate"),
        ({**TEXT, "rejected": CHAT["rejected"]}, "rejected", "mismatch"),
        ({**CHAT, "prompt": "Sea?"}, "prompt", "mismatch"),
        ({**CHAT, "prompt": []}, "prompt", "wrong_type"),
        ({**CHAT, "chosen": ["Blue."]}, "chosen[0]", "wrong_type"),
        ({**CHAT, "chosen": [{"role": "assistant"}]}, "chosen[0]", "wrong_type"),
        ({**CHAT, "chosen": [{**assistant("a"), "name": "b"}]}, "chosen[0]", "wrong_type"),
        (
            {**CHAT, "chosen": [{"role": "assistant", "content": None}]},
            "chosen[0].content",
            "wrong_type",
        ),
        ({**CHAT, "chosen": [{"role": "", "content": "a"}]}, "chosen[0].role", "empty"),
        ({**TEXT, "margin": "1"}, "margin", "wrong_type"),
        ({**TEXT, "margin": True}, "margin", "wrong_type"),
        ({**TEXT, "margin": 10**400}, "margin", "bad_value"),
    ],
    ids=range(14),
)
def test_a_bad_row_is_named(row: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRow) as raised:
        read(as_row(row))
    assert raised.value.field == field
    assert raised.value.code == code


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
message = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": text})
messages = st.lists(message, min_size=1, max_size=3)
more = {"margin": st.none() | st.floats(allow_nan=False, allow_infinity=False), "note": st.none() | text}


def rows(said: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"chosen": said, "rejected": said}, optional={"prompt": said, **more})


@given(rows(text) | rows(messages))
def test_any_row_comes_back_or_prefers_nothing(row: dict[str, Any]) -> None:
    try:
        preference = read(as_row(row))
    except InvalidRow as fault:
        assert (fault.field, fault.code) == ("rejected", "duplicate")
        assert row["chosen"] == row["rejected"]
    else:
        assert write(preference, WriteOptions()) == [row]


@given(rows(text))
def test_text_with_a_prompt_comes_back_from_chat(row: dict[str, Any]) -> None:
    row = {**row, "prompt": "Sky?", "chosen": f"{row['chosen']}!"}
    if row["chosen"] != row["rejected"]:
        (chat,) = write(read(as_row(row)), WriteOptions(chat=True))
        assert write(read(as_row(chat)), WriteOptions(chat=False)) == [row]
