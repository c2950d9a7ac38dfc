"""Preferences as dialogues: plain text to turns and back, and the turns that both dialogues share."""

from dataclasses import replace
from typing import Any

from stepward.formats.base import UnsupportedRecord
from stepward.records import Message, Preference
from stepward.rows import InvalidRow, json_type

USER, ASSISTANT = "user", "assistant"
PLAIN = ""
"""The role of a plain text."""

Turns = tuple[Message, ...]


def turns(value: Any, field: str, role: str, content: str) -> Turns:
    """The turns of a list of messages; InvalidRow where it is none.

    Args:
        value: What the field holds.
        field: Its name.
        role: The name of the key that says who speaks.
        content: The name of the key that says what.
    """
    if not isinstance(value, list) or not value:
        raise InvalidRow(
            field,
            f"expected a list of messages, found {json_type(value) if value != [] else 'an empty one'}",
            "wrong_type",
        )
    return tuple(turn(one, f"{field}[{index}]", role, content) for index, one in enumerate(value))


def turn(value: Any, field: str, role: str, content: str) -> Message:
    """One message; InvalidRow where it has other keys than the two, or no text in them."""
    if not isinstance(value, dict) or value.keys() != {role, content}:
        found = ", ".join(value) or "no keys" if isinstance(value, dict) else json_type(value)
        raise InvalidRow(field, f"expected a message with {role} and {content} alone, found {found}", "wrong_type")
    for name in (role, content):
        if not isinstance(value[name], str):
            raise InvalidRow(f"{field}.{name}", f"expected text, found {json_type(value[name])}", "wrong_type")
    if not value[role]:
        raise InvalidRow(f"{field}.{role}", "empty; expected who speaks", "empty")
    return Message(value[role], value[content])


def differing(chosen: Turns, rejected: Turns) -> None:
    """InvalidRow where the two are the same: such a row prefers nothing."""
    if chosen == rejected:
        raise InvalidRow("rejected", "the same as chosen; expected two answers that differ", "duplicate")


def is_plain(said: Turns) -> bool:
    """Whether it is plain text, or nothing."""
    return all(one.role == PLAIN for one in said)


def shared(first: Turns, second: Turns) -> int:
    """How many turns both start with, before the answer: in each a turn of the assistant's own follows them."""
    count = 0
    for one, other in zip(first[:-1], second[:-1], strict=False):
        if one != other:
            break
        count += 1
    while count and not (first[count].role == second[count].role == ASSISTANT):
        count -= 1
    return count


def as_chat(preference: Preference) -> Preference:
    """The preference as a dialogue: a plain prompt is the user's turn, plain answers are the assistant's.

    Raises:
        UnsupportedRecord: A plain text has no prompt beside it: where its turns start can't be told.
    """
    if not is_plain(preference.chosen):
        return preference
    if not preference.prompt:
        raise UnsupportedRecord(
            "chosen and rejected are plain texts without a prompt; their turns can't be told apart", "missing", "prompt"
        )
    spoken = [
        tuple(Message(role, one.content) for one in said)
        for role, said in ((USER, preference.prompt), (ASSISTANT, preference.chosen), (ASSISTANT, preference.rejected))
    ]
    return replace(preference, prompt=spoken[0], chosen=spoken[1], rejected=spoken[2])


def split_system(preference: Preference) -> Preference:
    """The preference with the turns that both answers start with moved to its prompt, where it has no prompt."""
    if preference.prompt or is_plain(preference.chosen):
        return preference
    count = shared(preference.chosen, preference.rejected)
    return replace(
        preference,
        prompt=preference.chosen[:count],
        chosen=preference.chosen[count:],
        rejected=preference.rejected[count:],
    )


def as_text(preference: Preference) -> Preference:
    """The preference as plain texts: one user's turn for a prompt, one assistant's turn for each answer.

    Raises:
        UnsupportedRecord: It has more turns, which are one text by a model's chat template only.
    """
    if is_plain(preference.chosen):
        return preference
    whole = split_system(preference)
    said = (whole.prompt, whole.chosen, whole.rejected)
    roles = [[one.role for one in part] for part in said]
    if roles != [[USER], [ASSISTANT], [ASSISTANT]]:
        raise UnsupportedRecord(
            "a dialogue of several turns is one text by a chat template only; write it as chat",
            "not_writable",
            "prompt",
        )
    texts = [(Message(PLAIN, part[0].content),) for part in said]
    return replace(preference, prompt=texts[0], chosen=texts[1], rejected=texts[2])
