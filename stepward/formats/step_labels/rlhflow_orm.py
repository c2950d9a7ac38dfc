"""RLHFlow's conversations for outcome reward models: the question with a whole solution, and one + or -.

The sign says whether the answer is right. The solution is one step here, as the rows don't say where its steps end.

A conversation of two turns may also be one for process reward models, of a solution with one step. It is guessed to be
of this kind: were that wrong, nearly every other row would be set aside for having more turns, while the other mistake
would pass unseen.
"""

from typing import Any

from stepward.formats.base import Fields, Format, UnsupportedRecord, WriteOptions, load_extra, positive, resolve_neutral
from stepward.formats.branches import iter_branches
from stepward.formats.step_labels.math_shepherd import split_question
from stepward.formats.step_labels.rlhflow_prm import NAME as PRM
from stepward.formats.step_labels.rlhflow_prm import (
    extra_of_conversation,
    has_signs,
    join_question,
    read_turns,
    write_turns,
)
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow

NAME = "rlhflow-orm"

_SECOND_STEP = "Step 2:"


def matches(fields: Fields) -> bool:
    """Whether a row's conversation is one turn and its sign."""
    return has_signs(fields) and len(fields["conversations"]) == 2


def read(row: SourceRow) -> LabelledSolution:
    """The row's whole solution as one step; its label is its grade."""
    said, labels = read_turns(row.fields)
    if len(said) != 1:
        raise InvalidRow(
            "conversations", f"{2 * len(said)} turns; expected one turn and its sign ({PRM} has more)", "mismatch"
        )
    question, solution = _part_solution(said[0])
    return LabelledSolution(
        question, (solution,), labels, correct=labels[0] == 1.0,
        source=NAME, extra=extra_of_conversation(row.fields, join_question(question, solution)),
    )  # fmt: skip


def write(record: LabelledSolution, choices: WriteOptions) -> list[dict[str, Any]]:
    """A row a path, its steps joined by line breaks; the sign is `correct`, or else the last step's label."""
    return [_row(path, choices) for path in iter_branches(record)]


def _part_solution(text: str) -> tuple[str, str]:
    """The question and the solution: "Step 1:" is looked for before "Step 2:", as later steps may mention it."""
    at = text.find(_SECOND_STEP)
    start = text if at < 0 else text[:at]
    question, first = split_question(start)
    return question, first + text[len(start) :]


def _row(path: LabelledSolution, choices: WriteOptions) -> dict[str, Any]:
    if not path.steps:
        raise UnsupportedRecord("it has no steps", "empty", "steps")
    extra = load_extra(path, NAME)
    solution = "\n".join(path.steps)
    opening = extra.pop("conversations", None)
    if opening is None or _part_solution(opening) != (path.question, solution):
        opening = join_question(path.question, solution)
    return {"conversations": write_turns([opening], [_is_right(path, choices)]), **extra}


def _is_right(path: LabelledSolution, choices: WriteOptions) -> bool:
    label = resolve_neutral(path, choices)[-1]
    if path.correct is not None:
        # In a row of this format the two are one sign; elsewhere wrong steps may well end in a right answer.
        if path.source == NAME and label != float(path.correct):
            raise UnsupportedRecord("its label and `correct` say different things; change both", "mismatch", "correct")
        return path.correct
    if label is None:
        raise UnsupportedRecord(
            "neither `correct` nor its last step's label says whether it is right", "missing", "correct"
        )
    return positive(label, choices, NAME)


FORMAT = Format(NAME, "conversations with + or - after a whole solution", LabelledSolution, matches, read, write)
