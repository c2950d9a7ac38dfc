"""Parquet in little memory: small files that stand for gigabytes, and honest ones that are read whole."""

import datetime
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading_memory import MEGABYTE, measured

from stepward.rows import ErrorCollector, read_rows
from stepward.rows.parquet_pages import read_pages
from stepward.rows.strict_json import MAX_ROW_BYTES


def repeated(value: str, times: int) -> pa.Array:
    """One text many times, of which the file holds one."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(times, np.int32)), pa.array([value]))


def lists(lengths: list[int], values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.cumsum([0, *lengths]), pa.int32()), values)


BOMBS: dict[str, tuple[Any, dict[str, Any], int, int]] = {
    # column, options of the writer, rows that are read, faults
    "a megabyte a thousand times": (lambda: repeated("x" * MEGABYTE, 1024), {}, 1024, 0),
    "a row that is too long, a hundred times": (lambda: repeated("x" * (MAX_ROW_BYTES + 1), 100), {}, 0, 100),
    "a list of a thousand megabytes": (lambda: lists([1000, 1], repeated("x" * MEGABYTE, 1001)), {}, 1, 1),
    "changes to a megabyte": (
        lambda: pa.array(["x" * MEGABYTE] * 200),
        {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"}, 200, 0,
    ),
    "a list of twenty million nulls": (lambda: lists([20_000_000, 0], pa.nulls(20_000_000, pa.int8())), {}, 0, 1),
    "a list of four million nulls": (lambda: lists([0, 4_000_000, 0], pa.nulls(4_000_000, pa.int8())), {}, 3, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_of_large_rows_takes_little_memory(tmp_path: Path, name: str) -> None:
    column, options, rows, faults = BOMBS[name]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": column()}), path, compression="zstd", **options)
    assert path.stat().st_size < 20_000
    found, said = measured(path, most=350)
    assert (found, len(said)) == (rows, faults)


@pytest.mark.slow
@pytest.mark.parametrize("texts", [1, 300], ids=str)
def test_pages_of_three_hundred_megabytes_are_not_unpacked(tmp_path: Path, texts: int) -> None:
    path = tmp_path / "rows.parquet"
    column = pa.array([f"{number:03}" + "x" * (300 * MEGABYTE // texts) for number in range(texts)])
    pq.write_table(pa.table({"a": column}), path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 100_000
    rows, ((row, code, reason),) = measured(path)
    assert (rows, row, code) == (0, 1, "too_large") and f"{texts:,} rows" in reason


@pytest.mark.slow
def test_a_row_group_of_half_a_gigabyte_in_small_rows_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    column = pa.array([f"{number:07}" + "x" * 1000 for number in range(500_000)])
    pq.write_table(pa.table({"a": column}), path, compression="zstd", use_dictionary=False, row_group_size=500_000)
    assert measured(path, most=350) == (500_000, [])


def read(path: Path) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    bad = ErrorCollector(path)
    rows = [row.fields for row in read_rows(path, bad)]
    return rows, [(fault.row, fault.code) for fault in bad.faults]


def test_a_group_whose_pages_are_too_large_is_passed_over_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many pages may come to more than one may: here four of 1 MB, of which each is small enough."""
    monkeypatch.setattr("stepward.rows.parquet.LARGEST_PAGES", 2 * MEGABYTE)
    path = tmp_path / "rows.parquet"
    many = [f"{number:06}" + "x" * 994 for number in range(4_000)]
    options: dict[str, Any] = {"use_dictionary": False, "compression": "zstd"}
    with pq.ParquetWriter(path, pa.schema({"a": pa.string()}), **options) as writer:
        for rows in (many, ["y" * (3 * MEGABYTE), "z"], ["last"]):
            writer.write_table(pa.table({"a": rows}))
    found, faults = read(path)
    assert [row["a"] for row in found] == [*many, "last"]
    assert faults == [(4_001, "too_large")]


@pytest.mark.parametrize(("column", "faults"), [
    (pa.nulls(5_000, pa.list_(pa.int8())), 0), (pa.array([[]] * 5_000, pa.list_(pa.int8())), 0),
    (lists([3] * 5_000, pa.array(range(15_000))), 0), (lists([9_000, *[0] * 999], pa.nulls(9_000, pa.int8())), 1),
], ids=["nulls", "empty", "short", "long"])  # fmt: skip
def test_rows_without_a_list_count_as_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: Any, faults: int
) -> None:
    monkeypatch.setattr("stepward.rows.parquet.MOST_VALUES", 0)
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": column}), path)
    rows, said = read(path)
    assert rows == ([] if faults else [{"a": value} for value in column.to_pylist()])
    assert said == [(1, "too_large")] * faults


