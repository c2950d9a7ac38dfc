"""Files that are too large, cut off or of another shape: memory stays flat, reading ends, and each fault is said."""

import datetime
import decimal
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from raising import refused
from reading_memory import GOOD, MEGABYTE, measured

from stepward import formats
from stepward.rows import ErrorCollector, ReadProgress, read_rows
from stepward.rows.strict_json import DEEPEST, MAX_ROW_BYTES, MAX_SCAN_BYTES


def repeated(path: Path, member: bytes, times: int, before: bytes = b"", after: bytes = b"") -> Path:
    """A packed file of the same member many times over: small on the disc, huge when it is unpacked."""
    pack = gzip.compress if path.suffix == ".gz" else zstandard.ZstdCompressor().compress
    packed = pack(member)
    with path.open("wb") as file:
        file.write(pack(before) if before else b"")
        for _ in range(times):
            file.write(packed)
        file.write(pack(after) if after else b"")
    return path


@pytest.mark.parametrize(
    ("name", "filler"),
    [pytest.param("rows.jsonl.gz", b"\0", marks=pytest.mark.slow), ("rows.jsonl.zst", b" ")],
    ids=["zeros", "spaces"],
)
def test_a_row_of_ten_gigabytes_ends_reading(tmp_path: Path, name: str, filler: bytes) -> None:
    path = repeated(tmp_path / name, filler * (100 * MEGABYTE), 100, before=GOOD, after=GOOD)
    assert path.stat().st_size < 15 * MEGABYTE
    rows, ((row, code, reason),) = measured(path)
    assert (rows, row, code) == (1, 2, "too_large"), "the row behind it is not read"
    assert f"{MAX_ROW_BYTES:,}" in reason


@pytest.mark.parametrize(
    ("before", "filler"), [(b'[{"a": 1}, {"a": "', b"x"), (b'[{"a": 1}, ', b"[")], ids=["text", "brackets"]
)
def test_an_array_without_an_end_ends_reading(tmp_path: Path, before: bytes, filler: bytes) -> None:
    path = repeated(tmp_path / "array.json.gz", filler * (100 * MEGABYTE), 100, before=before)
    found, ((row, code, reason),) = measured(path)
    assert (found, row, code) == (1, 2, "unreadable")
    assert f"{MAX_ROW_BYTES:,}" in reason


@pytest.mark.parametrize(("before", "rows"), [(b"[", 0), (b'[{"a": 1},', 1), (b'[{"a": 1}]', 1)], ids=range(3))
def test_white_space_without_an_end_in_an_array_ends_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bytes, rows: int
) -> None:
    monkeypatch.setattr("stepward.rows.json_array.MAX_SCAN_BYTES", MEGABYTE)
    path = repeated(tmp_path / "array.json.gz", b" " * MEGABYTE, 3, before=before)
    found, ((_, code, reason),) = faults_of(path)
    assert (len(found), code) == (rows, "unreadable") and f"{MEGABYTE:,}" in reason


@pytest.mark.slow
def test_ten_gigabytes_of_white_space_in_an_array_end_reading(tmp_path: Path) -> None:
    path = repeated(tmp_path / "array.json.gz", b" " * (100 * MEGABYTE), 100, before=b"[")
    rows, ((row, code, reason),) = measured(path)
    assert (rows, row, code) == (0, 1, "unreadable") and f"{MAX_SCAN_BYTES:,}" in reason


@pytest.mark.slow
def test_ten_gigabytes_of_rows_are_read_in_little_memory(tmp_path: Path) -> None:
    line = b'{"a": "' + b"x" * MEGABYTE + b'"}\n'
    path = repeated(tmp_path / "rows.jsonl.gz", line * 100, 100, after=b"oops\n")
    rows, ((row, code, _),) = measured(path)
    assert (rows, row, code) == (10_000, 10_001, "unreadable")


