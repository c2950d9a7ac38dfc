"""What a refusal is held to: its code and fields, never its sentences."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stepward.errors import CODES, StepwardError


@contextmanager
def refused(
    code: str,
    *,
    file: str | Path | None = None,
    row: int | None = None,
    field: str | None = None,
    names: tuple[object, ...] = (),
    error: type[Exception] = StepwardError,
) -> Iterator[pytest.ExceptionInfo[Any]]:
    """Holds that the block raises `error` with this code.

    Args:
        code: The code; where rows are refused together, of the first fault too.
        file: The file it must carry; not looked at where None. So are row and field.
        row: The row.
        field: The field.
        names: Values that the message must name: an id, a count, a path; never a sentence.
        error: The class.
    """
    assert code in CODES, code
    with pytest.raises(error) as raised:
        yield raised
    holds(raised.value, code, file=file, row=row, field=field, names=names)


def holds(
    error: Any,
    code: str,
    *,
    file: str | Path | None = None,
    row: int | None = None,
    field: str | None = None,
    names: tuple[object, ...] = (),
) -> None:
    """The same of an error that is at hand, such as the `exception` of an in-process command."""
    first = error.faults[0] if getattr(error, "faults", ()) else error
    assert code in (error.code, first.code), f"{error.code}/{first.code}: {error}"
    for name, expected in (("file", file), ("row", row), ("field", field)):
        if expected is not None:
            wanted = str(expected) if name == "file" else expected
            assert wanted in (getattr(error, name, None), getattr(first, name, None)), f"{name} {wanted}: {error!r}"
    for value in names:
        assert str(value) in str(error), f"{value!r} is not named: {error}"
