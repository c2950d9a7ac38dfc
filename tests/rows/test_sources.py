"""Where rows come from: files, folders, patterns, and data sets of the hub's shape, all of them without a network."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from raising import refused

from stepward import formats
from stepward.rows import ErrorCollector, ReadProgress, iter_rows
from stepward.rows.sources import check_not_overwriting, expand_source

CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
  - split: test
    path: data/test-*
  - split: bad
    path: data/bad-*
---
# Sums
"""


def rows_of(*names: object) -> bytes:
    return b"".join(json.dumps({"a": name}).encode() + b"\n" for name in names)


def found(source: Path | str, bad: ErrorCollector | None = None) -> list[tuple[str, int, object]]:
    return [(row.file.name, row.number, row.fields["a"]) for row in iter_rows(source, bad or ErrorCollector(source))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files of every kind in it, and others that are no rows."""
    here = tmp_path / "rows"
    (here / "deep" / "deeper").mkdir(parents=True)
    (here / "b.jsonl").write_bytes(rows_of(3, 4))
    (here / "a.jsonl.gz").write_bytes(gzip.compress(rows_of(1, 2)))
    (here / "c.ndjson.zst").write_bytes(zstandard.ZstdCompressor().compress(rows_of(5)))
    (here / "deep" / "d.json").write_text('[{"a": 6}, {"a": 7}]')
    pq.write_table(pa.table({"a": [8, 9]}), here / "deep" / "deeper" / "e.parquet")
    (here / ".cache").mkdir()
    (here / "_temporary").mkdir()
    for other in (".cache/x.jsonl", "_temporary/x.jsonl", ".hidden.jsonl", "_SUCCESS.json", "deep/.x.jsonl"):
        (here / other).write_bytes(rows_of("hidden"))
    for other in ("README.md", "x.csv", "x.jsonl.bz2", "b.jsonl.rejected.jsonl"):
        (here / other).write_bytes(rows_of("other"))
    return here


def test_a_folder_gives_the_rows_of_all_its_files_by_name(folder: Path) -> None:
    assert found(folder) == [
        ("a.jsonl.gz", 1, 1), ("a.jsonl.gz", 2, 2), ("b.jsonl", 1, 3), ("b.jsonl", 2, 4), ("c.ndjson.zst", 1, 5),
        ("d.json", 1, 6), ("d.json", 2, 7), ("e.parquet", 1, 8), ("e.parquet", 2, 9),
    ]  # fmt: skip


def test_a_folder_below_a_hidden_one_is_no_hidden_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / ".data").mkdir()
    moved = folder.rename(tmp_path / ".data" / "_rows")
    assert len(found(moved)) == 9


def test_faults_of_a_folder_name_their_file(folder: Path) -> None:
    (folder / "b.jsonl").write_bytes(rows_of(3) + b"oops\n")
    bad = ErrorCollector(folder)
    assert len(found(folder, bad)) == 8
    assert [(fault.file, fault.row, fault.text) for fault in bad.faults] == [(str(folder / "b.jsonl"), 2, "oops")]


@pytest.mark.parametrize(
    ("pattern", "values"),
    [
        ("*.jsonl", [3, 4]), ("?.jsonl*", [1, 2, 3, 4]), ("[bc].*", [3, 4, 5]), ("**/*.json", [6, 7]),
        ("deep/**", [6, 7, 8, 9]), ("*/*/*.parquet", [8, 9]),
    ],
)  # fmt: skip
def test_a_pattern_gives_the_files_that_fit(folder: Path, pattern: str, values: list[int]) -> None:
    (folder / "_SUCCESS.json").unlink()
    assert [value for _, _, value in found(f"{folder}/{pattern}")] == values


def test_a_file_whose_name_holds_a_magic_character_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].jsonl").write_bytes(rows_of(1))
    (tmp_path / "a1.jsonl").write_bytes(rows_of(2))
    assert found(tmp_path / "a[1].jsonl") == [("a[1].jsonl", 1, 1)]


@pytest.mark.parametrize(
    ("source", "code", "names"),
    [
        ("none.jsonl", "file_not_found", ("empty",)), ("none", "file_not_found", ("a.csv",)),
        ("/no/such/folder", "file_not_found", ()), ("a.csv", "unknown_name", (".jsonl", ".parquet")),
        ("empty", "empty", (".jsonl.gz",)), ("*.parquet", "file_not_found", (".jsonl",)),
        ("a/b/c", "file_not_found", ()), ("owner/na me", "file_not_found", ()),
        ("hub:no/such", "file_not_found", ("hf://no/such",)),
    ],
    ids=range(9),
)  # fmt: skip
def test_what_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, code: str, names: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.csv").write_text("a\n1\n")
    with refused(code, file=source.removeprefix("hub:"), names=names):
        list(iter_rows(source, ErrorCollector(source)))


def test_the_meter_counts_all_files_on_the_disc(folder: Path) -> None:
    meter = ReadProgress()
    seen = [(meter.done, meter.total) for _ in iter_rows(folder, ErrorCollector(folder), meter)]
    names = ("a.jsonl.gz", "b.jsonl", "c.ndjson.zst", "deep/d.json", "deep/deeper/e.parquet")
    size = sum((folder / name).stat().st_size for name in names)
    assert {total for _, total in seen} == {size}
    assert seen == sorted(seen) and seen[0][0] < meter.done == size


@pytest.fixture
def hub_folder(tmp_path: Path) -> Path:
    """A folder as the hub publishes a data set: a card, and Parquet files by split."""
    here = tmp_path / "owner" / "sums"
    (here / "data").mkdir(parents=True)
    (here / "README.md").write_text(CARD)
    for split, questions in (("train", ["1 + 1?", "1 + 2?", "1 + 3?"]), ("test", ["2 + 2?"])):
        table = pa.table({
            "question": questions, "steps": [["Add.", "Done."]] * len(questions),
            "scores": [[1.0, 0.5]] * len(questions),
        })  # fmt: skip
        pq.write_table(table, here / "data" / f"{split}-00000-of-00001.parquet")
    bad = pa.table({
        "question": ["a?", "b?", "c\0?", "d?"], "steps": [["Add."]] * 4,
        "scores": [[1.0], [2.0], [1.0], [float("nan")]],
    })  # fmt: skip
    pq.write_table(bad, here / "data" / "bad-00000-of-00001.parquet")
    return here


_HUB = """
import json, sys
from stepward import formats
from stepward.errors import StepwardError
for source in sys.argv[1:]:
    try:
        reading = formats.read(source, on_fault=lambda fault: None)
        questions = [one.question for one in reading]
        faults = [[one.row, one.field, one.code] for one in reading.bad.faults]
        said = questions, reading.format.name, faults, reading.source
    except StepwardError as error:
        said = error.code, error.file, error.field
    print(json.dumps(said))
"""


def offline(home: Path, *sources: str) -> list[Any]:
    """What reading each source gives in a process that may not use the network, and has an empty cache."""
    done = subprocess.run(
        [sys.executable, "-c", _HUB, *sources], capture_output=True, text=True, check=True, cwd=home,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home / "cache"), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_data_set_of_the_hubs_shape_is_read_by_split(hub_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    train, test, named, bad, none, unknown = offline(
        tmp_path, f"hub:{hub_folder}", f"hub:{hub_folder}:test", "hub:owner/sums:train", f"hub:{hub_folder}:bad",
        f"hub:{hub_folder}:dev", "someone/no-such-data-set",
    )  # fmt: skip
    assert train == [["1 + 1?", "1 + 2?", "1 + 3?"], "scan", [], f"hub:{hub_folder}"]
    assert test == [["2 + 2?"], "scan", [], f"hub:{hub_folder}:test"]
    assert named == [*train[:3], "hub:owner/sums:train"]
    assert bad[:3] == [["a?"], "scan", [
        [2, "scores[0]", "bad_value"], [3, "question", "bad_value"], [4, "scores[0]", "not_finite"],
    ]]  # fmt: skip
    assert none == ["unknown_name", str(hub_folder), "dev"]
    assert unknown == ["unreachable", None, None]


def test_the_folder_itself_is_read_without_the_hub(hub_folder: Path) -> None:
    reading = formats.read(hub_folder, on_fault=lambda fault: None)
    assert [getattr(record, "question", None) for record in reading] == ["a?", "2 + 2?", "1 + 1?", "1 + 2?", "1 + 3?"]


def test_the_files_of_a_source_are_those_that_are_read(folder: Path, tmp_path: Path) -> None:
    names = ["a.jsonl.gz", "b.jsonl", "c.ndjson.zst", "d.json", "e.parquet"]
    assert [file.name for file in expand_source(folder)] == names
    assert [file.name for file in expand_source(f"{folder}/*.jsonl*")] == names[:2]
    assert expand_source("owner/name:test") == expand_source(f"hub:{folder}") == []
    for absent in ("absent", "absent.jsonl"):
        with refused("file_not_found", file=tmp_path / absent, names=("rows",)):
            expand_source(tmp_path / absent)


def test_a_file_that_is_read_is_not_written_over(folder: Path) -> None:
    for target in (folder / "b.jsonl", folder / "deep" / ".." / "a.jsonl.gz", folder / "deep" / "deeper" / "e.parquet"):
        with refused("file_exists", file=target):
            check_not_overwriting(target, ["owner/name", folder])
    check_not_overwriting(folder / "README.md", [folder])  # which is no file of rows
    check_not_overwriting(folder / "new.jsonl", [folder])
    check_not_overwriting(folder / "b.jsonl", [folder / "deep"])
