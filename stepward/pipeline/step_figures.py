"""A run's figures of steps, as its page shows them: calibration and first errors, with their intervals."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stepward.errors import StepwardError
from stepward.evaluation.calibration import Bin, Reliability
from stepward.evaluation.stats.bootstrap import seed_std
from stepward.storage.parquet import read_json

if TYPE_CHECKING:
    from stepward.report.data import ErrorsFound


def calibration(folder: Path) -> dict[str, Reliability]:
    """Reliability by kind; nothing where the run has no labels to measure it by."""
    path = folder / "calibration.json"
    if not path.exists():
        return {}
    try:
        return {
            row["method"]: Reliability(
                bins=tuple(Bin(**bin) for bin in row["bins"]), ece=row["ece"], brier=row["brier"], auc=row["auc"]
            )
            for row in read_json(path)
        }
    except (KeyError, TypeError) as error:
        raise StepwardError(
            f"{path}: a row lacks {error}; evaluate the run again", code="wrong_version", file=path
        ) from None


def intervals(folder: Path) -> dict[str, dict[str, str]]:
    """The intervals of calibration figures in words, by kind and figure; an older run's rows have none."""
    path = folder / "calibration.json"
    rows = read_json(path) if path.exists() else []
    return {row["method"]: {name: _ends(row, name, "{:.3f}".format) for name in ("brier", "auc")} for row in rows}


def _ends(row: Mapping[str, Any], name: str, told: Callable[[float], str]) -> str:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return "" if low is None or high is None else f"{told(low)} to {told(high)}"


def errors(folder: Path) -> "tuple[ErrorsFound, ...]":
    """How well each kind finds first errors, over its seeds; nothing where the run has no oracle."""
    from stepward.report.data import ErrorsFound
    from stepward.report.run.text import percent

    path = folder / "first-errors.json"
    rows = read_json(path) if path.exists() else []
    try:
        kinds = dict.fromkeys(row["method"] for row in rows)
        of = {kind: [row for row in rows if row["method"] == kind] for kind in kinds}
        return tuple(
            ErrorsFound(
                kind,
                f1=_with_deviation([row["f1"] for row in seeds]),
                with_error=_with_deviation([row["with_error"] for row in seeds]),
                without_error=_with_deviation([row["without_error"] for row in seeds]),
                f1_interval=_ends(seeds[0], "kind_f1", percent),
            )
            for kind, seeds in of.items()
        )
    except (KeyError, TypeError) as error:
        raise StepwardError(
            f"{path}: a row lacks {error}; evaluate the run again", code="wrong_version", file=path
        ) from None


def _with_deviation(shares: Sequence[float | None]) -> str:
    from stepward.report.run.text import percent

    known = np.array([share for share in shares if share is not None])
    if len(known) < len(shares):
        return ""
    deviation = seed_std(known)
    return percent(float(known.mean())) + (f" ± {percent(deviation)}" if deviation is not None else "")
