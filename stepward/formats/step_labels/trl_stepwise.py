"""TRL's stepwise supervision: `prompt`, `completions` (the steps) and `labels`, a boolean or a number a step.

A file must not mix booleans and numbers, or its readers refuse it. So a row that was read with numbers is written with
numbers, even where all of them are 0 or 1, and a threshold gives booleans throughout.
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
)  # fmt: skip
from stepward.formats.branches import iter_branches
from stepward.formats.checks import probabilities, same_count, text, texts
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow

NAME = "trl-stepwise"
_FIELDS = ("prompt", "completions", "labels")


def matches(fields: Fields) -> bool:
    """Whether a row has the three fields."""
    return all(name in fields for name in _FIELDS)


def read(row: SourceRow) -> LabelledSolution:
    """The row's solution."""
    # The prompt may be empty: so it is where a source doesn't part the question from the first step.
    question, steps = text(row.fields, "prompt", empty=True), texts(row.fields, "completions")
    labels = probabilities(row.fields, "labels")
    if not steps:
        raise InvalidRow("completions", "empty; expected at least one step", "empty")
    same_count(len(steps), len(labels), "labels")
    extra = {name: value for name, value in row.fields.items() if name not in _FIELDS}
    if not any(isinstance(label, bool) for label in row.fields["labels"]):
        extra["labels"] = "numbers"
    return LabelledSolution(question, steps, labels, source=NAME, extra=dump_extra(extra))


def write(record: LabelledSolution, choices: WriteOptions) -> list[dict[str, Any]]:
    """A row a path; labels that are all 0 or 1 become booleans, as TRL's own data sets have them."""
    return [_row(path, choices) for path in iter_branches(record)]


def _row(path: LabelledSolution, choices: WriteOptions) -> dict[str, Any]:
    if not path.steps:
        raise UnsupportedRecord("it has no steps", "empty", "steps")
    labels, extra = every_label(path, choices, NAME), load_extra(path, NAME)
    numbers = extra.pop("labels", None) == "numbers" or any(label not in (0.0, 1.0) for label in labels)
    hard = choices.threshold is not None or not numbers
    return {
        "prompt": path.question,
        "completions": list(path.steps),
        "labels": [positive(label, choices, NAME) for label in labels] if hard else labels,
        **extra,
    }


FORMAT = Format(NAME, "prompt, completions, labels", LabelledSolution, matches, read, write)
