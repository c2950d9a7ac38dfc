"""Shards come back as they were, whole or not at all, and say what is wrong with them."""

import dataclasses
import errno
import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.errors import StepwardError
from stepward.records import (
    LabelledSolution,
    Message,
    Preference,
    Problem,
    Scores,
    Solution,
    StepLabels,
    StepRollouts,
)
from stepward.storage import parquet as store
from stepward.storage.parquet import file_hash, json_hash, read_json, read_shard, write_json, write_shard

text = st.text(st.characters(codec="utf-8"))
whole = st.integers(-(2**63), 2**63 - 1)
number = st.floats(allow_nan=False)
steps = st.lists(text, max_size=3).map(tuple)
labels = st.lists(st.none() | number, max_size=3).map(tuple)
indices = st.lists(whole, max_size=3).map(tuple)
said = st.lists(st.builds(Message, text, text), max_size=3).map(tuple)
record = st.one_of(
    st.builds(Problem, text, text, text, st.none() | whole, text),
    st.builds(Solution, text, text, steps, st.none() | text, st.booleans(), whole, text, st.booleans()),
    st.builds(StepRollouts, text, text, steps, whole, whole, st.booleans(), text),
    st.builds(StepLabels, text, text, text, st.lists(st.none() | number, max_size=3).map(tuple), st.none() | number),
    st.builds(Scores, text, text, text, st.lists(number, max_size=3).map(tuple)),
    st.builds(LabelledSolution, text, steps, labels, indices, indices, st.none() | text),
    st.builds(Preference, text, said, said, said, st.none() | number, text, text),
)
KINDS = (Problem, Solution, StepRollouts, StepLabels, Scores, LabelledSolution, Preference)
PROBLEM = Problem("p", "1 + 1?", "2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples of a property."""
    return tmp_path_factory.mktemp("store")


@given(st.lists(record, max_size=12))
def test_every_record_comes_back_as_it_was(folder: Path, records: list[object]) -> None:
    for kind in KINDS:
        own = [one for one in records if type(one) is kind]
        write_shard(folder / "s.parquet", own, kind)
        assert read_shard(folder / "s.parquet", kind) == own


def test_missing_values_empty_tuples_and_unicode(tmp_path: Path) -> None:
    records = [
        StepLabels("s", "p", "er", (None, 0.0, 1.0), 2.0),
        StepLabels("\u0416\U0001f600\0", "p", "hard", ()),
    ]
    write_shard(tmp_path / "s.parquet", records, StepLabels)
    assert read_shard(tmp_path / "s.parquet", StepLabels) == records
    assert pq.read_table(tmp_path / "s.parquet").column("labels").to_pylist() == [[None, 0.0, 1.0], []]


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_shard(tmp_path / name, [PROBLEM], Problem)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disc_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def full(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with refused("unwritable", file=tmp_path / "s.parquet"):
        write_shard(tmp_path / "s.parquet", [PROBLEM], Problem)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disc(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disc"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small file system, and not in every container")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disc_that_really_fills_up(small_disc: Path) -> None:
    write_shard(small_disc / "kept.parquet", [PROBLEM], Problem)
    large = [Problem(str(index), os.urandom(3_000).hex(), "1") for index in range(100)]
    with refused("unwritable", file=small_disc / "s.parquet"):
        write_shard(small_disc / "s.parquet", large, Problem)
    with refused("unwritable", file=small_disc / "s.json"):
        write_json(small_disc / "s.json", [one.question for one in large])
    assert [one.name for one in small_disc.iterdir()] == ["kept.parquet"]
    assert read_shard(small_disc / "kept.parquet", Problem) == [PROBLEM]


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "solutions").write_text("")
    with refused("unwritable", file=tmp_path / "solutions" / "s.parquet", names=(os.strerror(errno.EEXIST),)):
        write_shard(tmp_path / "solutions" / "s.parquet", [PROBLEM], Problem)


def test_a_missing_or_torn_shard_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    with refused("file_not_found", file=path, names=("Problem",)):
        read_shard(path, Problem)
    write_shard(path, [PROBLEM], Problem)
    content = path.read_bytes()
    for torn in (b"", content[:20], content[: len(content) // 2], content[:-1]):
        path.write_bytes(torn)
        with refused("unreadable", file=path):
            read_shard(path, Problem)


def test_records_of_another_kind_are_refused_naming_both(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    write_shard(path, [Scores("s", "p", "m", (0.5,))], Scores)
    with refused("wrong_type", file=path, names=("Problem", "id: string", "solution_id: string")):
        read_shard(path, Problem)


def test_another_schema_version_is_named_before_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    write_shard(path, [PROBLEM], Problem)
    table = pq.read_table(path).drop_columns("subject")
    pq.write_table(table.replace_schema_metadata({"stepward.schema": "1"}), path)
    with refused("wrong_version", file=path, names=(1, store.SCHEMA_VERSION)):
        read_shard(path, Problem)


def test_another_schema_version_is_refused_naming_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.parquet"
    with monkeypatch.context() as later:
        later.setattr(store, "SCHEMA_VERSION", 99)
        write_shard(path, [PROBLEM], Problem)
    with refused("wrong_version", file=path, names=(99, store.SCHEMA_VERSION)):
        read_shard(path, Problem)
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({}), path)
    with refused("wrong_version", file=path):
        read_shard(path, Problem)


def test_json_is_strict_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    write_json(path, {"a": [1, 0.1, None, "\u0416"]})
    assert read_json(path) == {"a": [1, 0.1, None, "\u0416"]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert read_json(path)["a"][0] == 1
    path.write_bytes(b'{"a": 1')
    with refused("unreadable", file=path):
        read_json(path)
    path.write_bytes(b'"\xff"')
    with refused("unreadable", file=path):
        read_json(path)
    with refused("file_not_found", file=tmp_path / "other.json"):
        read_json(tmp_path / "other.json")
    with refused("unreadable", file=tmp_path):
        read_json(tmp_path)


def test_digests_are_equal_for_equal_values() -> None:
    assert json_hash({"a": 1, "b": [2]}) == json_hash({"b": [2], "a": 1})
    assert len({json_hash(value) for value in ({"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, [["a", 1]])}) == 5


def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    """By the checksums of the pages alone; the shards of a run have a hash in its manifest too."""
    path = tmp_path / "s.parquet"
    records = [
        Solution(f"p{n}/s", f"p{n}", (f"step {n * 7919 % 1000}", f"step {n}"), str(n), n % 2 == 0) for n in range(300)
    ]
    write_shard(path, records, Solution)
    whole, random = path.read_bytes(), Random(0)
    refusals = 0
    for _ in range(200):
        content, bit = bytearray(whole), random.randrange(8 * len(whole))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        try:
            assert read_shard(path, Solution) == records
        except StepwardError as error:
            assert error.code in ("unreadable", "wrong_type", "wrong_version")
            refusals += 1
    assert refusals > 100


def test_a_files_hash_follows_its_content(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", [PROBLEM], Problem)
    before = file_hash(tmp_path / "s")
    assert before == file_hash(tmp_path / "s") == hashlib.sha256((tmp_path / "s").read_bytes()).hexdigest()
    write_shard(tmp_path / "s", [], Problem)
    assert file_hash(tmp_path / "s") != before
    with refused("file_not_found", file=tmp_path / "none"):
        file_hash(tmp_path / "none")


def test_every_record_type_is_tested() -> None:
    assert all(dataclasses.is_dataclass(kind) and store.schema_of(kind) for kind in KINDS)
    assert {field.name for field in store.schema_of(Problem) if field.nullable} == {"level", "subject"}