@pytest.mark.parametrize(
    "name", [pytest.param("rows.jsonl.gz", marks=pytest.mark.slow), "rows.jsonl.zst", "array.json.gz"]
)
def test_many_large_rows_are_read_in_little_memory(tmp_path: Path, name: str) -> None:
    line = b'{"a": "' + b"x" * MEGABYTE + b'"}'
    if name.startswith("array"):
        path = repeated(tmp_path / name, (line + b",") * 100, 2, before=b"[", after=b"7]")
    else:
        path = repeated(tmp_path / name, (line + b"\n") * 100, 2, after=b"7\n")
    rows, ((row, code, _),) = measured(path)
    assert (rows, row, code) == (200, 201, "wrong_type")


def test_many_rows_that_are_too_long_are_each_set_aside(tmp_path: Path) -> None:
    long = b'{"a": "' + b"x" * (MAX_ROW_BYTES + 1) + b'"}\n'
    rows, faults = measured(repeated(tmp_path / "rows.jsonl.gz", long + GOOD, 20))
    assert rows == 20
    assert [(row, code) for row, code, _ in faults] == [(row, "too_large") for row in range(1, 40, 2)]
    assert all(f"{len(long):,}" in reason for *_, reason in faults)


@pytest.mark.parametrize("text", [b"x" * (50 * MEGABYTE), "\U0001f600".encode() * (13 * MEGABYTE)], ids=["x", "emoji"])
def test_a_row_of_fifty_megabytes_is_set_aside(tmp_path: Path, text: bytes) -> None:
    long = b'{"a": "' + text + b'"}\n'
    path = tmp_path / "rows.jsonl"
    path.write_bytes(GOOD + long + GOOD)
    rows, ((row, code, reason),) = measured(path)
    assert (rows, row, code) == (2, 2, "too_large")
    assert f"{MAX_ROW_BYTES:,}" in reason and f"{len(long):,}" in reason


def test_the_longest_row_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    frame = len(b'{"a": ""}\n')
    longest = b'{"a": "' + b"x" * (MAX_ROW_BYTES - frame) + b'"}\n'
    path.write_bytes(longest + longest.replace(b'""', b'"', 1) + longest[:-3] + b'x"}\n' + GOOD)
    bad = ErrorCollector(path)
    assert [row.number for row in read_rows(path, bad)] == [1, 2, 4]
    assert [(fault.row, fault.text[:10]) for fault in bad.faults] == [(3, '{"a": "xxx')]


def test_a_large_row_of_an_array_does_not_slow_the_rest(tmp_path: Path) -> None:
    """Rows behind a large one are found without moving all that was read with it."""
    path = tmp_path / "array.json"
    many = 60_000
    path.write_bytes(b'[{"a": "' + b"x" * (9 * MEGABYTE) + b'"},' + GOOD.replace(b"\n", b",") * many + b'{"a": 2}]')
    rows, faults = measured(path)
    assert (rows, faults) == (many + 2, [])


ROWS = [{"a": hashlib.sha256(str(number).encode()).hexdigest()} for number in range(20_000)]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)


def faults_of(path: Path) -> tuple[list[dict[str, Any]], list[tuple[int, str, str]]]:
    bad = ErrorCollector(path)
    rows = [row.fields for row in read_rows(path, bad)]
    return rows, [(fault.row, fault.code, fault.reason) for fault in bad.faults]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("kept", [-1, -5, 0.5, 8], ids=str)
def test_a_packed_file_that_was_cut_off_is_told_from_a_whole_one(tmp_path: Path, suffix: str, kept: float) -> None:
    packed = gzip.compress(LINES) if suffix == ".gz" else zstandard.ZstdCompressor().compress(LINES)
    path = tmp_path / f"rows.jsonl{suffix}"
    path.write_bytes(packed)
    assert faults_of(path) == (ROWS, [])
    path.write_bytes(packed[: int(len(packed) * kept) if isinstance(kept, float) else kept])
    rows, ((number, code, reason),) = faults_of(path)
    assert rows == ROWS[: number - 1] and number <= len(ROWS)
    assert code == "unreadable" and suffix in reason


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_several_members_are_one_file_and_other_bytes_behind_them_a_fault(tmp_path: Path, suffix: str) -> None:
    pack = gzip.compress if suffix == ".gz" else zstandard.ZstdCompressor().compress
    path = tmp_path / f"rows.jsonl{suffix}"
    path.write_bytes(pack(LINES) + pack(LINES))
    assert faults_of(path) == (ROWS * 2, [])
    path.write_bytes(pack(GOOD) + b"other bytes")
    rows, faults = faults_of(path)
    assert faults[0][1] == "unreadable" and rows in ([], [{"a": 1}])


