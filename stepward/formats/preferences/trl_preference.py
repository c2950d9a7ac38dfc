"""TRL's preferences: `chosen` and `rejected`, with or without `prompt`, all plain text or all chat messages.

Without a prompt, chosen and rejected start with the same text or turns; they are kept so, not parted.
"""

from typing import Any

from stepward.formats.base import Fields, Format, WriteOptions, dump_extra, load_extra
from stepward.formats.chat import PLAIN, Turns, as_chat, as_text, differing, is_plain, turns
from stepward.records import Message, Preference, preference_id
from stepward.rows import InvalidRow, SourceRow, json_type

NAME = "trl-preference"
LARGEST_MARGIN = 2**53
"""The largest whole number up to which a float holds every one."""

_FIELDS = ("prompt", "chosen", "rejected", "margin")


def matches(fields: Fields) -> bool:
    """Whether a row has chosen and rejected, both text or both lists."""
    pair = (fields.get("chosen"), fields.get("rejected"))
    return all(isinstance(one, str) for one in pair) or all(isinstance(one, list) for one in pair)


def read(row: SourceRow) -> Preference:
    """The row's preference, as text or as chat, whichever it is."""
    fields = row.fields
    chosen, rejected = _said(fields, "chosen"), _said(fields, "rejected")
    if is_plain(chosen) != is_plain(rejected):
        raise InvalidRow("rejected", "text or chat, but chosen is the other; expected both alike", "mismatch")
    differing(chosen, rejected)
    # A first turn that stands in `prompt` once more (as in ultrafeedback_binarized) is no second prompt.
    stands_twice = isinstance(fields.get("prompt"), str) and _starts(fields["prompt"], chosen, rejected)
    prompt = () if stands_twice or fields.get("prompt") is None else _said(fields, "prompt")
    if prompt and is_plain(prompt) != is_plain(chosen):
        raise InvalidRow("prompt", "text or chat, but chosen is the other; expected all alike", "mismatch")
    kept = {
        name: value
        for name, value in fields.items()
        if name not in _FIELDS or (name == "margin" and value is None) or (name == "prompt" and not prompt)
    }
    return Preference(
        preference_id(prompt, chosen, rejected), prompt, chosen, rejected, _margin(fields.get("margin")),
        source=NAME, extra=dump_extra(kept),
    )  # fmt: skip


def write(preference: Preference, choices: WriteOptions) -> list[dict[str, Any]]:
    """The preference's row, as chat, as text, or as it is (`choices.chat`)."""
    if choices.chat is not None:
        preference = as_chat(preference) if choices.chat else as_text(preference)
    extra = load_extra(preference, NAME)
    twice = extra.get("prompt")
    if twice is not None and not _starts(twice, preference.chosen, preference.rejected):
        del extra["prompt"]
    said = {"prompt": preference.prompt, "chosen": preference.chosen, "rejected": preference.rejected}
    row = {name: _written(part) for name, part in said.items() if part}
    margin = {} if preference.margin is None else {"margin": preference.margin}
    return [{**extra, **row, **margin}]


def _said(fields: dict[str, Any], name: str) -> Turns:
    """The field's text or messages."""
    if name not in fields:
        raise InvalidRow(name, f"missing; found {', '.join(fields) or 'no fields'}", "missing")
    value = fields[name]
    if isinstance(value, str):
        return (Message(PLAIN, value),)
    if isinstance(value, list):
        return turns(value, name, "role", "content")
    raise InvalidRow(name, f"expected text or a list of messages, found {json_type(value)}", "wrong_type")


def _starts(prompt: str, chosen: Turns, rejected: Turns) -> bool:
    """Whether both are dialogues whose first turn, after the system's if any, is the prompt."""
    firsts = [next((one for one in said if one.role != "system"), None) for said in (chosen, rejected)]
    return all(one is not None and one.role != PLAIN and one.content == prompt for one in firsts)


def _margin(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidRow("margin", f"expected a number, found {json_type(value)}", "wrong_type")
    if isinstance(value, int) and abs(value) > LARGEST_MARGIN:
        raise InvalidRow("margin", "a whole number that no float holds exactly; expected a smaller one", "bad_value")
    return float(value)


def _written(said: Turns) -> str | list[dict[str, str]]:
    if said[0].role == PLAIN:
        return said[0].content
    return [{"role": one.role, "content": one.content} for one in said]


FORMAT = Format(NAME, "chosen, rejected, with or without prompt; text or chat", Preference, matches, read, write)
