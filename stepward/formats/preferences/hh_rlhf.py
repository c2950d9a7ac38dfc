r"""hh-rlhf: `chosen` and `rejected`, each a whole dialogue in one text, "\n\nHuman: ...\n\nAssistant: ...".

The prompt is what both share up to the last "\n\nAssistant:" of it. A turn's text is what follows the mark and one
space, to the next mark: a dialogue that quotes a mark is cut there too, and comes back whole.
"""

import re
from typing import Any

from stepward.formats.base import Fields, Format, UnsupportedRecord, WriteOptions, dump_extra, load_extra
from stepward.formats.chat import ASSISTANT, USER, Turns, as_chat, differing, shared, split_system
from stepward.formats.checks import text
from stepward.records import Message, Preference, preference_id
from stepward.rows import InvalidRow, SourceRow

NAME = "hh-rlhf"

_SPEAKERS = {USER: "Human", ASSISTANT: "Assistant"}
_ROLES = {speaker: role for role, speaker in _SPEAKERS.items()}
STARTS = tuple(f"\n\n{speaker}:" for speaker in _ROLES)
"""How a dialogue in one text starts."""
_MARK = re.compile(r"\n\n(Human|Assistant):")
_FIELDS = ("chosen", "rejected")


def matches(fields: Fields) -> bool:
    """Whether a row has no prompt, and chosen and rejected start as dialogues do."""
    return "prompt" not in fields and all(str(fields.get(name, "")).startswith(STARTS) for name in _FIELDS)


def read(row: SourceRow) -> Preference:
    """The row's preference: the shared turns as its prompt, the others as chosen and rejected."""
    texts = {name: text(row.fields, name) for name in _FIELDS}
    for name, value in texts.items():
        if not value.startswith(STARTS):
            raise InvalidRow(
                name, f"starts with {value[:20]!r}; expected a dialogue that starts with '\\n\\nHuman:'", "bad_value"
            )
    chosen, rejected = (_turns(value) for value in texts.values())
    differing(chosen, rejected)
    count = shared(chosen, rejected)
    if count == 0:
        raise InvalidRow("rejected", "shares no turn with chosen; expected two answers to one dialogue", "mismatch")
    # A dialogue with a space behind each mark needs no more than its turns to be written again.
    parts = zip(texts.items(), (chosen, rejected), strict=True)
    unusual = {name: value for (name, value), said in parts if dialogue(said) != value}
    rest = {name: value for name, value in row.fields.items() if name not in _FIELDS}
    prompt, chosen, rejected = chosen[:count], chosen[count:], rejected[count:]
    return Preference(
        preference_id(prompt, chosen, rejected), prompt, chosen, rejected,
        source=NAME, extra=dump_extra({**rest, **unusual}),
    )  # fmt: skip


def write(preference: Preference, choices: WriteOptions) -> list[dict[str, Any]]:
    """The preference's row; the margin is lost."""
    whole = split_system(as_chat(preference))
    if not whole.prompt:
        raise UnsupportedRecord(
            f"chosen and rejected share no turn, and {NAME} holds answers to one dialogue", "mismatch", "rejected"
        )
    row = load_extra(preference, NAME)
    for name, answer in (("chosen", whole.chosen), ("rejected", whole.rejected)):
        said = whole.prompt + answer
        if name not in row or _turns(row[name]) != said:
            row[name] = dialogue(said)
            if _turns(row[name]) != said:
                raise UnsupportedRecord(
                    f"a turn holds a mark of {NAME} itself, '\\n\\nHuman:' or '\\n\\nAssistant:'",
                    "bad_value",
                    "messages",
                )
    return [row]


def _turns(dialogue: str) -> Turns:
    """The turns of a dialogue that starts with a mark."""
    _, *parts = _MARK.split(dialogue)
    return tuple(
        Message(_ROLES[speaker], said.removeprefix(" ")) for speaker, said in zip(parts[::2], parts[1::2], strict=True)
    )


def dialogue(said: Turns) -> str:
    """The turns as one text.

    Raises:
        UnsupportedRecord: A turn's role is neither user nor assistant.
    """
    unknown = next((one.role for one in said if one.role not in _SPEAKERS), None)
    if unknown is not None:
        raise UnsupportedRecord(
            f"{NAME} knows Human and Assistant alone, and a turn is of role {unknown!r}", "unknown_name", "role"
        )
    return "".join(f"\n\n{_SPEAKERS[one.role]}: {one.content}" for one in said)


FORMAT = Format(NAME, "chosen, rejected: dialogues in one text", Preference, matches, read, write)
