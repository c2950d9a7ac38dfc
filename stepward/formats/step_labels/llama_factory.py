"""LLaMA-Factory's preferences (sharegpt): `conversations` is the prompt, `chosen` and `rejected` a message each."""

from typing import Any

from stepward.formats.base import Fields, Format, UnsupportedRecord, WriteOptions, extra_of, load_extra
from stepward.formats.chat import ASSISTANT, USER, Turns, as_chat, differing, split_system, turn, turns
from stepward.records import Message, Preference, preference_id
from stepward.rows import InvalidRow, SourceRow

NAME = "llama-factory-preference"

_FIELDS = ("conversations", "chosen", "rejected")
_ROLES = {"human": USER, "gpt": ASSISTANT, "system": "system", "function_call": "function_call", "observation": "tool"}
_SPEAKERS = {role: speaker for speaker, role in _ROLES.items()}


def matches(fields: Fields) -> bool:
    """Whether a row has conversations, and a chosen and a rejected message."""
    return isinstance(fields.get("conversations"), list) and all(
        isinstance(fields.get(name), dict) for name in ("chosen", "rejected")
    )


def read(row: SourceRow) -> Preference:
    """The row's preference, as a dialogue."""
    missing = next((name for name in _FIELDS if name not in row.fields), None)
    if missing is not None:
        raise InvalidRow(missing, f"missing; found {', '.join(row.fields) or 'no fields'}", "missing")
    prompt = _named(turns(row.fields["conversations"], "conversations", "from", "value"), "conversations[{}]")
    chosen, rejected = (
        _named((turn(row.fields[name], name, "from", "value"),), name) for name in ("chosen", "rejected")
    )
    differing(chosen, rejected)
    return Preference(
        preference_id(prompt, chosen, rejected), prompt, chosen, rejected,
        source=NAME, extra=extra_of(row.fields, _FIELDS),
    )  # fmt: skip


def write(preference: Preference, choices: WriteOptions) -> list[dict[str, Any]]:
    """The preference's row; the margin is lost."""
    whole = split_system(as_chat(preference))
    if not whole.prompt:
        raise UnsupportedRecord(f"chosen and rejected share no turn, and {NAME} needs a prompt", "mismatch", "rejected")
    if len(whole.chosen) != 1 or len(whole.rejected) != 1:
        raise UnsupportedRecord(f"an answer has several turns, and {NAME} holds one of each", "not_writable", "chosen")
    return [
        {
            "conversations": [_message(one) for one in whole.prompt],
            "chosen": _message(whole.chosen[0]),
            "rejected": _message(whole.rejected[0]),
            **load_extra(preference, NAME),
        }
    ]


def _named(said: Turns, field: str) -> Turns:
    for index, one in enumerate(said):
        if one.role not in _ROLES:
            raise InvalidRow(
                f"{field.format(index)}.from", f"{one.role!r} is none of {', '.join(_ROLES)}", "unknown_name"
            )
    return tuple(Message(_ROLES[one.role], one.content) for one in said)


def _message(one: Message) -> dict[str, str]:
    if one.role not in _SPEAKERS:
        raise UnsupportedRecord(
            f"{NAME} knows no role {one.role!r}; expected one of {', '.join(_SPEAKERS)}", "unknown_name", "role"
        )
    return {"from": _SPEAKERS[one.role], "value": one.content}


FORMAT = Format(NAME, "conversations, chosen {from, value}, rejected", Preference, matches, read, write)
