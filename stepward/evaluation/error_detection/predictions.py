"""What a model said of a benchmark's rows: step scores, or the first wrong step itself; each row exactly once."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepward.errors import StepwardError
from stepward.evaluation.error_detection.benchmarks import (
    BIG_BENCH_MISTAKE,
    ErrorBenchmark,
    JudgedRow,
    named_rows,
    row_id,
)
from stepward.formats.checks import integer, items
from stepward.labeling.filters import NO_ERROR
from stepward.rows import ErrorCollector, InvalidRow, SourceRow, iter_rows, json_type

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was said of one row.

    Attributes:
        id: The row's name.
        row: Where the prediction stands in its file, from 1.
        scores: A score in [0, 1] a step; None where the first wrong step itself is predicted.
        first_error: That step, from 0; -1 for none. None where scores are given, or no verdict could be read.
        original: Scores of the steps of PRMBench's original solution, where given.
    """

    id: str
    row: int
    scores: tuple[float, ...] | None
    first_error: int | None
    original: tuple[float, ...] | None


def read_predictions(path: Path | str) -> tuple[Prediction, ...]:
    """Reads `{id, step_scores}` or `{id, first_error}` rows.

    Raises:
        StepwardError: A row can't be used, or there are none, or some have scores and others first errors.
    """
    bad = ErrorCollector(path)
    found: list[Prediction] = []
    for row in iter_rows(path, bad):
        try:
            found.append(_prediction(row))
        except InvalidRow as fault:
            bad.set_position(row.file, row.number, row.fields)
            bad.record(row.number, fault.field, fault.reason, fault.code)
    bad.raise_if_any()
    for name in ("scores", "original"):
        without = [one.row for one in found if getattr(one, name) is None]
        if without and len(without) < len(found):
            field = "step_scores" if name == "scores" else "original_step_scores"
            raise StepwardError(
                f"{path}: row {without[0]} has no {field}, and other rows have; give {field} in every row or in none",
                code="missing",
                file=path,
                row=without[0],
                field=field,
            )
    return tuple(found)


