"""Strict reading: every bad row is named with its row and field."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.rows import ErrorCollector, read_rows
from stepward.rows.errors import SHOWN

GOOD = b'{"a": 1}\n'

BAD_LINES = [
    (b"{oops", "unreadable", "", ""),
    (b'{"a": 1} {"a": 2}', "unreadable", "", "character 9"),
    (b"[1, 2]", "wrong_type", "", "a list"),
    (b"null", "wrong_type", "", "null"),
    (b'{"a": {"b": [0, NaN]}}', "not_finite", "a.b[1]", "nan"),
    (b'{"a": -Infinity}', "not_finite", "a", "-inf"),
    (b'{"a": 1e999}', "not_finite", "a", "inf"),
    (b'{"a": 1, "a": 1}', "duplicate", "a", ""),
    (b'{"a": "x\\u0000y"}', "bad_value", "a", "NUL"),
    (b'{"a": "x\0y"}', "unreadable", "", ""),
    (b'{"a\\u0000": 1}', "bad_value", "", r"a\x00"),
    (b'{"a": "\\ud800"}', "bad_value", "a", r"\ud800"),
    (b'{"a": ' + b"9" * 5_000 + b"}", "unreadable", "", "4300"),
    (b'{"a": ' + b"[" * 100_000, "unreadable", "", ""),
    (b'{"a": "\xff"}', "unreadable", "", "0xff at offset 16"),
]


def write(folder: Path, content: bytes, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def rows_of(path: Path, bad: ErrorCollector | None = None) -> list[tuple[int, dict[str, Any]]]:
    """The file's rows, numbered; without `bad`, bad ones are refused."""
    found = bad or ErrorCollector(path)
    rows = [(row.number, row.fields) for row in read_rows(path, found)]
    if bad is None:
        found.raise_if_any()
    return rows


@pytest.mark.parametrize(("line", "code", "field", "named"), BAD_LINES)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, code: str, field: str, named: str) -> None:
    path = write(tmp_path, GOOD + line + b"\n" + GOOD)
    bad = ErrorCollector(path)
    assert rows_of(path, bad) == [(1, {"a": 1}), (3, {"a": 1})]
    with refused(code, file=path, row=2, field=field, names=(path, named)):
        bad.raise_if_any()
    assert bad.rows == 1


@pytest.mark.parametrize(("line", "code", "field", "named"), [case for case in BAD_LINES if case[0].endswith(b"}")][1:])
def test_a_bad_object_of_an_array_is_named(tmp_path: Path, line: bytes, code: str, field: str, named: str) -> None:
    bad = ErrorCollector(write(tmp_path, b'[{"a": 1},\n' + line + b', {"a": 3}]', "rows.json"))
    rows = rows_of(bad.path, bad)
    assert rows[:1] == [(1, {"a": 1})]
    # A fault in a value leaves the next row readable; broken JSON does not.
    if b"\xff" in line:  # in an array it is half a surrogate pair of the one row
        code, field, named = "bad_value", "a", r"\udcff"
    assert rows[1:] == ([] if code == "unreadable" else [(3, {"a": 3})])
    with refused(code, file=bad.path, row=2, field=field, names=(named,)):
        bad.raise_if_any()


def test_all_bad_rows_are_named_up_to_ten(tmp_path: Path) -> None:
    bad = ErrorCollector(write(tmp_path, b"".join(GOOD + b"oops\n" for _ in range(SHOWN + 3))))
    assert [number for number, _ in rows_of(bad.path, bad)] == list(range(1, 2 * SHOWN + 6, 2))
    with refused("bad_rows", file=bad.path, names=(13, "3 more")) as raised:
        bad.raise_if_any()
    lines = str(raised.value).splitlines()
    assert [line.split(",")[0].strip() for line in lines[1:-2]] == [f"row {2 * row}" for row in range(1, SHOWN + 1)]
    assert [fault.row for fault in raised.value.faults] == list(range(2, 2 * SHOWN + 7, 2))


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_white_space_marks_and_compression_do_not_matter(tmp_path: Path, name: str) -> None:
    content = b'\xef\xbb\xbf{"a": "\xe2\x80\xa8"}\r\n\r\n   \n{"a": 2}'
    path = write(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name)
    assert rows_of(path) == [(1, {"a": "\u2028"}), (4, {"a": 2})]


def test_the_offset_counts_from_the_start_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, b'\xef\xbb\xbf{"a": "\xff"}')
    with refused("unreadable", row=1, names=("0xff at offset 10 ",)):
        rows_of(path)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("rows.jsonl", b"", "empty"),
        ("rows.jsonl", b" \n\n", "empty"),
        ("rows.json", b"[ ]", "empty"),
        ("rows.json", b"[", "unreadable"),
        ("rows.jsonl.gz", b"not packed", "unreadable"),
        ("rows.jsonl.gz", gzip.compress(GOOD * 1000, mtime=0)[:-12], "unreadable"),
    ],
)
def test_an_unusable_file_is_named(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    path = write(tmp_path, content, name)
    with refused(code, file=path, names=(path,)):
        rows_of(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with refused("file_not_found", file=tmp_path / "none.jsonl"):
        rows_of(tmp_path / "none.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    with refused("unreadable", file=tmp_path / "folder.jsonl"):
        rows_of(tmp_path / "folder.jsonl")


@pytest.mark.parametrize("content", [b'[{"a": 1} {"a": 2}]', b'[{"a": 1}', b'[{"a": 1}] {"a": 2}', b'[{"a": 1},]'])
def test_an_array_that_ends_badly_is_refused(tmp_path: Path, content: bytes) -> None:
    bad = ErrorCollector(write(tmp_path, content, "rows.json"))
    assert rows_of(bad.path, bad) == [(1, {"a": 1})]
    with refused("unreadable", file=bad.path):
        bad.raise_if_any()


PLAIN = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=6,
)


@given(rows=st.lists(st.dictionaries(PLAIN, VALUES, max_size=3), min_size=1, max_size=4), indent=st.none() | st.just(1))
def test_whatever_json_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], indent: int | None
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    numbered = list(enumerate(rows, start=1))
    lines = write(folder, "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode())
    array = write(folder, json.dumps(rows, indent=indent).encode(), "rows.json")
    assert rows_of(lines) == numbered
    assert rows_of(array) == numbered
