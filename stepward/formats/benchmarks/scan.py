"""SCAN: `question`, `steps`, and `scores`: the share of completions from each step that were right, in [0, 1]."""

from typing import Any

from stepward.formats.base import Fields, Format, WriteOptions, every_label, extra_of, load_extra, need_texts
from stepward.formats.branches import iter_branches
from stepward.formats.checks import probabilities, same_count, text, texts
from stepward.records import LabelledSolution
from stepward.rows import SourceRow

NAME = "scan"

_FIELDS = ("question", "steps", "scores")


def matches(fields: Fields) -> bool:
    """Whether a row has the three fields."""
    return all(name in fields for name in _FIELDS)


def read(row: SourceRow) -> LabelledSolution:
    """The row's solution, with a soft label a step."""
    question, steps = text(row.fields, "question"), texts(row.fields, "steps")
    labels = probabilities(row.fields, "scores")
    same_count(len(steps), len(labels), "scores")
    return LabelledSolution(
        question, steps, labels,
        source=NAME, extra=extra_of(row.fields, _FIELDS),
    )  # fmt: skip


def write(record: LabelledSolution, choices: WriteOptions) -> list[dict[str, Any]]:
    """A row a path."""
    return [_row(path, choices) for path in iter_branches(record)]


def _row(path: LabelledSolution, choices: WriteOptions) -> dict[str, Any]:
    need_texts(path, NAME)
    return {
        "question": path.question,
        "steps": list(path.steps),
        "scores": every_label(path, choices, NAME),
        **load_extra(path, NAME),
    }


FORMAT = Format(NAME, "question, steps, scores", LabelledSolution, matches, read, write)