def test_a_long_window_of_zstd_is_read(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27, enable_ldm=True)
    path = tmp_path / "rows.jsonl.zst"
    path.write_bytes(zstandard.ZstdCompressor(compression_params=parameters).compress(LINES))
    assert faults_of(path) == (ROWS, [])


@pytest.mark.parametrize("levels", [DEEPEST - 1, DEEPEST, 800, 1_100])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_only_rows_of_few_levels_are_read(tmp_path: Path, name: str, levels: int) -> None:
    path = tmp_path / name
    deep = b'{"a": ' + b"[" * levels + b"]" * levels + b"}"
    path.write_bytes(deep + b"\n" if name == "rows.jsonl" else b"[" + deep + b"]")
    rows, faults = faults_of(path)
    assert len(rows) == (levels < DEEPEST)  # the row itself is one more
    assert len(rows) + len(faults) == 1
    assert all(code == ("too_large" if levels < 1_000 else "unreadable") for _, code, _ in faults)


def parquet(path: Path, columns: dict[str, Any]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("value", "code", "held"),
    [
        (b"\xff\0", "wrong_type", "bytes"), (datetime.date(2024, 1, 2), "wrong_type", "date"),
        (datetime.datetime(2024, 1, 2), "wrong_type", "datetime"), (decimal.Decimal("1.5"), "wrong_type", "Decimal"),
        (float("nan"), "not_finite", "nan"), (float("inf"), "not_finite", "inf"), ("a\0b", "bad_value", "NUL"),
        ([{"b": [float("nan")]}], "not_finite", "nan"), (datetime.timedelta(1), "wrong_type", "timedelta"),
    ],
    ids=range(9),
)  # fmt: skip
def test_a_table_of_what_json_cannot_say_is_set_aside(tmp_path: Path, value: Any, code: str, held: str) -> None:
    path = parquet(tmp_path / "rows.parquet", {"a": [None, value, None], "b": [1, 2, 3]})
    rows, ((number, found, reason),) = faults_of(path)
    assert rows == [{"a": None, "b": 1}, {"a": None, "b": 3}]
    assert (number, found) == (2, code) and held in reason


def test_a_table_of_another_schema_is_set_aside_row_by_row(tmp_path: Path) -> None:
    path = parquet(tmp_path / "rows.parquet", {"text": ["a", "b"], "stars": [1, 2]})
    with refused("ambiguous", file=path, row=1, names=("text, stars",)):
        formats.read(path)
    reading = formats.read(path, "scan", on_fault=lambda fault: None)
    assert list(reading) == []
    assert [(fault.row, fault.field, fault.code) for fault in reading.bad.faults] == [
        (row, "question", "missing") for row in (1, 2)
    ]
    assert all("text, stars" in fault.reason for fault in reading.bad.faults)


def test_an_empty_table_and_a_table_that_is_none(tmp_path: Path) -> None:
    path = parquet(tmp_path / "rows.parquet", {"question": pa.array([], pa.string())})
    with refused("empty", file=path):
        faults_of(path)
    whole = parquet(path, {"question": ["q?"] * 5000}).read_bytes()
    for broken in (b"", GOOD, whole[:-1], whole[: len(whole) // 2], b"PAR1" + whole[4:-4][::-1] + b"PAR1"):
        path.write_bytes(broken)
        rows, faults = faults_of(path)
        assert rows == [] and faults[0][1] == "unreadable"


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.jsonl.zst", "rows.json", "rows.parquet"])
def test_the_meter_comes_to_the_files_size(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".parquet"):
        parquet(path, {"a": [row["a"] for row in ROWS]})
    else:
        content = b"[" + LINES[:-1].replace(b"\n", b",") + b"]" if name == "rows.json" else LINES
        pack = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}.get(path.suffix, bytes)
        path.write_bytes(pack(content))
    meter = ReadProgress()
    seen = [meter.done for _ in read_rows(path, ErrorCollector(path), meter)]
    assert seen == sorted(seen) and seen[-1] <= path.stat().st_size
    assert meter.done == path.stat().st_size
