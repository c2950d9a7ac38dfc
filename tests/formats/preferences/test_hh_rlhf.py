r"""hh-rlhf: two dialogues in one text each become a prompt and two answers, and come back to the letter."""

import gzip
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
from stepward.formats.preferences import trl_preference as preferences
from stepward.formats.preferences.hh_rlhf import NAME, read, write
from stepward.records import Message, Preference
from stepward.rows import InvalidRow, SourceRow

HUMAN, ASSISTANT = "\n\nHuman:", "\n\nAssistant:"
START = f"{HUMAN} Hi{ASSISTANT} Hello{HUMAN} Sky?"
ROW: dict[str, Any] = {"chosen": f"{START}{ASSISTANT} Blue.", "rejected": f"{START}{ASSISTANT} Green."}


def as_row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.jsonl"), 1, fields)


def test_a_row_is_guessed_as_itself_though_it_is_a_preference_in_text_too() -> None:
    assert [one.name for one in formats.FORMATS.values() if one.matches(ROW)] == [NAME, "trl-preference"]


def test_the_prompt_is_what_both_share() -> None:
    preference = read(as_row(ROW))
    assert preference.prompt == (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Sky?"))
    assert preference.chosen == (Message("assistant", "Blue."),)
    assert preference.rejected == (Message("assistant", "Green."),)
    assert preference.extra == ""


@pytest.mark.parametrize(
    ("chosen", "rejected", "shared"),
    [
        (f"{START}{ASSISTANT} Blue.{HUMAN} Oh{ASSISTANT} Yes", f"{START}{ASSISTANT} Green.", 3),
        # They part at the human's second turn, so the first answer is the first that belongs to a dialogue alone.
        (f"{START}{ASSISTANT} Blue.", f"{HUMAN} Hi{ASSISTANT} Hello{HUMAN} Sea?{ASSISTANT} Blue.", 1),
        (START, f"{START}{ASSISTANT} Blue.", 1),
        (f"{START}{ASSISTANT}", f"{START}{ASSISTANT} Blue.", 3),
        (f"{START}{ASSISTANT} Blue. ", f"{START}{ASSISTANT}  Blue.", 3),
        (f"{START}\n{ASSISTANT}Blue.", f"{START}\n{ASSISTANT}Green.\n\n", 3),
        (f"{HUMAN}{HUMAN} Sky?{ASSISTANT} a", f"{HUMAN}{HUMAN} Sky?{ASSISTANT} b", 2),
    ],
    ids=["longer", "part early", "one goes on", "empty", "spaces", "no spaces", "two turns of one"],
)
def test_unusual_rows_come_back(chosen: str, rejected: str, shared: int) -> None:
    row = {"chosen": chosen, "rejected": rejected}
    preference = read(as_row(row))
    assert len(preference.prompt) == shared
    assert preference.chosen[0].role == preference.rejected[0].role == "assistant"
    assert write(preference, WriteOptions()) == [row]


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        ({**ROW, "rejected": ROW["chosen"]}, "rejected", "duplicate"),
        (
            {"chosen": f"{HUMAN} Sky?{ASSISTANT} Blue.", "rejected": f"{HUMAN} Sea?{ASSISTANT} Blue."},
            "rejected",
            "mismatch",
        ),
        ({**ROW, "chosen": "Blue."}, "chosen", "bad_value"),
        ({**ROW, "chosen": "Human: Sky?"}, "chosen", "bad_value"),
        ({**ROW, "rejected": ""}, "rejected", "empty"),
        ({"chosen": ROW["chosen"]}, "rejected", "missing"),
        ({**ROW, "chosen": []}, "chosen", "wrong_type"),
    ],
    ids=range(7),
)
def test_a_bad_row_is_set_aside_with_its_reason(row: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRow) as raised:
        read(as_row(row))
    assert raised.value.field == field
    assert raised.value.code == code


def test_a_changed_answer_is_written_changed() -> None:
    row = {"chosen": f"{START}{ASSISTANT}Blue.", "rejected": f"{START}{ASSISTANT}Green."}
    changed = replace(read(as_row(row)), chosen=(Message("assistant", "Red."),))
    assert write(changed, WriteOptions()) == [{"chosen": f"{START}{ASSISTANT} Red.", "rejected": row["rejected"]}]


def test_other_preferences_can_be_written() -> None:
    chat = preferences.write(read(as_row(ROW)), WriteOptions(chat=True))[0]
    assert [turn["role"] for turn in chat["prompt"]] == ["user", "assistant", "user"]
    assert write(preferences.read(as_row(chat)), WriteOptions()) == [ROW]
    plain = preferences.read(as_row({"prompt": "Sky?", "chosen": "Blue.", "rejected": "Green."}))
    assert write(plain, WriteOptions())[0]["chosen"] == f"{HUMAN} Sky?{ASSISTANT} Blue."


@pytest.mark.parametrize(
    ("preference", "code", "field"),
    [
        (Preference("p", (), (Message("", "a"),), (Message("", "b"),)), "missing", "prompt"),
        (
            Preference("p", (Message("system", "a"),), (Message("assistant", "b"),), (Message("assistant", "c"),)),
            "unknown_name",
            "role",
        ),
        (
            Preference("p", (Message("user", f"a{HUMAN} b"),), (Message("assistant", "b"),), (Message("user", "c"),)),
            "bad_value",
            "messages",
        ),
        (Preference("p", (), (Message("assistant", "b"),), (Message("assistant", "c"),)), "mismatch", "rejected"),
    ],
    ids=["plain", "system", "mark", "no prompt"],
)
def test_what_the_format_cannot_say_is_refused(preference: Preference, code: str, field: str) -> None:
    with refused(code, field=field, error=UnsupportedRecord):
        write(preference, WriteOptions())


part = st.sampled_from([HUMAN, ASSISTANT, " ", "\n", "a", "Human:", "\n\n", ""])
dialogue = st.lists(part, max_size=8).map(lambda parts: START + "".join(parts))


@given(dialogue, dialogue, st.none() | st.text("ab"))
def test_any_row_comes_back_or_is_set_aside(chosen: str, rejected: str, note: str | None) -> None:
    row = {"chosen": chosen, "rejected": rejected, "note": note}
    try:
        preference = read(as_row(row))
    except InvalidRow as fault:
        assert (fault.field, fault.code) == ("rejected", "duplicate")
    else:
        assert write(preference, WriteOptions()) == [row]


def test_a_packed_file_is_read_and_written(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in (ROW, {**ROW, "rejected": ROW["chosen"]}))
    with pytest.warns(UserWarning, match="row 2, field 'rejected'"):
        records = list(formats.read(path))
    formats.write(records, tmp_path / "again.jsonl.gz", NAME)
    with gzip.open(tmp_path / "again.jsonl.gz", "rt") as file:
        assert [json.loads(line) for line in file] == [ROW]
