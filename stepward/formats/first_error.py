"""Labels that are said by the index of the first wrong step: right before it, wrong at it, unknown after it."""

from stepward.formats.base import UnsupportedRecord, WriteOptions, positive, resolve_neutral
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow


def labels_from(index: int | None, steps: int, field: str) -> tuple[float | None, ...]:
    """A label a step: 1 before the first error, 0 at it, None after it.

    Args:
        index: The first wrong step, from 0; None where no step is wrong.
        steps: How many steps there are.
        field: The field that holds the index, for the fault.

    Raises:
        InvalidRow: The index is no step's.
    """
    if index is None:
        return (1.0,) * steps
    if not 0 <= index < steps:
        raise InvalidRow(
            field, f"step {index} of {steps} steps, counted from 0; expected the index of one of them", "bad_value"
        )
    return (1.0,) * index + (0.0,) + (None,) * (steps - index - 1)


def first_error(record: LabelledSolution, choices: WriteOptions, name: str) -> int | None:
    """The index of the first wrong step, from 0, or None where all are right; labels after it are not looked at.

    Raises:
        UnsupportedRecord: A step has no label, and no step before it is wrong.
        StepwardError: A label is neither 0 nor 1, and no threshold was chosen.
    """
    for index, label in enumerate(resolve_neutral(record, choices)):
        if label is None:
            raise UnsupportedRecord(
                f"step {index + 1} has no label, and {name} needs one up to the first error",
                "missing",
                f"labels[{index}]",
            )
        if not positive(label, choices, name):
            return index
    return None
