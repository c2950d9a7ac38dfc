"""ProcessBench: people's first wrong step (`label`, from 0; -1 where all steps are right) of a model's solution.

What follows the first wrong step was not judged, so those steps have no label here.
"""

from typing import Any

from stepward.formats.base import Fields, Format, UnsupportedRecord, WriteOptions, extra_of, load_extra, need_texts
from stepward.formats.branches import iter_branches
from stepward.formats.checks import boolean, integer, text, texts
from stepward.formats.first_error import first_error, labels_from
from stepward.records import LabelledSolution
from stepward.rows import SourceRow

NAME = "processbench"
NO_ERROR = -1

_FIELDS = ("generator", "problem", "steps", "final_answer_correct", "label")


def matches(fields: Fields) -> bool:
    """Whether a row has `final_answer_correct` beside its problem, steps and label."""
    return all(name in fields for name in ("problem", "steps", "final_answer_correct", "label"))


def read(row: SourceRow) -> LabelledSolution:
    """The row's solution, labelled up to its first error."""
    question, steps = text(row.fields, "problem"), texts(row.fields, "steps")
    label = integer(row.fields, "label")
    labels = labels_from(None if label == NO_ERROR else label, len(steps), "label")
    return LabelledSolution(
        question, steps, labels,
        correct=boolean(row.fields, "final_answer_correct"), generator=text(row.fields, "generator", empty=True),
        source=NAME, extra=extra_of(row.fields, _FIELDS),
    )  # fmt: skip


def write(record: LabelledSolution, choices: WriteOptions) -> list[dict[str, Any]]:
    """A row a path, with the index of its first error."""
    return [_row(path, choices) for path in iter_branches(record)]


def _row(path: LabelledSolution, choices: WriteOptions) -> dict[str, Any]:
    need_texts(path, NAME)
    if path.correct is None:
        raise UnsupportedRecord(
            "whether the final answer is right is not stated; grade the solutions first", "missing", "correct"
        )
    error = first_error(path, choices, NAME)
    return {
        "id": path.id,
        "generator": path.generator,
        "problem": path.question,
        "steps": list(path.steps),
        "final_answer_correct": path.correct,
        "label": NO_ERROR if error is None else error,
        **load_extra(path, NAME),
    }


FORMAT = Format(NAME, "steps and the first wrong one's index, -1 for none", LabelledSolution, matches, read, write)
