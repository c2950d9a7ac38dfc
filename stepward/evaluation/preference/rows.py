"""Rows of preference scores, read strictly: what any model gave the preferred answer and the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stepward.evaluation.error_detection.benchmarks import row_id
from stepward.evaluation.preference.reward_bench import SUBSETS_2, section_of
from stepward.formats.checks import optional_text
from stepward.rows import ErrorCollector, InvalidRow, SourceRow, iter_rows, json_type

Benchmark = Literal["rewardbench", "rewardbench2", "none"]

_LARGEST = 1e300
"""Of larger scores the sums over rows would be infinite."""


@dataclass(frozen=True, slots=True)
class PreferenceRow:
    """One row's scores.

    Attributes:
        id: Its id, once in its subset.
        row: Its place in the file, from 1.
        subset: Its subset; empty where the row names none.
        section: Its section, likewise.
        chosen: Scores of the preferred answers, mostly one.
        rejected: Scores of the others.
        margin: By how much people preferred it, where given.
    """

    id: str
    row: int
    subset: str
    section: str
    chosen: tuple[float, ...]
    rejected: tuple[float, ...]
    margin: float | None

    @property
    def score_margin(self) -> float:
        """The lowest chosen score less the highest rejected one."""
        return min(self.chosen) - max(self.rejected)

    @property
    def tied(self) -> bool:
        """Whether a chosen and a rejected answer tie on the best score."""
        return max(self.chosen) == max(self.rejected)

    @property
    def win(self) -> float:
        """1 or 0; against several the share of a win that ties leave."""
        if len(self.chosen) == len(self.rejected) == 1:
            return float(self.chosen[0] > self.rejected[0])
        return self.shared_win

    @property
    def shared_win(self) -> float:
        """The win where answers that tie on the best score share it equally."""
        best = max(*self.chosen, *self.rejected)
        return self.chosen.count(best) / (self.chosen.count(best) + self.rejected.count(best))


def read_pairs(path: Path | str) -> tuple[PreferenceRow, ...]:
    """Reads `{id, subset?, section?, chosen, rejected, margin?}` rows.

    Raises:
        StepwardError: A row can't be used, or an id stands twice in a subset.
    """
    bad = ErrorCollector(path)
    pairs: dict[tuple[str, str], PreferenceRow] = {}
    for row in iter_rows(path, bad):
        try:
            one = _pair(row)
            other = pairs.get((one.subset, one.id))
            if other is not None:
                of = f" of subset {one.subset}" if one.subset else ""
                raise InvalidRow("id", f"{one.id!r}{of} stands in row {other.row} too; keep one", code="duplicate")
        except InvalidRow as fault:
            bad.set_position(row.file, row.number, row.fields)
            bad.record(row.number, fault.field, fault.reason, fault.code)
            continue
        pairs[one.subset, one.id] = one
    bad.raise_if_any()
    return tuple(pairs.values())


def guess_benchmark(pairs: Sequence[PreferenceRow]) -> Benchmark:
    """The benchmark whose subsets all rows are of, or `none`."""
    subsets = {one.subset for one in pairs}
    if all(section_of(subset) for subset in subsets):
        return "rewardbench"
    return "rewardbench2" if subsets <= set(SUBSETS_2) else "none"


def _pair(row: SourceRow) -> PreferenceRow:
    fields = row.fields
    margin = fields.get("margin")
    return PreferenceRow(
        row_id(fields), row.number,
        optional_text(fields, "subset") or "", optional_text(fields, "section") or "",
        _scores(fields, "chosen"), _scores(fields, "rejected"),
        None if margin is None else _number(margin, "margin"),
    )  # fmt: skip


def _scores(fields: dict[str, Any], name: str) -> tuple[float, ...]:
    """A number, or a list of at least one."""
    if name not in fields:
        raise InvalidRow(name, f"missing; found {', '.join(fields) or 'no fields'}", code="missing")
    value = fields[name]
    if not isinstance(value, list):
        return (_number(value, name),)
    if not value:
        raise InvalidRow(name, "empty; expected a score, or a list of them", code="empty")
    return tuple(_number(one, f"{name}[{index}]") for index, one in enumerate(value))


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRow(name, f"expected a number, found {json_type(value)}", code="wrong_type")
    if abs(value) > _LARGEST:
        raise InvalidRow(
            name, f"a number that is too large; expected one from -{_LARGEST:g} to {_LARGEST:g}", code="too_large"
        )
    return float(value)
