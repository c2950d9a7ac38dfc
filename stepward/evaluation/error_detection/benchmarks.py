"""Benchmarks of wrong steps: ProcessBench, PRMBench and BIG-Bench-Mistake, each row with its labels and its names.

Rows are read by their formats (stepward.formats). PRMBench's error steps that point past the end of a solution, at
which the format refuses a row, are taken out first, as its public script passes over them; they are counted.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stepward.errors import StepwardError
from stepward.formats.base import Format
from stepward.formats.checks import texts
from stepward.formats.registry import FORMATS, guess, named
from stepward.labeling.filters import NO_ERROR, RIGHT_ABOVE, first_error
from stepward.records import LabelledSolution
from stepward.rows import ErrorCollector, InvalidRow, SourceRow, iter_rows, json_type

PROCESSBENCH = "processbench"
PRMBENCH = "prmbench"
BIG_BENCH_MISTAKE = "big-bench-mistake"
BENCHMARKS = (PROCESSBENCH, PRMBENCH, BIG_BENCH_MISTAKE)

_NUMBERED = re.compile(r"(.+)-\d+")


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """One row of a benchmark.

    Attributes:
        file: The file it stands in.
        number: Its row there, from 1.
        names: The ids by which a prediction may name it, the longest last.
        part: ProcessBench's part (`gsm8k`), PRMBench's classification, BIG-Bench-Mistake's task.
        labels: A label a step: 1 right, 0 wrong, None not judged (what follows a first error).
        correct: Whether the final answer is right, where the benchmark says so.
        original: How many steps PRMBench's original solution has; None elsewhere.
        past_end: How many error steps point past the end of the solution.
        repeats: How many later rows of PRMBench have its id; they are left out, as by the public script.
    """

    file: Path
    number: int
    names: tuple[str, ...]
    part: str
    labels: tuple[float | None, ...]
    correct: bool | None
    original: int | None
    past_end: int
    repeats: int = 0

    @property
    def first_error(self) -> int:
        """The first wrong step, from 0; -1 for none."""
        found = first_error(self.labels, RIGHT_ABOVE)
        return NO_ERROR if found is None else found


@dataclass(frozen=True, slots=True)
class ErrorBenchmark:
    """The rows of a benchmark's files.

    Attributes:
        name: One of `BENCHMARKS`.
        rows: Its rows, in the order of the files.
        order: For each row of the files its place in `rows`; of one that repeats an earlier id, that one's.
        numbered: Whether rows have no id of their own, and are named by their numbers.
    """

    name: str
    rows: tuple[JudgedRow, ...]
    order: tuple[int, ...]
    numbered: bool


def read_benchmark(sources: Sequence[Path | str], format: str | None = None) -> ErrorBenchmark:
    """Reads files of one benchmark.

    Args:
        sources: Files, folders or patterns (`stepward.rows.iter_rows`).
        format: One of `BENCHMARKS`; guessed from the rows if not given.

    Raises:
        StepwardError: A row can't be used or two rows have one name, the rows are of no such benchmark, or of several.
    """
    if format is not None and format not in BENCHMARKS:
        named(format)  # says what is near to an unknown name
        raise StepwardError(
            f"format {format}: expected {_expected()}, which have first errors to find",
            code="unsupported",
            field="format",
        )
    rows: list[JudgedRow] = []
    form = None if format is None else FORMATS[format]
    numbered = False
    for source in sources:
        bad = ErrorCollector(source)
        for row in iter_rows(source, bad):
            form = form or _guessed(row)
            try:
                names = _names(row, form.name)
                rows.append(_judged(row, form, names))
            except InvalidRow as fault:
                bad.set_position(row.file, row.number, row.fields)
                bad.record(row.number, fault.field, fault.reason, fault.code)
                continue
            numbered = numbered or names[0] == str(row.number)
        bad.raise_if_any()
    if form is None:
        raise StepwardError(
            f"{', '.join(map(str, sources))}: no rows; expected those of {_expected()}",
            code="empty",
            file=sources[0] if sources else None,
        )
    kept = _each_once(rows, form.name)
    places = {row.names[-1]: place for place, row in enumerate(kept)}
    return ErrorBenchmark(form.name, tuple(kept), tuple(places[row.names[-1]] for row in rows), numbered)


def row_id(fields: dict[str, Any], name: str = "id") -> str:
    """The field's id as text; InvalidRow where it is missing, or neither text nor a whole number."""
    if name not in fields:
        raise InvalidRow(name, f"missing; found {', '.join(fields) or 'no fields'}", code="missing")
    value = fields[name]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidRow(name, f"expected text or a whole number, found {json_type(value)}", code="wrong_type")
    return str(value)


