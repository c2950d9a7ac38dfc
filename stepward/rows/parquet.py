"""The rows of a Parquet file in little memory, whatever it holds: a kilobyte of it can stand for gigabytes of rows.

Three things make it so. Pages are packed: one that unpacks to too much is not read. A dictionary holds a text once
for many rows: texts stay in it until their row is made. A list may be billions of times the same value: rows are
measured before they are made.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stepward.rows.parquet_pages import Pages, read_pages
from stepward.rows.strict_json import MAX_ROW_BYTES

LARGEST_PAGES = 2**28
"""Bytes that the pages of all columns may come to that are in memory at once."""

MOST_VALUES = 2**22
"""Values of lists that a row group may have whatever its size, beside `VALUES_A_BYTE` for each byte and one a row."""

VALUES_A_BYTE = 64

_GATHERED = 2**26
_MOST_ROWS = 2**24  # that count as such; more of them cost a file nothing
_BATCH = 1024
_PIECE = 2**25  # bytes of rows that are made at once
_TEXTS = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
)  # fmt: skip
_READ: dict[str, Any] = {"buffer_size": 2**20, "page_checksum_verification": True}
_VALUE = 2  # bytes of a number, true, false or null as JSON, at least


class TooLarge(NamedTuple):
    """Rows that are not made.

    Attributes:
        rows: How many.
        reason: Why.
    """

    rows: int
    reason: str


def row_count(path: Path) -> int:
    """How many rows a Parquet file has, by its footer."""
    count: int = pq.read_metadata(path).num_rows
    return count


def parquet_pieces(path: Path) -> Iterator[list[dict[str, Any]] | TooLarge]:
    """The rows of a Parquet file in order, a few at a time, or why some can't be made.

    Raises:
        pyarrow.ArrowException: The file is no whole Parquet file. So does StepwardError.
    """
    metadata = pq.read_metadata(path)
    with path.open("rb") as raw:
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            if not group.num_rows:
                continue
            columns = [_Column.of(metadata, number, index, raw) for index in range(metadata.num_columns)]
            if reason := next(_limits_passed(group.num_rows, columns), ""):
                said = f"{group.num_rows:,} rows from here on can't be read: {reason}; write it with smaller row groups"
                yield TooLarge(group.num_rows, said)
                continue
            texts = [column.path for column in columns if column.stays]
            with pq.ParquetFile(path, metadata=metadata, read_dictionary=texts, **_READ) as file:
                size = _batch_size(group, columns)
                for batch in file.iter_batches(batch_size=size, row_groups=[number]):
                    yield from _pieces(batch)


class _Column(NamedTuple):
    """A column of one row group."""

    path: str
    pages: Pages
    size: int  # of all pages, unpacked
    width: int  # of a value, where all have the same
    listed: bool
    stays: bool  # whether its texts are left in their dictionary
    longest: int  # bytes of the longest value that many rows may repeat

    @staticmethod
    def of(metadata: Any, number: int, index: int, raw: IO[bytes]) -> "_Column":
        column, chunk = metadata.schema.column(index), metadata.row_group(number).column(index)
        start = min(chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset)
        pages = read_pages(raw, start, chunk.total_compressed_size)
        texts = column.physical_type == "BYTE_ARRAY" and column.logical_type.type != "DECIMAL"
        # pyarrow can't where changes are written, and gathers texts that are not in the dictionary to the group's end.
        changes = any("DELTA" in encoding for encoding in chunk.encodings)
        stays = texts and not changes and pages.plain <= _GATHERED
        longest = 0 if stays or not texts else pages.held if changes else pages.dictionary
        return _Column(
            column.path, pages, chunk.total_uncompressed_size, column.length, column.max_repetition_level > 0,
            stays, longest,
        )  # fmt: skip


def _limits_passed(rows: int, columns: list[_Column]) -> Iterator[str]:
    """Why a row group's rows can't be made in little memory."""
    held = sum(column.pages.held for column in columns)
    if held > LARGEST_PAGES:
        yield f"pages of their row group unpack to {held:,} bytes at once, expected at most {LARGEST_PAGES:,}"
    for column in columns:
        if column.width > MAX_ROW_BYTES:
            yield f"a value of column {column.path} has {column.width:,} bytes, expected at most {MAX_ROW_BYTES:,}"
        most = MOST_VALUES + VALUES_A_BYTE * column.size + min(rows, _MOST_ROWS)
        if column.listed and column.pages.values > most:
            yield f"the lists of column {column.path} have {column.pages.values:,} values, expected at most {most:,}"


def _batch_size(group: Any, columns: list[_Column]) -> int:
    """How many rows are unpacked at once."""
    a_row = group.total_byte_size // group.num_rows
    for column in columns:
        values = -(-column.pages.values // group.num_rows)
        a_row += values * max(column.longest, column.width, 8)
    return int(max(1, min(_BATCH, _PIECE // max(a_row, 1))))


def _pieces(batch: pa.RecordBatch) -> Iterator[list[dict[str, Any]] | TooLarge]:
    """A batch's rows, as many at a time as `_PIECE` allows; those that are too long by themselves."""
    sizes = sum((_sizes(column) for column in batch.columns), np.zeros(batch.num_rows, np.int64))
    start = 0
    while start < batch.num_rows:
        if sizes[start] > MAX_ROW_BYTES:
            reason = f"the row has more than {MAX_ROW_BYTES:,} bytes ({sizes[start]:,}); expected a shorter one"
            yield TooLarge(1, reason)
            start += 1
            continue
        over = (np.cumsum(sizes[start:]) > _PIECE) | (sizes[start:] > MAX_ROW_BYTES)
        stop = start + int(over.argmax()) if over.any() else batch.num_rows
        yield _decoded(batch.slice(start, stop - start)).to_pylist()
        start = stop


def _decoded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with its texts out of their dictionaries, which pyarrow then makes rows of four times as fast."""
    plain = [one.dictionary_decode() if pa.types.is_dictionary(one.type) else one for one in batch.columns]
    return pa.RecordBatch.from_arrays(plain, names=batch.schema.names)


def _sizes(array: pa.Array) -> Any:
    """Bytes of each value, about as JSON has them, without making it: numpy's int64."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _sizes(array.storage)
    if pa.types.is_dictionary(kind):
        of_texts = _sizes(array.dictionary)
        places = array.indices.fill_null(0).to_numpy(zero_copy_only=False)
        return of_texts[places] if len(of_texts) else np.full(len(array), _VALUE)
    if pa.types.is_struct(kind):
        parts = [_sizes(array.field(index)) for index in range(kind.num_fields)]
        return sum(parts, np.full(len(array), _VALUE, np.int64))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        offsets = array.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
        inner = _sizes(array.keys) + _sizes(array.items) if pa.types.is_map(kind) else _sizes(array.values)
        ends = np.concatenate([[0], np.cumsum(inner)])
        return ends[offsets[1:]] - ends[offsets[:-1]] + _VALUE
    if pa.types.is_fixed_size_list(kind):
        inner = _sizes(array.values)[array.offset * kind.list_size :][: len(array) * kind.list_size]
        return inner.reshape(len(array), kind.list_size).sum(axis=1) + _VALUE
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return _sizes(array.cast(pa.large_binary()))
    if any(of_kind(kind) for of_kind in _TEXTS):
        lengths = pc.binary_length(array).fill_null(0)
        return lengths.to_numpy(zero_copy_only=False).astype(np.int64) + _VALUE
    return np.full(len(array), _VALUE, np.int64)
