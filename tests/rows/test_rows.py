"""Strict reading: every bad row is named with its row and field."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward.errors import StepwardError
from stepward.rows import BadRows, read_rows
from stepward.rows.faults import SHOWN

GOOD = b'{"a": 1}\n'

BAD_LINES = [
    (b"{oops", "row 2, not JSON"),
    (b'{"a": 1} {"a": 2}', "row 2, not JSON (more text follows"),
    (b"[1, 2]", "row 2, expected a JSON object, found a list"),
    (b"null", "row 2, expected a JSON object, found null"),
    (b'{"a": {"b": [0, NaN]}}', "row 2, field 'a.b[1]': holds nan; expected a finite number"),
    (b'{"a": -Infinity}', "row 2, field 'a': holds -inf"),
    (b'{"a": 1e999}', "row 2, field 'a': holds inf"),
    (b'{"a": 1, "a": 1}', "row 2, field 'a': the key stands twice"),
    (b'{"a": "x\\u0000y"}', "row 2, field 'a': holds a NUL character"),
    (b'{"a": "x\0y"}', "row 2, not JSON"),
    (b'{"a\\u0000": 1}', "the key 'a\\x00' holds a NUL character"),
    (b'{"a": "\\ud800"}', "row 2, field 'a': holds half a surrogate pair"),
    (b'{"a": ' + b"9" * 5_000 + b"}", "row 2, not JSON"),
    (b'{"a": ' + b"[" * 100_000, "row 2, not JSON (nested too deeply)"),
    (b'{"a": "\xff"}', "row 2, broken UTF-8: byte 0xff at offset 16 of the file"),
]


def write(folder: Path, content: bytes, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def rows_of(path: Path, bad: BadRows | None = None) -> list[tuple[int, dict[str, Any]]]:
    """The file's rows, numbered; without `bad`, bad ones are refused."""
    found = bad or BadRows(path)
    rows = [(row.number, row.fields) for row in read_rows(path, found)]
    if bad is None:
        found.refuse()
    return rows


@pytest.mark.parametrize(("line", "message"), BAD_LINES)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    path = write(tmp_path, GOOD + line + b"\n" + GOOD)
    bad = BadRows(path)
    assert rows_of(path, bad) == [(1, {"a": 1}), (3, {"a": 1})]
    with pytest.raises(StepwardError) as raised:
        bad.refuse()
    assert message in str(raised.value)
    assert str(raised.value).startswith(f"{path}: 1 row can't be used")


@pytest.mark.parametrize(("line", "message"), [case for case in BAD_LINES if case[0].endswith(b"}")][1:])
def test_a_bad_object_of_an_array_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    bad = BadRows(write(tmp_path, b'[{"a": 1},\n' + line + b', {"a": 3}]', "rows.json"))
    rows = rows_of(bad.path, bad)
    assert rows[:1] == [(1, {"a": 1})]
    with pytest.raises(StepwardError) as raised:
        bad.refuse()
    # A fault in a value leaves the next row readable; broken JSON does not, and says so.
    broken = "were not read" in str(raised.value)
    assert rows[1:] == ([] if broken else [(3, {"a": 3})])
    expected = "row 2, field 'a': holds half a surrogate pair" if b"\xff" in line else message.split("(")[0]
    assert expected in str(raised.value)


def test_all_bad_rows_are_named_up_to_ten(tmp_path: Path) -> None:
    bad = BadRows(write(tmp_path, b"".join(GOOD + b"oops\n" for _ in range(SHOWN + 3))))
    assert [number for number, _ in rows_of(bad.path, bad)] == list(range(1, 2 * SHOWN + 6, 2))
    with pytest.raises(StepwardError) as raised:
        bad.refuse()
    lines = str(raised.value).splitlines()
    assert lines[0].endswith("13 rows can't be used")
    assert [line.split(",")[0].strip() for line in lines[1:-2]] == [f"row {2 * row}" for row in range(1, SHOWN + 1)]
    assert lines[-2:] == ["  and 3 more", "Mend or remove these rows, then run again."]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_white_space_marks_and_compression_do_not_matter(tmp_path: Path, name: str) -> None:
    content = b'\xef\xbb\xbf{"a": "\xe2\x80\xa8"}\r\n\r\n   \n{"a": 2}'
    path = write(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name)
    assert rows_of(path) == [(1, {"a": "\u2028"}), (4, {"a": 2})]


def test_the_offset_counts_from_the_start_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, b'\xef\xbb\xbf{"a": "\xff"}')
    with pytest.raises(StepwardError, match="byte 0xff at offset 10 "):
        rows_of(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.jsonl", b"", "the file holds no rows"),
        ("rows.jsonl", b" \n\n", "the file holds no rows"),
        ("rows.json", b"[ ]", "the file holds no rows"),
        ("rows.json", b"[", "not JSON"),
        ("rows.jsonl.gz", b"not packed", "can't be unpacked"),
        ("rows.jsonl.gz", gzip.compress(GOOD * 1000, mtime=0)[:-12], "can't be unpacked"),
    ],
)
def test_an_unusable_file_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = write(tmp_path, content, name)
    with pytest.raises(StepwardError, match=message) as raised:
        rows_of(path)
    assert str(path) in str(raised.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(StepwardError, match=r"none\.jsonl: no such file"):
        rows_of(tmp_path / "none.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(StepwardError, match="can't be read"):
        rows_of(tmp_path / "folder.jsonl")


@pytest.mark.parametrize("content", [b'[{"a": 1} {"a": 2}]', b'[{"a": 1}', b'[{"a": 1}] {"a": 2}', b'[{"a": 1},]'])
def test_an_array_that_ends_badly_is_refused(tmp_path: Path, content: bytes) -> None:
    bad = BadRows(write(tmp_path, content, "rows.json"))
    assert rows_of(bad.path, bad) == [(1, {"a": 1})]
    with pytest.raises(StepwardError, match="not JSON"):
        bad.refuse()


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
