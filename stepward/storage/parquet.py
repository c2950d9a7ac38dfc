"""Records to Parquet shards and back; strict JSON, and hashes of files and values.

A shard is written to a temporary name, flushed to the disc and renamed. So a run that is killed anywhere leaves whole
shards, or none.
"""

import dataclasses
import hashlib
import json
import os
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stepward.errors import StepwardError
from stepward.records import SCHEMA_VERSION
from stepward.storage.files import atomic_write, unusable

Record = TypeVar("Record")

_GROUP = 10_000
"""Most rows of a group, which is what reading some rows reads."""

_SCALARS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def schema_of(kind: type) -> pa.Schema:
    """The Parquet schema of a record type, from its annotations."""
    hints = typing.get_type_hints(kind)
    fields = [_field(field.name, hints[field.name]) for field in dataclasses.fields(kind)]
    return pa.schema(fields, metadata={"stepward.record": kind.__name__, "stepward.schema": str(SCHEMA_VERSION)})


def _field(name: str, hint: Any) -> pa.Field:
    options = typing.get_args(hint)
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (inner,) = (option for option in options if option is not type(None))
        return pa.field(name, _field(name, inner).type, nullable=True)
    if typing.get_origin(hint) is tuple:
        return pa.field(name, pa.list_(_field("item", options[0])), nullable=False)
    if dataclasses.is_dataclass(hint):
        return pa.field(name, pa.struct(list(schema_of(typing.cast(type, hint)))), nullable=False)
    return pa.field(name, _SCALARS[hint], nullable=False)


def write_shard(path: Path, records: Sequence[Any], kind: type) -> None:
    """Writes records to one Parquet file, whole or not at all.

    Raises:
        StepwardError: The disc is full, or the folder can't be written.
    """
    write_batches(path, [records], kind)


def write_batches(path: Path, batches: Iterable[Sequence[Any]], kind: type) -> None:
    """Writes records that come batch by batch to one Parquet file, whole or not at all; holds one batch at a time.

    Raises:
        StepwardError: The disc is full, or the folder can't be written.
    """
    names, schema = [field.name for field in dataclasses.fields(kind)], schema_of(kind)
    with (
        atomic_write(path) as file,
        pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        for records in batches:
            columns = {name: [to_json(getattr(record, name)) for record in records] for name in names}
            writer.write_table(pa.Table.from_pydict(columns, schema=schema), row_group_size=_GROUP)


def read_shard(path: Path, kind: type[Record], rows: slice = slice(None)) -> list[Record]:
    """Reads the records of one Parquet file, or those of some of its rows.

    Raises:
        StepwardError: The file is missing, torn, or holds records of another kind or schema version.
    """
    try:
        table = _read_rows(path, rows)
        version = (table.schema.metadata or {}).get(b"stepward.schema", b"").decode()
        _check_schema(path, table.schema, version, kind)
        record = record_maker(kind)
        return [record(row) for row in table.to_pylist()]
    except FileNotFoundError as error:
        raise StepwardError(
            f"{path}: no such file; expected {kind.__name__} records", code="file_not_found", file=path
        ) from error
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise StepwardError(f"{path}: not a whole Parquet file ({error})", code="unreadable", file=path) from error


def _check_schema(path: Path, schema: pa.Schema, version: str, kind: type) -> None:
    """Raises StepwardError where a file's columns are another kind's or version's."""
    expected = schema_of(kind)
    # Another version may have other columns; that it is another is then what the user needs to know.
    if version not in ("", str(SCHEMA_VERSION)):
        raise _of_version(path, version)
    if not schema.equals(expected):
        found = ", ".join(f"{field.name}: {field.type}" for field in schema)
        wanted = ", ".join(f"{field.name}: {field.type}" for field in expected)
        raise StepwardError(
            f"{path}: expected {kind.__name__} records ({wanted}), found ({found})", code="wrong_type", file=path
        )
    if not version:
        raise _of_version(path, "none")


def _of_version(path: Path, version: str) -> StepwardError:
    return StepwardError(
        f"{path}: schema version {version}, this Stepward reads {SCHEMA_VERSION}", code="wrong_version", file=path
    )


def file_hash(path: Path) -> str:
    """A file's SHA-256; it is read again only where it has changed.

    Raises:
        StepwardError: It can't be read.
    """
    try:
        return _file_hash(str(path), file_version(path))
    except OSError as error:
        raise unusable(path, error) from error


def file_version(path: Path) -> tuple[int, int, int]:
    """What tells a file from another that took its place.

    Raises:
        OSError: There is none.
    """
    # Opened, since what a network file system says of a file that is not may be seconds old.
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
    return status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=1_024)
def _file_hash(path: str, stamp: tuple[int, int, int]) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_rows(path: Path, rows: slice) -> pa.Table:
    """Some rows of a file; only the groups that hold them are read."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        first, end, _ = rows.indices(file.metadata.num_rows)
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
        starts = list(accumulate(sizes, initial=0))
        wanted = [group for group, size in enumerate(sizes) if starts[group] < end and starts[group] + size > first]
        table = file.read_row_groups(wanted)
        return table.slice(first - starts[wanted[0]] if wanted else 0, max(0, end - first))


def to_json(value: Any) -> Any:
    """A record's value as Parquet and JSON hold it: tuples as lists, records in them as objects."""
    if not isinstance(value, tuple):
        return value
    return [dataclasses.asdict(one) if dataclasses.is_dataclass(one) else one for one in value]  # type: ignore[arg-type]


def record_maker(kind: type[Record]) -> Callable[[dict[str, Any]], Record]:
    """What makes a row, whose values are of the right types, a record: lists become tuples, objects their records."""
    hints = typing.get_type_hints(kind)
    lists = {name: _inner(hint) for name, hint in hints.items() if typing.get_origin(hint) is tuple}

    def record(row: dict[str, Any]) -> Record:
        made = {
            name: tuple(row[name]) if inner is None else tuple(inner(**one) for one in row[name])
            for name, inner in lists.items()
            if name in row
        }
        return kind(**{**row, **made})

    return record


def _inner(hint: Any) -> Callable[..., Any] | None:
    """The record type that a tuple holds, or None where it holds plain values."""
    inner = typing.get_args(hint)[0]
    return typing.cast(type, inner) if dataclasses.is_dataclass(inner) else None


def write_json(path: Path, value: Any) -> None:
    """Writes strict JSON (no NaN), whole or not at all."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))


_LARGEST_JSON = 2**30


def read_json(path: Path) -> Any:
    """Reads a JSON file that Stepward wrote.

    Raises:
        StepwardError: The file is missing, can't be read, or is not JSON.
    """
    try:
        if (size := path.stat().st_size) > _LARGEST_JSON:
            raise StepwardError(f"{path}: {size:,} bytes, more than Stepward writes", code="too_large", file=path)
        return orjson.loads(path.read_bytes())
    except OSError as error:
        raise unusable(path, error) from error
    except orjson.JSONDecodeError as error:
        raise StepwardError(f"{path}: not JSON ({error})", code="unreadable", file=path) from error


def json_hash(value: Any) -> str:
    """A short hash of any JSON value, the same for equal values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()[:16]
