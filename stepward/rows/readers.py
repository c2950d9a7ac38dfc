"""The rows of one file, as a stream: JSON lines, a JSON array or Parquet; plain, gzip or zstandard.

Memory stays flat whatever the file holds: a line is read up to `MAX_ROW_BYTES` bytes and passed over from there, an
array is parsed object by object, and Parquet is read in batches.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from stepward.errors import StepwardError
from stepward.hub import not_found
from stepward.rows.errors import ErrorCollector
from stepward.rows.json_array import CHUNK, JsonArrayStream
from stepward.rows.strict_json import MAX_ROW_BYTES, MAX_SCAN_BYTES, Named, as_row, parse_line, value_faults

_TEXT_SUFFIXES = [f"{name}{packed}" for name in (".jsonl", ".json", ".ndjson") for packed in ("", ".gz", ".zst")]

SUFFIXES = (*_TEXT_SUFFIXES, ".parquet")
"""How the names of files that can be read end."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BATCH = 1024


class SourceRow(NamedTuple):
    """One row.

    Attributes:
        file: The file it stands in.
        number: Its line number, or its place in an array or table, from 1.
        fields: Its object.
    """

    file: Path
    number: int
    fields: dict[str, Any]


class ReadProgress:
    """How far reading has come, in bytes as they lie on the disc, for a progress bar.

    Attributes:
        total: Bytes of all files; 0 where it is not known.
    """

    def __init__(self) -> None:
        self.total = 0
        self._before = 0
        self._size = 0
        self._position: Callable[[], int] = lambda: 0

    def start(self, size: int, position: Callable[[], int]) -> None:
        """Go on to the next file, of so many bytes, where `position` tells how many of them are read."""
        self._position = position
        self._size = size

    def finish(self) -> None:
        """The file is read to its end."""
        self._before += self._size
        self._position = lambda: 0

    @property
    def done(self) -> int:
        """Bytes read so far."""
        return self._before + self._position()


def read_rows(path: Path, bad: ErrorCollector, meter: ReadProgress | None = None) -> Iterator[SourceRow]:
    """Read one file's rows.

    A name that ends in `.json` may hold lines or an array, as files are published as both. Lines of white space hold
    no row. A byte order mark before the first row is passed over.

    Args:
        path: The file, its name ending in one of `SUFFIXES`.
        bad: Takes what is wrong with rows that can't be read: not UTF-8, not a JSON object, a repeated key, NaN, an
            infinity, NUL, half a surrogate pair, more than `MAX_ROW_BYTES` bytes. Where an array's text stops being
            JSON, or a packed file ends too soon, reading stops and that is a fault too.
        meter: Is kept informed of how far reading has come.

    Yields:
        Each row that can be.

    Raises:
        StepwardError: The file is missing or can't be opened, its name's ending is unknown, or it holds no rows.
    """
    if not path.exists():
        raise not_found(path, "file")
    if not path.name.endswith(SUFFIXES):
        message = f"{path}: unknown kind of file; expected a name that ends in one of {', '.join(SUFFIXES)}"
        raise StepwardError(message, code="unknown_name", file=path)
    before = bad.count
    empty = True
    meter = meter or ReadProgress()
    try:
        rows = _parquet_rows(path, bad, meter) if path.suffix == ".parquet" else _json_rows(path, bad, meter)
        for row in rows:
            empty = False
            yield row
            yield from rows  # the rest: nothing is to be done between two rows
        meter.finish()
    except OSError as error:
        message = f"{path}: can't be read ({error.strerror or error}); expected a readable file"
        raise StepwardError(message, code="unreadable", file=path) from None
    if empty and bad.count == before:
        message = f"{path}: the file holds no rows; expected one JSON object a line, an array of them, or Parquet"
        raise StepwardError(message, code="empty", file=path)


def _unpacked(path: Path, file: IO[bytes]) -> IO[bytes]:
    """The file's bytes, unpacked where its name ends in `.gz` or `.zst`."""
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.GzipFile(fileobj=file), CHUNK)
    if path.suffix == ".zst":
        import pyarrow as pa

        # Not the zstandard library's reader: to that one a file that was cut off is whole.
        unpacker = pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
        return io.BufferedReader(unpacker, CHUNK)
    return file


