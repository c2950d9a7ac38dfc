"""Strict reading of other people's JSON: every bad row is named, none is skipped, mended or guessed at.

Python's own reader takes NaN, lets the last of two equal keys win and passes NUL and half surrogates on, which
break far away in a table or a tokenizer. Here such a row is refused where it stands. Up to ten bad rows are
reported together, so that a file is mended once and not row by row.
"""

import gzip
import json
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepward.errors import StepwardError

SHOWN = 10
"""How many faults one message names; the rest are counted."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = re.compile(r"[ \t\r\n]*")

Fault = tuple[str, str]
"""The field (empty for the whole row), and what is wrong with it."""


@dataclass
class BadRows:
    """The rows of one file that can't be used, gathered so that one error can name them all.

    Attributes:
        path: The file.
        faults: Row (1-based), field (empty for the whole row) and what is wrong with it.
    """

    path: Path
    faults: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, row: int, field: str, fault: str) -> None:
        """Note what is wrong with a row; `field` is empty where no one field is at fault."""
        self.faults.append((row, field, fault))

    def refuse(self) -> None:
        """Raise StepwardError if any row was bad."""
        if not self.faults:
            return
        faults = sorted(self.faults)
        lines = [f"  row {row}, {f'field {name!r}: ' if name else ''}{fault}" for row, name, fault in faults[:SHOWN]]
        if len(faults) > SHOWN:
            lines.append(f"  and {len(faults) - SHOWN} more")
        rows = len({row for row, _, _ in faults})
        head = f"{self.path}: {rows} row{'s' if rows > 1 else ''} can't be used"
        raise StepwardError("\n".join([head, *lines, "Mend or remove these rows, then run again."]))


def read_jsonl(path: Path, bad: BadRows | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read JSON lines, one object a line; a path that ends in `.gz` is unpacked.

    Lines of white space hold no row. A byte order mark before the first row is passed over.

    Args:
        path: The file.
        bad: Takes the rows that can't be read, so that the caller can add its own and refuse them together.
            Without it the first bad row raises.

    Yields:
        The row's line number, from 1, and its object.

    Raises:
        StepwardError: The file is missing, can't be opened or unpacked, holds no rows, or (without `bad`) a row is
            not UTF-8, is not a JSON object, repeats a key, or holds NaN, an infinity, NUL or half a surrogate pair.
    """
    empty = True
    for number, start, raw in _lines(path):
        if not raw.strip():
            continue
        empty = False
        found = BadRows(path) if bad is None else bad
        row = _line_row(raw, number, start, found)
        if bad is None:
            found.refuse()
        if row is not None:
            yield number, row
    if empty:
        raise StepwardError(f"{path}: the file is empty; expected JSON lines, one object a line")


def read_rows(path: Path, bad: BadRows) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read a file of JSON lines or of one JSON array, whichever it starts as; `.json` files are published as both.

    Args:
        path: The file; one that ends in `.gz` is unpacked.
        bad: Takes the rows that can't be used. Where an array's text stops being JSON, reading stops.

    Yields:
        The row's line number, or its place in the array, from 1, and its object.

    Raises:
        StepwardError: The file is missing, can't be opened or unpacked, or holds no rows; an array is not UTF-8.
    """
    first = next((raw for _, _, raw in _lines(path) if raw.strip()), b"")
    is_array = first.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"[")
    return _array_rows(path, bad) if is_array else read_jsonl(path, bad)


def value_faults(value: Any) -> list[Fault]:
    """What no field may hold, as (field, what is wrong): NaN, infinities, NUL, half of a surrogate pair."""
    faults: list[Fault] = []
    pending: list[tuple[str, Any]] = [("", value)]
    while pending:
        where, part = pending.pop()
        if isinstance(part, dict):
            pending.extend((f"{where}.{key}" if where else str(key), inner) for key, inner in part.items())
            faults.extend((where, f"the key {key!r} holds {_broken(key)}") for key in part if _broken(key))
        elif isinstance(part, list):
            pending.extend((f"{where}[{index}]", inner) for index, inner in enumerate(part))
        elif isinstance(part, float) and not math.isfinite(part):
            faults.append((where, f"holds {part}; expected a finite number"))
        elif isinstance(part, str) and _broken(part):
            faults.append((where, f"holds {_broken(part)}; expected plain text"))
    return faults


def kind(value: Any) -> str:
    """The JSON name of a value's type, for messages."""
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def _lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Each line's number, the offset of its first byte in the (unpacked) file, and its bytes."""
    if not path.exists():
        raise StepwardError(f"{path}: no such file; check the path")
    start = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                yield number, start, raw
                start += len(raw)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise StepwardError(f"{path}: can't be unpacked ({error}); expected a whole gzip file") from None
    except OSError as error:
        raise StepwardError(f"{path}: can't be read ({error.strerror or error}); expected a readable file") from None


