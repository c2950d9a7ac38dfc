"""BIG-Bench-Mistake: people's first wrong step (`mistake_index`, from 0; null where all steps are right).

What follows the first wrong step was not judged, so those steps have no label here.
"""

from typing import Any

from stepward.formats.base import Fields, Format, UnsupportedRecord, WriteOptions, extra_of, load_extra, need_texts
from stepward.formats.branches import iter_branches
from stepward.formats.checks import integer, text, texts
from stepward.formats.first_error import first_error, labels_from
from stepward.records import LabelledSolution
from stepward.rows import SourceRow

NAME = "big-bench-mistake"

_FIELDS = ("input", "steps", "target", "answer", "mistake_index")


def matches(fields: Fields) -> bool:
    """Whether a row has `mistake_index` beside its input and steps."""
    return all(name in fields for name in ("input", "steps", "mistake_index"))


def read(row: SourceRow) -> LabelledSolution:
    """The row's solution, labelled up to its first error.

    `correct` is True where answer and target are the same text. Where they differ it is None: the source states no
    grade, and two texts can differ and mean the same.
    """
    question, steps = text(row.fields, "input"), texts(row.fields, "steps")
    none = row.fields.get("mistake_index", 0) is None
    labels = labels_from(None if none else integer(row.fields, "mistake_index"), len(steps), "mistake_index")
    target = text(row.fields, "target")
    answer = None if row.fields.get("answer", "") is None else text(row.fields, "answer", empty=True)
    return LabelledSolution(
        question, steps, labels,
        reference=target, answer=answer, correct=True if answer == target else None,
        source=NAME, extra=extra_of(row.fields, _FIELDS),
    )  # fmt: skip


def write(record: LabelledSolution, choices: WriteOptions) -> list[dict[str, Any]]:
    """A row a path, with the index of its first error."""
    return [_row(path, choices) for path in iter_branches(record)]


def _row(path: LabelledSolution, choices: WriteOptions) -> dict[str, Any]:
    need_texts(path, NAME)
    if path.reference is None:
        raise UnsupportedRecord(f"no reference answer is stated, and {NAME} needs one (target)", "missing", "reference")
    return {
        "input": path.question,
        "steps": list(path.steps),
        "target": path.reference,
        "answer": path.answer,
        "mistake_index": first_error(path, choices, NAME),
        **load_extra(path, NAME),
    }


FORMAT = Format(NAME, "steps and the first wrong one's index, null for none", LabelledSolution, matches, read, write)
