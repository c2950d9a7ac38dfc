"""Reading a source in any known format, as a stream: each row a record, or set aside with its reason."""

import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from stepward.errors import StepwardError
from stepward.formats.base import Format, Record
from stepward.formats.registry import FORMATS, guess, guess_source, named
from stepward.rows import ErrorCollector, InvalidRow, ReadProgress, RowError, SourceRow, iter_rows, pinned_source


class RecordReader(Iterator[Record]):
    """The records of a source, in order; what can't be used is set aside, counted, and said at the end.

    Attributes:
        source: What is read; for a run, with the kind of labels that was taken.
        format: The format, named or guessed.
        guessed: Whether it was guessed.
        bad: The rows that were set aside so far.
        rows: How many rows became records so far.
        row: The row that the last record was read from.
        meter: How far reading has come.
    """

    def __init__(
        self, source: Path | str, form: Format | None, strict: bool, sink: Callable[[RowError], None] | None
    ) -> None:
        self.source = source
        self.guessed = form is None
        self.bad = ErrorCollector(source, sink)
        self.rows = 0
        self.meter = ReadProgress()
        self.row: SourceRow | None = None
        self._strict = strict
        self._quiet = sink is not None
        form = form or guess_source(source)
        if form is not None and form.rows is not None:
            self.source, rows = form.rows(source)
        else:
            self.source = source = pinned_source(source) if isinstance(source, str) else source
            rows = iter_rows(source, self.bad, self.meter)
        if form is None:
            first = next(rows, None)
            if first is None:
                self.bad.raise_if_any()
                raise StepwardError(f"{source}: no rows in it", code="empty", file=source)
            form = _guessed(source, first)
            rows = chain([first], rows)
        self.format = form
        self._rows = rows

    def __next__(self) -> Record:
        """The next row's record."""
        read = self.format.read
        for row in self._rows:
            if self._strict and self.bad.count:
                self.bad.raise_if_any()
            try:
                record = read(row)
            except InvalidRow as fault:
                self.bad.set_position(row.file, row.number, row.fields)
                self.bad.record(row.number, fault.field, fault.reason, fault.code)
                continue
            self.rows += 1
            self.row = row
            return record
        if self._strict:
            self.bad.raise_if_any()
        self._warn()
        raise StopIteration

    def _warn(self) -> None:
        """Says once what was set aside, unless somebody is told of each row."""
        if self.bad.count and not self._quiet:
            self._quiet = True
            warnings.warn("\n".join([*self.bad.summary(), "They were set aside."]), stacklevel=3)


def read(
    path: Path | str,
    format: str | None = None,
    *,
    strict: bool = False,
    on_fault: Callable[[RowError], None] | None = None,
) -> RecordReader:
    """Read records from a file, folder, pattern or hub data set.

    Args:
        path: The source (`stepward.rows.iter_rows` says what it can be), or a run's folder.
        format: One of `FORMATS`; guessed from the source or its first row if not given.
        strict: Refuse the source at its first bad row, instead of setting such rows aside.
        on_fault: Is told of each row that is set aside. Without it a warning names the first ones at the end.

    Returns:
        An iterator of records, one for each good row: LabelledSolutions, Preferences or Problems, and from Stepward's
        own files any record.

    Raises:
        StepwardError: Nothing is there, it can't be opened, its format is unknown, or (`strict`) a row is bad.
    """
    return RecordReader(path, None if format is None else named(format), strict, on_fault)


def _guessed(source: Path | str, row: SourceRow) -> Format:
    found = guess(row.fields)
    if found is None:
        raise StepwardError(
            f"{source}: row {row.number}: no known format has the fields {', '.join(row.fields) or '(none)'}; name the "
            f"format if it is one of {', '.join(FORMATS)}, or mend the fields (docs/formats.md)",
            code="ambiguous",
            file=source,
            row=row.number,
        )
    return found