def _json_rows(path: Path, bad: ErrorCollector, meter: ReadProgress) -> Iterator[SourceRow]:
    try:
        with path.open("rb", buffering=CHUNK) as opened, _unpacked(path, opened) as file:
            meter.start(path.stat().st_size, opened.tell)
            start = _start(file)
            yield from _array_rows(path, file, bad) if start == b"[" else _line_rows(path, file, bad)
    except (EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disc's, not the packing's
        number = bad.position(path) + 1
        bad.set_position(path, number, "")
        reason = f"the file can't be unpacked from here on ({error}); expected a whole {path.suffix}"
        bad.record(number, "", reason, "unreadable")


def _start(file: IO[bytes]) -> bytes:
    """The first byte that is neither white space nor a byte order mark; the file is left where it was."""
    peeked: bytes = file.peek(64)  # type: ignore[attr-defined]
    return peeked.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1]


def _line_rows(path: Path, file: IO[bytes], bad: ErrorCollector) -> Iterator[SourceRow]:
    start = 0
    number = 0
    while raw := file.readline(MAX_ROW_BYTES + 1):
        number += 1
        if len(raw) > MAX_ROW_BYTES:
            length = _pass_over(file, raw)
            bad.set_position(path, number, raw[:1000])
            rest = "; the rest of the file was not read" if length > MAX_SCAN_BYTES else ""
            reason = f"the row has more than {MAX_ROW_BYTES:,} bytes ({length:,}){rest}; expected a shorter one"
            bad.record(number, "", reason, "too_large")
            start += length
            if rest:
                return
            continue
        if number == 1 and raw.startswith(_BYTE_ORDER_MARK):
            raw, start = raw.removeprefix(_BYTE_ORDER_MARK), start + len(_BYTE_ORDER_MARK)
        if not raw.isspace():
            bad.set_position(path, number, raw)
            row, faults = parse_line(raw, start)
            if _usable(row, number, faults, bad):
                yield SourceRow(path, number, row)  # type: ignore[arg-type]
        start += len(raw)


def _pass_over(file: IO[bytes], raw: bytes) -> int:
    """Reads to the end of a line whose start is read; its length, or more than `MAX_SCAN_BYTES` without an end."""
    length = len(raw)
    while not raw.endswith(b"\n") and length <= MAX_SCAN_BYTES and (raw := file.readline(CHUNK)):
        length += len(raw)
    return length


def _array_rows(path: Path, file: IO[bytes], bad: ErrorCollector) -> Iterator[SourceRow]:
    text = JsonArrayStream(file)
    number = 0
    try:
        text.skip_space()
        text.advance(1)  # the bracket
        while True:
            text.skip_space()
            if text.next == "]" and number == 0:
                break
            number += 1
            value, faults = text.value()
            bad.set_position(path, number, value)
            row, faults = as_row(value, faults)
            if _usable(row, number, faults, bad):
                yield SourceRow(path, number, row)  # type: ignore[arg-type]
            text.skip_space()
            if text.next != ",":
                break
            text.advance(1)
        text.end()
    except ValueError as error:
        bad.set_position(path, max(number, 1), text.start)
        bad.record(max(number, 1), "", f"not JSON ({error}); the rows after it were not read", "unreadable")


def _parquet_rows(path: Path, bad: ErrorCollector, meter: ReadProgress) -> Iterator[SourceRow]:
    import pyarrow as pa

    from stepward.rows.parquet import TooLarge, parquet_pieces, row_count

    number = 0
    try:
        size, rows = path.stat().st_size, max(row_count(path), 1)
        meter.start(size, lambda: size * number // rows)
        for piece in parquet_pieces(path):
            if isinstance(piece, TooLarge):
                bad.set_position(path, number + 1, "")
                bad.record(number + 1, "", piece.reason, "too_large")
                number += piece.rows
                continue
            for row in piece:
                number += 1
                bad.set_position(path, number, row)
                if _usable(row, number, value_faults(row), bad):
                    yield SourceRow(path, number, row)
    except (pa.ArrowException, UnicodeDecodeError, OSError, StepwardError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disc's, not the file's
        bad.set_position(path, number + 1, "")
        reason = f"can't be read from here on ({error}); expected a whole Parquet file in UTF-8"
        bad.record(number + 1, "", reason, "unreadable")


def _usable(row: dict[str, Any] | None, number: int, faults: list[Named], bad: ErrorCollector) -> bool:
    """Whether a row is there and has no fault; its faults are noted."""
    for fault in faults:
        bad.record(number, *fault)
    return row is not None and not faults
