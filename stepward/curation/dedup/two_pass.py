"""A source read twice: once to decide about its rows, once to write them as they stood, whatever their format.

What is decided in the first pass is a byte or a number a row, in the order of reading, so no row is kept in memory.
"""

from collections.abc import Iterator
from pathlib import Path

from stepward import formats
from stepward.curation.dedup.normalize import Asking
from stepward.errors import StepwardError
from stepward.formats import RecordReader
from stepward.records import LabelledSolution, Preference, Problem
from stepward.rows import SourceRow


def with_rows(reading: RecordReader) -> Iterator[tuple[SourceRow, Asking]]:
    """Each record with the row it was read from.

    Raises:
        StepwardError: The source holds records that don't say what was asked, such as a run's scores.
    """
    for record in reading:
        assert reading.row is not None
        if not isinstance(record, (LabelledSolution, Preference, Problem)):
            raise StepwardError(
                f"{reading.source}: holds {type(record).__name__} records, which don't say what was asked; expected "
                "labelled solutions, preferences or problems",
                code="mismatch",
                file=reading.source,
                row=None if reading.row is None else reading.row.number,
            )
        yield reading.row, record


def rows_again(source: Path | str, format: str, expected: int) -> Iterator[SourceRow]:
    """The rows of a source that was read before; what can't be read was said then.

    Raises:
        StepwardError: It has more or fewer rows than before.
    """
    reading = formats.read(source, format, on_fault=lambda _: None)
    for row, _ in with_rows(reading):
        if reading.rows > expected:
            break
        yield row
    if reading.rows != expected:
        raise StepwardError(
            f"{source}: changed while it was read; {expected:,} rows were there. Run again", code="changed", file=source
        )
