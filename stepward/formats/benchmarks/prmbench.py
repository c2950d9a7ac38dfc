"""PRMBench: a right solution (`original_process`) and one with errors put in (`modified_process`, `error_steps`).

The record is the modified solution, to the modified question, as the authors' own evaluation takes it. Its steps are
taken as they are, empty ones too: the error steps are counted among all of them, from 1.
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
from stepward.formats.checks import items, text, texts
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow, json_type

NAME = "prmbench"

_QUESTION, _STEPS, _ERRORS = "modified_question", "modified_process", "error_steps"


def matches(fields: Fields) -> bool:
    """Whether a row has a modified process and its error steps."""
    return _STEPS in fields and _ERRORS in fields


def read(row: SourceRow) -> LabelledSolution:
    """The modified solution: 0 at its error steps, 1 at the others."""
    question = text(row.fields, _QUESTION)
    steps = texts(row.fields, _STEPS, empty=True)
    errors = _errors(row.fields, len(steps))
    labels = tuple(0.0 if number in errors else 1.0 for number in range(1, len(steps) + 1))
    # Numbers in the order of the steps, each once, come back from the labels.
    known = (_QUESTION, _STEPS) + ((_ERRORS,) if errors == sorted(set(errors)) else ())
    extra = dump_extra({name: value for name, value in row.fields.items() if name not in known})
    return LabelledSolution(
        question, steps, labels, source=NAME, extra=extra,
    )  # fmt: skip


def write(record: LabelledSolution, choices: WriteOptions) -> list[dict[str, Any]]:
    """The record's row, for a record that was read from PRMBench."""
    extra = load_extra(record, NAME)
    if "original_process" not in extra:
        raise UnsupportedRecord(
            f"{NAME} rows hold a right solution beside the one with errors, and this record has no such",
            "mismatch",
            "extra",
        )
    labels = every_label(record, choices, NAME)
    errors = [number for number, label in enumerate(labels, start=1) if not positive(label, choices, NAME)]
    stated = extra.pop(_ERRORS, errors)
    return [
        {
            _QUESTION: record.question,
            _STEPS: list(record.steps),
            _ERRORS: stated if set(stated) == set(errors) else errors,
            **extra,
        }
    ]


def _errors(fields: dict[str, Any], steps: int) -> list[int]:
    """The numbers of the error steps; InvalidRow where one is no step's."""
    errors = items(fields, _ERRORS)
    for index, number in enumerate(errors):
        field = f"{_ERRORS}[{index}]"
        if not isinstance(number, int) or isinstance(number, bool):
            raise InvalidRow(field, f"expected a whole number, found {json_type(number)}", "wrong_type")
        if number > steps:
            raise InvalidRow(
                field, f"{number} points past the end of the {steps} steps; expected 1 to {steps}", "bad_value"
            )
        if number < 1:
            raise InvalidRow(field, f"{number} is no step; expected 1 to {steps}, counted from 1", "bad_value")
    return errors


FORMAT = Format(NAME, "modified_process, error_steps counted from 1", LabelledSolution, matches, read, write)
