"""Writing records in any known format, as a stream: JSON lines or Parquet, whole or not at all."""

import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from stepward.errors import StepwardError
from stepward.formats.base import Format, Record, UnsupportedRecord, WriteOptions
from stepward.formats.branches import trim_unlabeled
from stepward.formats.registry import named
from stepward.records import LabelledSolution
from stepward.rows import json_line
from stepward.storage.files import atomic_write
from stepward.storage.parquet import schema_of

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
"""How the names of files that can be written end."""

_BATCH = 4096


@dataclass
class WriteReport:
    """What became of the records.

    Attributes:
        records: How many were written.
        rows: As how many rows.
        refused: How many the format can't hold.
    """

    records: int = 0
    rows: int = 0
    refused: int = 0


def write(
    records: Iterable[Record],
    path: Path | str,
    format: str,
    *,
    choices: WriteOptions | None = None,
    on_refusal: Callable[[Record, str], None] | None = None,
) -> WriteReport:
    """Write records to a file in a named format.

    Args:
        records: Any iterable; it is written as it is read.
        path: The file, its name ending in one of `SUFFIXES`; it takes its place only when all is written.
        format: One of `FORMATS`.
        choices: What to decide where the format can't hold what a record says.
        on_refusal: Is told of each record that the format can't hold, and why. Without it such a record is an error.

    Returns:
        The counts.

    Raises:
        StepwardError: Stepward only reads the format, the records are of another kind, the name's ending is unknown,
            the disc is full, or (without `on_refusal`) a record can't be held.
    """
    path = Path(path)
    form = named(format)
    if form.write is None:
        raise StepwardError(
            f"{format}: Stepward reads this format and doesn't write it", code="unsupported", field="--to"
        )
    if not path.name.endswith(SUFFIXES):
        raise StepwardError(
            f"{path}: unknown kind of file; expected a name that ends in one of {', '.join(SUFFIXES)}",
            code="bad_value",
            file=path,
        )
    counts = WriteReport()
    rows = _rows(records, form, choices or WriteOptions(), on_refusal, counts)
    with atomic_write(path) as file:
        if path.suffix == ".parquet":
            _write_parquet(rows, file, path, form)
        else:
            with _packed(file, path) as target:
                for row in rows:
                    target.write(json_line(row))
    return counts


def _rows(
    records: Iterable[Record],
    form: Format,
    choices: WriteOptions,
    on_refusal: Callable[[Record, str], None] | None,
    counts: WriteReport,
) -> Iterator[dict[str, Any]]:
    assert form.write is not None
    for record in records:
        try:
            if not isinstance(record, form.kind):
                held = " or ".join(kind.__name__ for kind in form.kinds)
                raise StepwardError(
                    f"{form.name} holds {held} records, not {type(record).__name__} ones", code="mismatch"
                )
            if choices.cut and isinstance(record, LabelledSolution):
                record = trim_unlabeled(record)
            rows = form.write(record, choices)
        except UnsupportedRecord as error:
            if on_refusal is None:
                raise StepwardError(
                    f"record {getattr(record, 'id', '')}: {error}", code=error.code, field=error.field
                ) from None
            counts.refused += 1
            on_refusal(record, str(error))
            continue
        counts.records += 1
        counts.rows += len(rows)
        yield from rows


@contextmanager
def _packed(file: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    if path.suffix == ".gz":
        # No time and no name in it: the same records give the same bytes.
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
            yield packed  # type: ignore[misc]
    elif path.suffix == ".zst":
        import zstandard

        with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as packed:
            yield packed
    else:
        target = io.BufferedWriter(file, 2**18)
        yield target
        target.flush()
        target.detach()


def _write_parquet(rows: Iterator[dict[str, Any]], file: IO[bytes], path: Path, form: Format) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = list(islice(rows, _BATCH))
    if not first:
        raise StepwardError(
            f"{path}: no records to write; a Parquet file's columns come from its rows", code="empty", file=path
        )
    try:
        # pyarrow looks at the first row alone for the columns; a later row may have more of them.
        names = list(dict.fromkeys(name for row in first for name in row))
        kind = form.shard(first[0]) if form.shard else None
        schema = schema_of(kind) if kind else _inferred(names, first)
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            batch = first
            while batch:
                if form.shard and any(form.shard(row) is not kind for row in batch):
                    raise StepwardError(
                        f"{path}: records of several types fit no one table; write .jsonl instead",
                        code="not_writable",
                        file=path,
                    )
                if unknown := next((name for row in batch for name in row if name not in names), None):
                    raise StepwardError(
                        f"{path}: field {unknown!r} stands in a later row alone; write .jsonl instead",
                        code="not_writable",
                        file=path,
                    )
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                batch = list(islice(rows, _BATCH))
    except pa.ArrowException as error:
        raise StepwardError(
            f"{path}: these rows fit no one table ({error}); write .jsonl instead", code="not_writable", file=path
        ) from None


def _inferred(names: list[str], rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    return pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows]).schema
