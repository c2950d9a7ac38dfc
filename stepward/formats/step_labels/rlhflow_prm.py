"""RLHFlow's conversations for process reward models: a user's turn a step, and the assistant's + or - after each.

The first turn is the question, a space and step 1. "Step 1:" parts them; where that stands nowhere, the first step
holds the question too. The conversations for outcome reward models (`rlhflow_orm`) have the same turns, but two only.
"""

from typing import Any

from stepward.formats.base import (
    Fields,
    Format,
    UnsupportedRecord,
    WriteOptions,
    dump_extra,
    every_label,
    load_extra,
    positive,
)
from stepward.formats.branches import iter_branches
from stepward.formats.checks import exactly, inside, items, text
from stepward.formats.step_labels.math_shepherd import split_question
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow

NAME = "rlhflow-prm"

_SIGNS = {"+": 1.0, "-": 0.0}
_ROLES = ("user", "assistant")


def matches(fields: Fields) -> bool:
    """Whether a row's conversation has signs, and more than two turns."""
    return has_signs(fields) and len(fields["conversations"]) > 2


def read(row: SourceRow) -> LabelledSolution:
    """The row's solution, with a hard label a step."""
    said, labels = read_turns(row.fields)
    question, first = split_question(said[0])
    steps = (first, *said[1:])
    return LabelledSolution(
        question, steps, labels,
        source=NAME, extra=extra_of_conversation(row.fields, join_question(question, first)),
    )  # fmt: skip


def write(record: LabelledSolution, choices: WriteOptions) -> list[dict[str, Any]]:
    """A row a path: a user's turn a step, each answered by + or -."""
    return [_row(path, choices) for path in iter_branches(record)]


def has_signs(fields: Fields) -> bool:
    """Whether a row's conversation starts with a user's turn and a sign."""
    turns = fields.get("conversations")
    if not isinstance(turns, list) or len(turns) < 2:
        return False
    first, second = turns[:2]
    return (
        isinstance(first, dict) and first.get("role") == "user"
        and isinstance(second, dict) and second.get("role") == "assistant" and str(second.get("content")) in _SIGNS
    )  # fmt: skip


def read_turns(fields: dict[str, Any]) -> tuple[list[str], tuple[float, ...]]:
    """What the user says, and the label of each of those turns."""
    turns = items(fields, "conversations")
    if not turns or len(turns) % 2:
        raise InvalidRow(
            "conversations", f"{len(turns)} turns; expected a sign after each of the user's turns", "mismatch"
        )
    said = []
    for index, value in enumerate(turns):
        where = f"conversations[{index}]"
        turn = exactly(value, ("role", "content"), where)
        with inside(where):
            if turn["role"] != _ROLES[index % 2]:
                raise InvalidRow(
                    "role", f"found {str(turn['role'])[:40]!r}; expected {_ROLES[index % 2]!r}", "bad_value"
                )
            content = text(turn, "content")
            if index % 2 and content not in _SIGNS:
                raise InvalidRow("content", f"found {content[:40]!r}; expected + or -", "bad_value")
        said.append(content)
    return said[::2], tuple(_SIGNS[sign] for sign in said[1::2])


def write_turns(said: list[str], signs: list[bool]) -> list[dict[str, str]]:
    """The user's turns, each followed by its sign."""
    return [
        {"role": role, "content": content}
        for step, sign in zip(said, signs, strict=True)
        for role, content in zip(_ROLES, (step, "+" if sign else "-"), strict=True)
    ]


def join_question(question: str, step: str) -> str:
    """A conversation's first turn."""
    return f"{question} {step}" if question else step


def extra_of_conversation(fields: dict[str, Any], joined: str) -> str:
    """The row's other fields, and its first turn where it isn't what joining gives again."""
    opening = fields["conversations"][0]["content"]
    kept = {name: value for name, value in fields.items() if name != "conversations"}
    return dump_extra(kept if joined == opening else {**kept, "conversations": opening})


def _row(path: LabelledSolution, choices: WriteOptions) -> dict[str, Any]:
    if not path.steps:
        raise UnsupportedRecord("it has no steps", "empty", "steps")
    signs = [positive(label, choices, NAME) for label in every_label(path, choices, NAME)]
    extra = load_extra(path, NAME)
    # The first turn as it was read is written where it still says the same.
    opening = extra.pop("conversations", None)
    if opening is None or split_question(opening) != (path.question, path.steps[0]):
        opening = join_question(path.question, path.steps[0])
    return {"conversations": write_turns([opening, *path.steps[1:]], signs), **extra}


FORMAT = Format(NAME, "conversations with + or - after each step", LabelledSolution, matches, read, write)