def _array_rows(path: Path, bad: BadRows) -> Iterator[tuple[int, dict[str, Any]]]:
    text = _whole_text(path)
    at = _skip(text, 0)
    first = _skip(text, at + 1)
    if text[first : first + 1] in ("", "]"):
        raise StepwardError(f"{path}: the array is empty; expected at least one object")
    number = 0
    while number == 0 or text[at : at + 1] == ",":
        number += 1
        try:
            row, end, faults = _parse(text, _skip(text, at + 1))
        except ValueError as error:
            bad.add(number, "", f"not JSON ({error}); the rows after it were not read")
            return
        at = _skip(text, end)
        if _note(row, number, faults, bad):
            yield number, row
    if text[at : at + 1] != "]" or _skip(text, at + 1) != len(text):
        bad.add(number, "", "not JSON: expected a comma, or the one bracket that ends the array, after this row")


def _whole_text(path: Path) -> str:
    raw = b"".join(line for _, _, line in _lines(path))
    start = len(_BYTE_ORDER_MARK) if raw.startswith(_BYTE_ORDER_MARK) else 0
    try:
        return raw[start:].decode("utf-8")
    except UnicodeDecodeError as error:
        offset = start + error.start
        line = raw.count(b"\n", 0, offset) + 1
        raise StepwardError(f"{path}: line {line}: {_broken_byte(raw[offset], offset)}") from None


def _line_row(raw: bytes, number: int, start: int, bad: BadRows) -> dict[str, Any] | None:
    """The line's object, or None once its faults are noted in `bad`."""
    if number == 1 and raw.startswith(_BYTE_ORDER_MARK):
        raw, start = raw.removeprefix(_BYTE_ORDER_MARK), start + len(_BYTE_ORDER_MARK)
    try:
        text = raw.decode("utf-8")
        row, end, faults = _parse(text, _skip(text, 0))
        if _skip(text, end) != len(text):
            raise ValueError(f"more text follows the object at character {end + 1}")
    except UnicodeDecodeError as error:
        bad.add(number, "", _broken_byte(raw[error.start], start + error.start))
        return None
    except ValueError as error:
        bad.add(number, "", f"not JSON ({error}); expected one object a line")
        return None
    return row if _note(row, number, faults, bad) else None


def _note(row: Any, number: int, faults: list[Fault], bad: BadRows) -> bool:
    """Note a row's faults in `bad`; whether it is a faultless object."""
    if not isinstance(row, dict):
        bad.add(number, "", f"expected a JSON object, found {kind(row)}")
        return False
    for name, fault in faults:
        bad.add(number, name, fault)
    return not faults


def _parse(text: str, at: int) -> tuple[Any, int, list[Fault]]:
    """The JSON value that starts at a character, where it ends, and its faults; ValueError where it is not JSON."""
    faults: list[Fault] = []
    try:
        value, end = json.JSONDecoder(object_pairs_hook=lambda pairs: _object(pairs, faults)).raw_decode(text, at)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value, end, faults + value_faults(value)


def _object(pairs: list[tuple[str, Any]], faults: list[Fault]) -> dict[str, Any]:
    """The object of the pairs; repeated keys are noted."""
    row: dict[str, Any] = {}
    for key, value in pairs:
        if key in row:
            faults.append((key, "the key stands twice; keep one"))
        row[key] = value
    return row


def _skip(text: str, at: int) -> int:
    """Where the JSON white space that starts at a character ends."""
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _broken_byte(byte: int, offset: int) -> str:
    return f"broken UTF-8: byte 0x{byte:02x} at offset {offset} of the file; save the file as UTF-8"


def _broken(text: str) -> str:
    """What a table or a tokenizer can't take of the text; empty where nothing is wrong."""
    if "\0" in text:
        return "a NUL character"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return f"half a surrogate pair ({text[error.start]!r})"
    return ""
