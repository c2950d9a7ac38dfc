"""The bar for bad input: each row is accepted unchanged or set aside with its line and a reason; nothing is lost."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard
from formats.bad_fields import GOOD
from formats.bad_rows import Line, file_of, lines_of
from typer.testing import CliRunner

from stepward import formats
from stepward.cli import app
from stepward.errors import StepwardError
from stepward.formats.convert import convert
from stepward.rows import ErrorCollector, read_rows

NAMES = sorted(name for name in formats.FORMATS if name != "stepward-run")
"""All formats but one whose rows are a run's own, joined and not read from a file."""

LOSSY = ("gsm8k", "math")
"""Formats that keep less than a row holds, as their pages say."""


def written(path: Path, content: bytes) -> Path:
    packed = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}.get(path.suffix, bytes)
    path.write_bytes(packed(content))
    return path


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def accepted(lines: list[Line]) -> list[dict[str, Any]]:
    return [json.loads(line.raw) for line in lines if line.reason is None]


def test_every_format_has_its_rows() -> None:
    assert sorted(GOOD) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_row_is_accepted_unchanged_or_set_aside(name: str, tmp_path: Path) -> None:
    lines = lines_of(name)
    source, to = written(tmp_path / "rows.jsonl", file_of(lines)), tmp_path / "again.jsonl"
    shown = CliRunner().invoke(app, ["convert", str(source), str(to), "--from", name, "--to", name])
    assert shown.exit_code == 0, shown.output
    expected = accepted(lines)
    if name not in LOSSY:
        assert json_lines(to) == expected
    rejected = json_lines(tmp_path / "again.jsonl.rejected.jsonl")
    check_rejected(rejected, lines, source)
    aside = len({fault["row"] for fault in rejected})
    assert len(expected) + aside == len(lines)
    said = " ".join(shown.output.split())
    assert f"{name}, {len(expected):,} rows read; {len(expected):,} written to" in said
    assert f"Set aside: {aside} that could not be read, 0 that could not be written" in said


def check_rejected(rejected: list[dict[str, Any]], lines: list[Line], source: Path) -> None:
    """Each fault names its file, its line and why, and shows the line's text; each bad line has one."""
    first: dict[int, dict[str, Any]] = {}
    for fault in rejected:
        assert list(fault) == ["file", "row", "field", "reason", "text"]
        assert fault["file"] == str(source) and fault["reason"]
        first.setdefault(fault["row"], fault)
    assert list(first) == sorted(first)
    for number, line in enumerate(lines, start=1):
        if line.reason is None:
            assert number not in first, first[number]
            continue
        assert number in first, (number, line.raw[-200:])
        fault = first[number]
        assert line.reason in fault["reason"], (number, line.raw[-200:], fault["reason"])
        assert line.field is None or fault["field"] == line.field
        start = line.raw[:20].decode("utf-8", "backslashreplace")
        assert fault["text"].startswith(start) or json.loads(fault["text"]) == json.loads(line.raw)


@pytest.mark.parametrize("name", NAMES)
def test_strict_refuses_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    lines = lines_of(name)
    source, to = written(tmp_path / "rows.jsonl", file_of(lines)), tmp_path / "again.jsonl"
    shown = CliRunner().invoke(app, ["convert", str(source), str(to), "--from", name, "--to", name, "--strict"])
    assert isinstance(shown.exception, StepwardError) and shown.exit_code == 1
    first = next(number for number, line in enumerate(lines, start=1) if line.reason is not None)
    assert f"row {first}, " in str(shown.exception)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("again") and path != to.with_name(
        "again.jsonl.rejected.jsonl")]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_format_is_guessed_from_the_first_row_that_can_be_read(name: str, tmp_path: Path) -> None:
    good = json.dumps(GOOD[name]).encode()
    source = written(tmp_path / "rows.jsonl", b"oops\n" + good + b"\n{}\n")
    reading = formats.read(source, on_fault=lambda fault: None)
    assert (reading.format.name, reading.guessed) == (name, True)
    assert len(list(reading)) == 1
    assert [fault.row for fault in reading.bad.faults] == [1, 3]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_packed_file_gives_the_same(suffix: str, tmp_path: Path) -> None:
    lines = lines_of("scan")
    source = written(tmp_path / f"rows.jsonl{suffix}", file_of(lines))
    done = convert(source, tmp_path / f"again.jsonl{suffix}", source_format="scan", to_format="scan")
    assert done.rejected is not None
    check_rejected(json_lines(done.rejected), lines, source)
    again = ErrorCollector(tmp_path)
    assert [row.fields for row in read_rows(tmp_path / f"again.jsonl{suffix}", again)] == accepted(lines)


@pytest.mark.parametrize("name", NAMES)
def test_an_array_sets_aside_the_same_rows(name: str, tmp_path: Path) -> None:
    """As an array, without the lines that are no JSON values, after which an array can't be read on."""
    lines = [line for line in lines_of(name) if not (line.reason and line.field == "" and "JSON" in line.reason)]
    lines = [line for line in lines if is_value(line.raw)]
    source = written(tmp_path / "rows.json", b"[\n" + b",\n".join(line.raw for line in lines) + b"]\n")
    faults: list[int] = []
    reading = formats.read(source, name, on_fault=lambda fault: faults.append(fault.row))
    assert len(list(reading)) == len(accepted(lines))
    assert sorted(set(faults)) == [number for number, line in enumerate(lines, start=1) if line.reason is not None]


def is_value(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True
