"""An evaluation on disk: `summary.json` and its neighbours, strict JSON that other programs read.

Each file is written whole or not at all (stepward.storage.parquet), so that no reader ever sees half of one. Accuracies
problem by problem, by which runs are compared, are a Parquet file: of thousands of problems they are millions of rows.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.accuracy import Accuracies
from stepward.evaluation.best_of_n.records import Evaluation, MetricRow, PairedDifference, SelectedConfig
from stepward.evaluation.best_of_n.slices import QuintileRow, SliceRow
from stepward.evaluation.labels.agreement import Agreement, LabelQuality
from stepward.rows import value_faults
from stepward.storage.files import atomic_write
from stepward.storage.parquet import write_json

Floats = NDArray[np.float64]

Key = tuple[str, str | None, str | None]
"""A method, and the voting and aggregation of its scores; None twice without a reward model."""

ACCURACIES = pa.schema(
    [
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("voting", pa.string()),
        pa.field("aggregation", pa.string()),
        pa.field("n", pa.int64(), nullable=False),
        pa.field("seed", pa.int64()),
        pa.field("accuracy", pa.float64(), nullable=False),
    ]
)
"""The columns of `accuracies.parquet`: each method's accuracy on each problem at each N, a row a seed."""


_ROUNDING = 1e-9
"""By so much a mean of accuracies may be outside [0, 1]."""


def write(evaluation: Evaluation, label_quality: LabelQuality | None, folder: Path) -> None:
    """Writes the figures.

    `summary.json` (the rows, a list), `chosen.json`, `margins.json`, `quintiles.json`, `slices.json`, `facts.json`,
    `labels.json`, and `accuracies.parquet` where the evaluation holds what it was computed from.

    Args:
        evaluation: The figures.
        label_quality: Labels beside the oracle; None, written as null, where there is no oracle.
        folder: Made if it is missing.

    Raises:
        ValueError: A figure is NaN or infinite, which JSON can't say.
        StepwardError: The disc is full or the folder can't be written.
    """
    write_json(folder / "chosen.json", [asdict(choice) for choice in evaluation.chosen])
    write_json(folder / "margins.json", [asdict(margin) for margin in evaluation.margins])
    write_json(folder / "quintiles.json", [asdict(row) for row in evaluation.quintiles])
    write_json(folder / "slices.json", [asdict(row) for row in evaluation.slices])
    write_json(folder / "facts.json", evaluation.facts)
    write_json(folder / "labels.json", asdict(label_quality) if label_quality else None)
    if evaluation.accuracies is not None:
        write_accuracies(evaluation.accuracies, folder)
    write_json(folder / "summary.json", [asdict(row) for row in evaluation.rows])


def read(folder: Path) -> tuple[Evaluation, LabelQuality | None]:
    """Reads what `write` wrote, but for `accuracies.parquet` (`read_accuracies`).

    Raises:
        StepwardError: A file is missing, is not JSON, or lacks a field.
    """
    chosen = [
        SelectedConfig(**{**row, "seeds": tuple(row["seeds"])}) for row in _rows(folder / "chosen.json", SelectedConfig)
    ]
    return (
        Evaluation(
            rows=tuple(MetricRow(**row) for row in _rows(folder / "summary.json", MetricRow)),
            chosen=tuple(chosen),
            margins=tuple(PairedDifference(**row) for row in _rows(folder / "margins.json", PairedDifference)),
            quintiles=tuple(QuintileRow(**row) for row in _rows(folder / "quintiles.json", QuintileRow)),
            slices=tuple(SliceRow(**row) for row in _rows(folder / "slices.json", SliceRow)),
            facts=_facts(folder / "facts.json"),
        ),
        _labels(folder / "labels.json"),
    )


def write_accuracies(measured: Accuracies, folder: Path) -> None:
    """Writes `accuracies.parquet`, a method and N after the other, so that no more than one is held in rows.

    Raises:
        StepwardError: The disc is full or the folder can't be written.
    """
    problems = pa.array(measured.problems, pa.string())
    path = folder / "accuracies.parquet"
    with atomic_write(path) as file, pq.ParquetWriter(file, ACCURACIES, compression="zstd") as writer:
        for names, seed, accuracy in _models(measured):
            for column, n in enumerate(measured.ns):
                same = [pa.repeat(pa.scalar(name, pa.string()), len(problems)) for name in names]
                numbers = [pa.repeat(pa.scalar(one, pa.int64()), len(problems)) for one in (n, seed)]
                values = pa.array(np.ascontiguousarray(accuracy[:, column]))
                writer.write_table(pa.Table.from_arrays([problems, *same, *numbers, values], schema=ACCURACIES))


def _models(measured: Accuracies) -> Iterator[tuple[Key, int | None, Floats]]:
    """Every method, voting and aggregation with each of its seeds' accuracies [problem, n]."""
    yield ("majority", None, None), None, measured.majority
    yield ("pass", None, None), None, measured.passed
    for use, accuracy in measured.scored.items():
        for seed, own in zip(measured.seeds[use[0]], accuracy, strict=True):
            yield use, seed, own