def matched(benchmark: ErrorBenchmark, predictions: Sequence[Prediction], path: Path | str) -> list[Prediction]:
    """The predictions in the order of the benchmark's rows, each row with exactly one.

    They are found by their ids. Where ids repeat between a benchmark's files, as PRMBench's do, and the predictions'
    ids are the rows' ids, all of them and in the same order, it is the order that tells them apart.

    Args:
        benchmark: The rows.
        predictions: What was said of them.
        path: Their file, for messages.

    Raises:
        StepwardError: A prediction is of no row or of several, a row has several or none, a prediction has another
            number of scores than its row has steps, or names a step that is not there.
    """
    rows = benchmark.rows
    in_order = [one.id for one in predictions] == [rows[place].names[0] for place in benchmark.order]
    places: defaultdict[str, list[int]] = defaultdict(list)
    for name, place in _named(benchmark, predictions):
        places[name].append(place)
    bad = ErrorCollector(path)
    taken: dict[int, Prediction] = {}
    count: Counter[int] = Counter()
    for at, one in enumerate(predictions):
        try:
            place = benchmark.order[at] if in_order else _place(places.get(one.id, []), one, rows)
            count[place] += 1
            if 1 < count[place] <= 1 + rows[place].repeats:
                continue  # of a later row with this id, which is left out
            if place in taken:
                raise InvalidRow("id", f"{one.id!r} stands in row {taken[place].row} too; keep one", code="duplicate")
            _fits(one, rows[place], benchmark.name)
        except InvalidRow as fault:
            bad.record(one.row, fault.field, fault.reason, fault.code)
            continue
        taken[place] = one
    bad.raise_if_any()
    missing = [row for place, row in enumerate(rows) if place not in taken]
    if missing:
        shown = ", ".join(f"{row.names[-1]!r} ({row.file.name} row {row.number})" for row in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
        raise StepwardError(
            f"{path}: no prediction for {len(missing):,} of {len(rows):,} rows: {shown}{more}; every row counts, so "
            "predict them all, or leave them out of the benchmark's file",
            code="missing",
            file=path,
            field="id",
        )
    return [taken[place] for place in range(len(rows))]


def _prediction(row: SourceRow) -> Prediction:
    fields = row.fields
    name = row_id(fields)
    original = step_scores(fields, "original_step_scores") if "original_step_scores" in fields else None
    if "step_scores" in fields:
        if "first_error" in fields:
            raise InvalidRow("first_error", "beside step_scores; keep one of them", code="conflict")
        return Prediction(name, row.number, step_scores(fields, "step_scores"), None, original)
    if "first_error" not in fields:
        raise InvalidRow(
            "step_scores", f"missing; found {', '.join(fields)}; expected step_scores or first_error", code="missing"
        )
    found = None if fields["first_error"] is None else integer(fields, "first_error")
    return Prediction(name, row.number, None, found, original)


def step_scores(fields: dict[str, Any], name: str) -> tuple[float, ...]:
    """The field's list of scores in [0, 1], at least one.

    Raises:
        InvalidRow: It is none.
    """
    values = items(fields, name)
    if not values:
        raise InvalidRow(name, "empty; expected a score a step", code="empty")
    for index, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidRow(
                f"{name}[{index}]", f"expected a number from 0 to 1, found {json_type(value)}", code="wrong_type"
            )
        if not 0 <= value <= 1:
            raise InvalidRow(
                f"{name}[{index}]",
                f"{value} is outside 0 to 1; take the logistic function of logits and raw rewards",
                code="bad_value",
            )
    return tuple(float(value) for value in values)


def _named(benchmark: ErrorBenchmark, predictions: Sequence[Prediction]) -> list[tuple[str, int]]:
    """The rows' names; where rows are named by their numbers, from 0 if exactly all of those are predicted."""
    names = list(named_rows(benchmark.rows))
    if benchmark.numbered and {one.id for one in predictions} == {str(row.number - 1) for row in benchmark.rows}:
        return [(str(row.number - 1), place) for place, row in enumerate(benchmark.rows)]
    return names


def _place(places: Sequence[int], one: Prediction, rows: Sequence[JudgedRow]) -> int:
    if not places:
        raise InvalidRow(
            "id",
            f"{one.id!r} is no row of the benchmark, such as {rows[0].names[-1]!r}; leave it out",
            code="unknown_name",
        )
    if len(set(places)) > 1:
        longer = " or ".join(repr(rows[place].names[-1]) for place in places[:_SHOWN])
        raise InvalidRow("id", f"{one.id!r} names {len(places)} rows; expected {longer}", code="ambiguous")
    return places[0]


def _fits(one: Prediction, row: JudgedRow, benchmark: str) -> None:
    steps = len(row.labels)
    if one.scores is not None and len(one.scores) != steps:
        raise InvalidRow(
            "step_scores",
            f"{len(one.scores)} scores for the {steps} steps of {one.id!r}; expected {steps}",
            code="mismatch",
        )
    if one.first_error is not None and not NO_ERROR <= one.first_error < steps:
        raise InvalidRow(
            "first_error",
            f"step {one.first_error} of the {steps} steps of {one.id!r}; expected one from 0, or -1",
            code="bad_value",
        )
    if one.original is not None and len(one.original) != (row.original or 0):
        raise InvalidRow(
            "original_step_scores",
            f"{len(one.original)} scores for the {row.original or 0} steps of the original of {one.id!r}",
            code="mismatch",
        )


def verdict(one: Prediction, benchmark: str) -> int | None:
    """The first wrong step that a prediction without scores names; None where it has no verdict.

    A null is no verdict, as where ProcessBench's script could read no answer from a critic; BIG-Bench-Mistake's rows
    themselves write null for no mistake, and so may predictions of them.
    """
    if one.first_error is None and benchmark == BIG_BENCH_MISTAKE:
        return NO_ERROR
    return one.first_error
