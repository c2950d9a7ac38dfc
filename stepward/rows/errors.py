"""What is wrong with rows: gathered so that one message can name them, counted, and passed on as they are found.

A file may hold a million bad rows, so only the first are kept here; a `sink` is told of every one.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepward.errors import Code, StepwardError

SHOWN = 10
"""How many faults one message names; the rest are counted."""

KEPT = 1000
"""How many faults are kept in memory."""

LONGEST_TEXT = 20_000
"""Characters of a bad row's text that a fault carries; the file's row number tells where the rest is."""


class InvalidRow(Exception):
    """A row can't be used: raised by whoever reads it, caught by who set out to read the file.

    Args:
        field: The field at fault; empty for the whole row.
        reason: What is wrong, and what was expected.
        code: What kind of thing is wrong.
    """

    def __init__(self, field: str, reason: str, code: Code) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.code: Code = code


@dataclass(frozen=True, slots=True)
class RowError:
    """One thing wrong with one row.

    Attributes:
        file: The file.
        row: The row's line number, or its place in an array or table, from 1.
        field: The field; empty for the whole row.
        reason: What is wrong, and what was expected.
        text: The row's own text, or the start of a long one; empty where it is not known.
        code: What kind of thing is wrong.
    """

    file: str
    row: int
    field: str
    reason: str
    text: str = ""
    code: Code = "bad_value"

    def __str__(self) -> str:
        return f"row {self.row}, {f'field {self.field!r}: ' if self.field else ''}{self.reason}"


class ErrorCollector:
    """The rows that can't be used.

    Args:
        path: The file, or what was asked for where that is several files.
        sink: Is told of every fault as it is found.

    Attributes:
        path: As above.
        faults: The first `KEPT` faults.
        rows: How many rows have a fault.
        count: How many faults there are.
    """

    def __init__(self, path: Path | str, sink: Callable[[RowError], None] | None = None) -> None:
        self.path = path
        self.faults: list[RowError] = []
        self.rows = 0
        self.count = 0
        self._sink = sink
        self._file = path
        self._last: tuple[str, int] | None = None
        self._at: tuple[int, Any] = (0, "")

    def set_position(self, file: Path | str, row: int, raw: Any) -> None:
        """Say which row is being read: a fault of it then carries its text."""
        self._file = file
        self._at = (row, raw)

    def position(self, file: Path | str) -> int:
        """The row of a file that is being read; 0 before its first."""
        return self._at[0] if self._file == file else 0

    def record(self, row: int, field: str, reason: str, code: Code) -> None:
        """Note what is wrong with a row; `field` is empty where no one field is at fault."""
        text = row_text(self._at[1]) if self._at[0] == row else ""
        fault = RowError(str(self._file), row, field, reason, text, code)
        self.count += 1
        if (fault.file, row) != self._last:
            self.rows += 1
            self._last = (fault.file, row)
        if len(self.faults) < KEPT:
            self.faults.append(fault)
        if self._sink is not None:
            self._sink(fault)

    def raise_if_any(self) -> None:
        """Raise StepwardError if any row was bad."""
        if self.count:
            message = "\n".join([*self.summary(), "Mend or remove these rows, then run again."])
            raise StepwardError(message, code="bad_rows", file=self.path, faults=self.faults)

    def summary(self) -> list[str]:
        """What was wrong, in at most `SHOWN` + 2 lines; empty where nothing was."""
        if not self.count:
            return []
        several = len({fault.file for fault in self.faults}) > 1
        faults = sorted(self.faults, key=lambda fault: (fault.file, fault.row, fault.field))[:SHOWN]
        lines = [f"  {f'{fault.file}: ' if several else ''}{fault}" for fault in faults]
        if self.count > len(faults):
            lines.append(f"  and {self.count - len(faults):,} more")
        return [f"{self.path}: {self.rows:,} row{'s' if self.rows > 1 else ''} can't be used", *lines]


def row_text(raw: Any) -> str:
    """A row as a fault carries it: its line, or its fields as JSON; the start of a long one."""
    if isinstance(raw, bytes):
        text = raw[: 4 * LONGEST_TEXT].decode("utf-8", "backslashreplace").rstrip("\r\n")
    elif isinstance(raw, str):
        text = raw
    else:
        try:
            text = json.dumps(raw, ensure_ascii=False, default=str)
        except RecursionError:
            return "(nested too deeply to be shown)"
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} ... ({len(raw):,} in all)"