def accuracies_of(table: pa.Table, key: Key, n: int) -> tuple[list[str], Floats]:
    """The problems, by their ids, and one method's accuracies at N on them [seed, problem].

    Args:
        table: From `read_accuracies`.
        key: Its method, voting and aggregation.
        n: The N.

    Returns:
        No problems, and one row, where the method was not measured so; one row too where it has no seeds.

    Raises:
        StepwardError: A seed lacks some of the problems.
    """
    kept = pc.equal(table["n"], n)
    for name, value in zip(("method", "voting", "aggregation"), key, strict=True):
        column = table[name]
        kept = pc.and_(kept, pc.is_null(column) if value is None else pc.fill_null(pc.equal(column, value), False))
    found = table.filter(kept).sort_by([("seed", "ascending"), ("problem_id", "ascending")])
    seeds = max(1, len(pc.unique(found["seed"])))
    ids = np.array(found["problem_id"].to_pylist(), dtype=object).reshape(-1)
    size = len(ids) // seeds
    if len(ids) != seeds * size or (ids.reshape(seeds, size) != ids[:size]).any():
        raise StepwardError(
            f"accuracies.parquet: {key[0]} at N = {n} has other problems under one seed than under another; "
            "evaluate the run again",
            code="mismatch",
            file="accuracies.parquet",
            field="problem_id",
        )
    return ids[:size].tolist(), np.asarray(found["accuracy"].to_numpy(), dtype=np.float64).reshape(seeds, size)


def read_accuracies(folder: Path) -> pa.Table:
    """An evaluation's `accuracies.parquet`, with the columns of `ACCURACIES`.

    Args:
        folder: The evaluation's folder, `evaluation` in a run's.

    Raises:
        StepwardError: The file is missing or holds something else, or an accuracy is not in [0, 1].
    """
    path = folder / "accuracies.parquet"
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise StepwardError(f"{path}: no such file; evaluate the run first", code="unfinished", file=path) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise StepwardError(
            f"{path}: not a whole Parquet file ({error}); evaluate the run again", code="unreadable", file=path
        ) from None
    if not table.schema.equals(ACCURACIES):
        raise StepwardError(
            f"{path}: expected columns {', '.join(ACCURACIES.names)}; evaluate the run again",
            code="wrong_version",
            file=path,
        )
    accuracies = table["accuracy"].to_numpy()
    bad = np.flatnonzero(~(np.abs(accuracies - 0.5) <= 0.5 + _ROUNDING))  # also of NaN
    if len(bad):
        value = accuracies[bad[0]]
        raise StepwardError(
            f"{path}: row {bad[0] + 1}: accuracy {value} is not in [0, 1]; evaluate the run again",
            code="bad_value" if np.isfinite(value) else "not_finite",
            file=path,
            row=int(bad[0]) + 1,
            field="accuracy",
        )
    return table


def _facts(path: Path) -> dict[str, int]:
    content = _read(path)
    if not isinstance(content, dict) or not all(isinstance(value, int) for value in content.values()):
        raise StepwardError(
            f"{path}: expected an object of whole numbers; evaluate the run again", code="wrong_type", file=path
        )
    return content


def _labels(path: Path) -> LabelQuality | None:
    content = _read(path)
    if content is None:
        return None
    row = _checked(content, LabelQuality, path, "")
    by_k = [_checked(one, Agreement, path, f", row {number} of by_k") for number, one in enumerate(row["by_k"], 1)]
    whole = None if row["whole"] is None else Agreement(**_checked(row["whole"], Agreement, path, ", whole"))
    return LabelQuality(tuple(Agreement(**one) for one in by_k), whole, row["soft_auc"], row["oracle_right"])


def _rows(path: Path, record: type) -> list[dict[str, Any]]:
    content = _read(path)
    if not isinstance(content, list):
        raise StepwardError(f"{path}: expected a list of rows; evaluate the run again", code="wrong_type", file=path)
    return [_checked(row, record, path, f", row {number}", number) for number, row in enumerate(content, start=1)]


def _checked(row: Any, record: type, path: Path, where: str, number: int | None = None) -> dict[str, Any]:
    for field, reason, code in value_faults(row):
        raise StepwardError(
            f"{path}{where}: {field} {reason}; evaluate the run again", code=code, file=path, row=number, field=field
        )
    expected = set(record.__dataclass_fields__)  # type: ignore[attr-defined]
    if not isinstance(row, dict) or set(row) != expected:
        odd = sorted(set(row) ^ expected) if isinstance(row, dict) else sorted(expected)
        raise StepwardError(
            f"{path}{where}: missing or unknown fields {', '.join(odd)}; evaluate the run again",
            code="wrong_version",
            file=path,
            row=number,
            field=odd[0],
        )
    return row


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StepwardError(f"{path}: no such file; evaluate the run first", code="unfinished", file=path) from None
    except ValueError as error:
        raise StepwardError(
            f"{path}: not JSON ({error}); evaluate the run again", code="unreadable", file=path
        ) from None