def _guessed(row: SourceRow) -> Format:
    form = guess(row.fields)
    if form is None or form.name not in BENCHMARKS:
        seen = f"looks like {form.name}" if form else f"has the fields {', '.join(row.fields) or '(none)'}"
        raise StepwardError(
            f"{row.file}: row {row.number} {seen}; expected rows of {_expected()}; name the format (--format), or mend "
            "the fields (docs/first-error.md)",
            code="unsupported",
            file=row.file,
            row=row.number,
            field="--format",
        )
    return form


def _expected() -> str:
    return ", ".join(BENCHMARKS[:-1]) + f" or {BENCHMARKS[-1]}"


def _judged(row: SourceRow, form: Format, names: tuple[str, ...]) -> JudgedRow:
    past_end, original = 0, None
    if form.name == PRMBENCH:
        row, past_end = _within(row)
        original = len(texts(row.fields, "original_process", empty=True)) if "original_process" in row.fields else None
    record = form.read(row)
    if not isinstance(record, LabelledSolution):
        raise InvalidRow("", f"no row of {form.name}", code="wrong_type")
    return JudgedRow(
        row.file, row.number, names, _part(row, form.name), record.labels,
        record.correct, original, past_end,
    )  # fmt: skip


def _within(row: SourceRow) -> tuple[SourceRow, int]:
    """The row without the error steps that point past the end of its steps, and how many they were."""
    steps, errors = row.fields.get("modified_process"), row.fields.get("error_steps")
    if not isinstance(steps, list) or not isinstance(errors, list):
        return row, 0  # the format says what is wrong
    kept = [number for number in errors if type(number) is not int or number <= len(steps)]
    return row._replace(fields={**row.fields, "error_steps": kept}), len(errors) - len(kept)


def _names(row: SourceRow, benchmark: str) -> tuple[str, ...]:
    """The row's id as text, and the longer one where ids repeat between files; or its number, for rows without one."""
    field = "idx" if benchmark == PRMBENCH and "idx" in row.fields else "id"
    if row.fields.get(field) is None:
        return str(row.number), f"{_stem(row.file)}:{row.number}"
    name = row_id(row.fields, field)
    category = row.fields.get("classification")
    if benchmark == PRMBENCH and isinstance(category, str) and not name.startswith(f"{category}_"):
        return name, f"{category}_{name}"  # as the public script joins them
    return (name,)


def _part(row: SourceRow, benchmark: str) -> str:
    named_by = row.fields.get("classification" if benchmark == PRMBENCH else "id")
    if benchmark == PRMBENCH and isinstance(named_by, str):
        return named_by
    if benchmark == PROCESSBENCH and isinstance(named_by, str) and (found := _NUMBERED.fullmatch(named_by)):
        return found[1]
    return _stem(row.file)


def _stem(file: Path) -> str:
    return file.name.partition(".")[0] or file.name


def _each_once(rows: Sequence[JudgedRow], benchmark: str) -> list[JudgedRow]:
    """The rows, of which no two have one id: a repeated one is refused; PRMBench's, published so, are left out."""
    seen: dict[str, JudgedRow] = {}
    for row in rows:
        name = row.names[-1]
        if name not in seen:
            seen[name] = row
        elif benchmark == PRMBENCH:
            seen[name] = replace(seen[name], repeats=seen[name].repeats + 1)
        else:
            other = seen[name]
            where = f"{other.file}: row {other.number}" if other.file != row.file else f"row {other.number}"
            raise StepwardError(
                f"{row.file}: row {row.number}: the id {name!r} stands in {where} too; keep one",
                code="duplicate",
                file=row.file,
                row=row.number,
                field="id",
            )
    return list(seen.values())


def named_rows(rows: Sequence[JudgedRow]) -> Iterator[tuple[str, int]]:
    """Every name of every row, with the row's place."""
    for place, row in enumerate(rows):
        for name in row.names:
            yield name, place
