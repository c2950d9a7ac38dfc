"""Converting a source from one format to another, losing nothing unsaid: what can't be converted lies beside it."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from stepward.formats.base import Record, WriteOptions
from stepward.formats.reader import RecordReader, read
from stepward.formats.registry import named
from stepward.formats.writer import WriteReport, write
from stepward.rows import RowError, row_text
from stepward.storage.files import write_error


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """What a conversion came to.

    Attributes:
        reading: The source, its format and the rows that were set aside.
        written: What was written.
        rejected: The file of rows that were set aside; None where none was.
    """

    reading: RecordReader
    written: WriteReport
    rejected: Path | None


def convert(
    source: Path | str,
    to: Path,
    *,
    source_format: str | None = None,
    to_format: str = "stepward",
    choices: WriteOptions | None = None,
    strict: bool = False,
    on_start: Callable[[RecordReader], None] | None = None,
) -> ConversionReport:
    """Read a source and write it in another format.

    Args:
        source: What to read (`stepward.formats.read`).
        to: The file to write; what can't be converted goes to `rejected_path(to)`, row by row with its reason.
        source_format: The source's format; guessed if not given.
        to_format: The format to write.
        choices: What to decide where `to_format` can't hold what a record says.
        strict: Refuse the source at its first bad row, and the first record that can't be written.
        on_start: Is given the reading before the first row is converted.

    Raises:
        StepwardError: As reading and writing do.
    """
    named(to_format)  # better refused before the source is opened
    rejected = Rejected(rejected_path(to))
    with rejected:
        reading = read(source, source_format, strict=strict, on_fault=rejected.add)
        if on_start is not None:
            on_start(reading)

        def refuse(record: Record, reason: str) -> None:
            row = reading.row
            assert row is not None, "a record comes from a row"
            rejected.add(
                RowError(str(row.file), row.number, "", f"{to_format} can't hold it: {reason}", row_text(row.fields))
            )

        written = write(reading, to, to_format, choices=choices, on_refusal=None if strict else refuse)
    return ConversionReport(reading, written, rejected.path if rejected.count else None)


def rejected_path(to: Path) -> Path:
    """Where rows go that can't be converted: `OUT.rejected.jsonl`, such as `steps.parquet.rejected.jsonl`."""
    return to.with_name(f"{to.name}.rejected.jsonl")


class Rejected:
    """The file of rows that were set aside; it is there only where there are any, also after an error.

    Args:
        path: The file; an older one is removed.

    Attributes:
        count: How many faults it holds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "Rejected":
        with contextlib.suppress(OSError):
            self.path.unlink()
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, fault: RowError) -> None:
        """Write one fault."""
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("wb")
            self._file.write(orjson.dumps(_row(fault), option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            raise write_error(self.path, error) from error
        self.count += 1


def _row(fault: RowError) -> dict[str, Any]:
    # A half surrogate, which may be why the row is here, is written as its escape.
    text = fault.text.encode("utf-8", "backslashreplace").decode()
    reason = fault.reason.encode("utf-8", "backslashreplace").decode()
    field = fault.field.encode("utf-8", "backslashreplace").decode()
    return {"file": fault.file, "row": fault.row, "field": field, "reason": reason, "text": text}
