"""An evaluation on disk: `summary.json` and its neighbours, strict JSON that other programs read.

Each file is written whole or not at all (stepward.store), so that no reader ever sees half of one.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stepward.errors import StepwardError
from stepward.evaluation.label_quality import Agreement, LabelQuality
from stepward.evaluation.slices import QuintileRow
from stepward.evaluation.summary import Choice, Evaluation, Margin, Row
from stepward.store import write_json


def write(evaluation: Evaluation, label_quality: LabelQuality | None, folder: Path) -> None:
    """Writes `summary.json` (the rows, a list), `chosen.json`, `margins.json`, `quintiles.json` and `labels.json`.

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
    write_json(folder / "labels.json", asdict(label_quality) if label_quality else None)
    write_json(folder / "summary.json", [asdict(row) for row in evaluation.rows])


def read(folder: Path) -> tuple[Evaluation, LabelQuality | None]:
    """Reads what `write` wrote.

    Raises:
        StepwardError: A file is missing, is not JSON, or lacks a field.
    """
    chosen = [Choice(**{**row, "seeds": tuple(row["seeds"])}) for row in _rows(folder / "chosen.json", Choice)]
    return (
        Evaluation(
            rows=tuple(Row(**row) for row in _rows(folder / "summary.json", Row)),
            chosen=tuple(chosen),
            margins=tuple(Margin(**row) for row in _rows(folder / "margins.json", Margin)),
            quintiles=tuple(QuintileRow(**row) for row in _rows(folder / "quintiles.json", QuintileRow)),
        ),
        _labels(folder / "labels.json"),
    )


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
        raise StepwardError(f"{path}: expected a list of rows; evaluate the run again")
    return [_checked(row, record, path, f", row {number}") for number, row in enumerate(content, start=1)]


def _checked(row: Any, record: type, path: Path, where: str) -> dict[str, Any]:
    expected = set(record.__dataclass_fields__)  # type: ignore[attr-defined]
    if not isinstance(row, dict) or set(row) != expected:
        odd = sorted(set(row) ^ expected) if isinstance(row, dict) else sorted(expected)
        raise StepwardError(f"{path}{where}: missing or unknown fields {', '.join(odd)}; evaluate the run again")
    return row


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StepwardError(f"{path}: no such file; evaluate the run first") from None
    except ValueError as error:
        raise StepwardError(f"{path}: not JSON ({error}); evaluate the run again") from None
