"""SCAN: `question`, `steps`, and `scores`: the share of completions from each step that were right, in [0, 1]."""

from typing import Any

from stepward.formats.base import Choices, Fields, Format, every_label, extra_of, load_extra, need_texts
from stepward.formats.branches import paths
from stepward.formats.checks import same_count, shares, text, texts
from stepward.records import LabelledSolution
from stepward.rows import Row

NAME = "scan"

_FIELDS = ("question", "steps", "scores")


def matches(fields: Fields) -> bool:
    """Whether a row has the three fields."""
    return all(name in fields for name in _FIELDS)


def read(row: Row) -> LabelledSolution:
    """The row's solution, with a soft label a step."""
    question, steps = text(row.fields, "question"), texts(row.fields, "steps")
    labels = shares(row.fields, "scores")
    same_count(len(steps), len(labels), "scores")
    return LabelledSolution(
        question, steps, labels,
        source=NAME, extra=extra_of(row.fields, _FIELDS),
    )  # fmt: skip


def write(record: LabelledSolution, choices: Choices) -> list[dict[str, Any]]:
    """A row a path."""
    return [_row(path, choices) for path in paths(record)]


def _row(path: LabelledSolution, choices: Choices) -> dict[str, Any]:
    need_texts(path, NAME)
    return {
        "question": path.question,
        "steps": list(path.steps),
        "scores": every_label(path, choices, NAME),
        **load_extra(path, NAME),
    }


FORMAT = Format(NAME, "question, steps, scores", LabelledSolution, matches, read, write)