TABLE = pa.table({
    "text": ["a", None, "", "ä" * 5, "b"] * 200,
    "large": pa.array(["a", "b", None, "c", "d"] * 200, pa.large_string()),
    "words": [["x", None], None, [], ["y"], ["z"] * 40] * 200,
    "nested": [[["a"], []], None, [[]], [None, ["b"]], []] * 200,
    "map": pa.array([[("k", "v")], None, [], [("a", "b"), ("c", None)], []] * 200, pa.map_(pa.string(), pa.string())),
    "struct": [{"a": "k", "b": [1.5]}, None, {"a": None, "b": None}, {"a": "", "b": []}, {"a": "l", "b": [2.0]}] * 200,
    "pair": pa.array([[1, 2], None, [3, None], [5, 6], [7, 8]] * 200, pa.list_(pa.int64(), 2)),
    "label": [1.0, 0.0, None, 0.5, 1.0] * 200,
    "flag": [True, None, False, True, True] * 200,
    "whole": list(range(1000)),
    "none": pa.nulls(1000),
    "few": pa.array(["u", "v", None, "u", "w"] * 200).dictionary_encode(),
})  # fmt: skip


@pytest.mark.parametrize("piece", [2**25, 1000], ids=["pieces of many rows", "pieces of few"])
@pytest.mark.parametrize("options", [
    {}, {"use_dictionary": False}, {"row_group_size": 300}, {"data_page_version": "2.0", "data_page_size": 500},
    {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY", "large": "DELTA_LENGTH_BYTE_ARRAY"}},
], ids=range(5))  # fmt: skip
def test_tables_of_every_shape_come_as_pyarrow_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], piece: int
) -> None:
    monkeypatch.setattr("stepward.rows.parquet._PIECE", piece)
    path = tmp_path / "rows.parquet"
    table = TABLE.drop_columns(["map"])
    pq.write_table(table, path, **options)
    assert read(path) == (table.to_pylist(), [])


def test_rows_that_json_cannot_say_are_measured_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    columns = [
        pa.array([b"ab", None], pa.binary(2)), pa.array([b"ab", None], pa.binary_view()),
        pa.array(["ab", None], pa.string_view()),
        pa.array([datetime.datetime(2024, 1, 2), None]), pa.array([decimal.Decimal(1), None]), TABLE["map"][:2],
    ]  # fmt: skip
    pq.write_table(pa.table(columns, names=list("abcdef")), path)
    rows, faults = read(path)
    assert rows == [dict.fromkeys("abcdef")] and {row for row, _ in faults} == {1}
    assert len(faults) == 5  # text is one that it can say


def test_a_flipped_bit_is_found_where_pages_have_checksums(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": ["abcdefgh"] * 3 + ["q"]}), path, write_page_checksum=True, compression="none")
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"abcdefgh")] ^= 1
    path.write_bytes(raw)
    assert read(path) == ([], [(1, "unreadable")])


@pytest.mark.parametrize("at", range(4, 60, 4))
def test_damaged_page_headers_are_a_fault_or_nothing(tmp_path: Path, at: int) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": ["abcdefgh"] * 3 + ["q"]}), path, compression="none")
    raw = bytearray(path.read_bytes())
    raw[at : at + 2] = b"\xff\xff"
    path.write_bytes(raw)
    rows, faults = read(path)
    assert len(rows) + len(faults) >= 1 and {code for _, code in faults} <= {"unreadable", "too_large", "bad_value"}


def test_pages_are_counted_as_their_headers_say(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    values = [f"{number:05}" for number in range(10_000)]
    pq.write_table(pa.table({"a": values}), path, compression="none", use_dictionary=False, data_page_size=10_000)
    chunk = pq.read_metadata(path).row_group(0).column(0)
    with path.open("rb") as file:
        pages = read_pages(file, chunk.data_page_offset, chunk.total_compressed_size)
    assert pages.values == 10_000 and pages.dictionary == 0
    assert 9_000 < pages.largest < 20_000  # of 90,000 bytes in all
