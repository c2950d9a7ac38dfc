"""Grading a file: each row's answer is compared with its reference, and the row is written again with its verdict.

Rows are read, graded and written in batches, so memory stays flat however long the file is. A row that can't be
graded is set aside with its line number and reason in a file beside the graded one; nothing is skipped in silence.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from stepward.errors import StepwardError
from stepward.grading import Verdict, grade, grade_many
from stepward.grading.columns import ADDED, FieldOptions, Fields, find_fields
from stepward.grading.graders import Grader, load_grader
from stepward.rows import ErrorCollector, InvalidRow, RowError, SourceRow, json_line, read_rows
from stepward.storage.files import atomic_write

UNDECIDED = ("timeout", "memory", "crash")
"""Methods of verdicts that say nothing of the answer: grading it ran out of time or memory, or died."""

_BATCH_ROWS = 4096
_BATCH_CHARACTERS = 2**24


@dataclass
class GradingReport:
    """What became of a file's rows.

    Attributes:
        path: The file.
        to: Where the graded rows are.
        grader: The grader's name.
        rejected: Where the rows are that were set aside; None where none was.
        set_aside: How many were.
        fields: What was compared; None while no row was read.
        methods: How many verdicts each method gave, equal ones and others apart.
    """

    path: Path
    to: Path
    grader: str
    rejected: Path | None = None
    set_aside: int = 0
    fields: Fields | None = None
    methods: Counter[tuple[str, bool]] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        """How many rows were graded."""
        return self.methods.total()

    @property
    def equal(self) -> int:
        """How many answers equal their reference."""
        return sum(count for (_, equal), count in self.methods.items() if equal)

    @property
    def no_answer(self) -> int:
        """How many rows have no answer."""
        return self.methods["empty", False]

    @property
    def undecided(self) -> dict[str, int]:
        """How many verdicts say nothing of the answer, by method."""
        return {method: self.methods[method, False] for method in UNDECIDED}

    @property
    def unequal(self) -> int:
        """How many answers differ from their reference."""
        return self.rows - self.equal - self.no_answer - sum(self.undecided.values())

    def summary(self) -> dict[str, Any]:
        """The counts, for JSON."""
        by_method: Counter[str] = Counter()
        for (method, _), count in self.methods.items():
            by_method[method] += count
        return {
            "path": str(self.path),
            "to": str(self.to),
            "grader": self.grader,
            "fields": str(self.fields),
            "rows": self.rows,
            "equal": self.equal,
            "unequal": self.unequal,
            "no_answer": self.no_answer,
            **self.undecided,
            "methods": dict(sorted(by_method.items())),
            "set_aside": self.set_aside,
            "rejected": None if self.rejected is None else str(self.rejected),
        }

    def lines(self) -> list[str]:
        """The counts, for the terminal."""
        found = self.summary()
        tried = self.rows + self.set_aside
        share = f" ({self.equal / tried:.1%})" if tried else ""  # of all rows: few good ones say little of a bad file
        counts = f"{self.equal:,} equal{share}, {self.unequal:,} unequal, {self.no_answer:,} no answer"
        aside = f", {self.set_aside:,} set aside" if self.set_aside else ""
        undecided = ", ".join(f"{count:,} {method}" for method, count in self.undecided.items())
        methods = ", ".join(f"{count:,} {method}" for method, count in found["methods"].items())
        lines = [
            f"Compared by {self.grader}: {self.fields}.",
            f"{tried:,} rows: {counts}{aside}.",
            f"Undecided, counted apart from unequal: {undecided}.",
            f"By method: {methods}.",
            f"Graded rows: {self.to}",
        ]
        if self.rejected is not None:
            lines.append(f"Set aside: {self.set_aside:,}, with their reasons in {self.rejected}")
        return lines


@dataclass(frozen=True, slots=True)
class _Pair:
    row: SourceRow
    reference: str
    answer: str | None

    def line(self, verdict: Verdict, prefix: str) -> bytes:
        """The row with its verdict, as a line."""
        said = (self.answer, verdict.equal, verdict.method, verdict.reason)
        row = self.row.fields | {prefix + name: value for name, value in zip(ADDED, said, strict=True)}
        return json_line(row)


def grade_file(
    path: Path | str,
    to: Path | str | None = None,
    *,
    reference: str | None = None,
    answer: str | None = None,
    response: str | None = None,
    style: str = "auto",
    reference_style: str | None = None,
    grader: str = "math",
    prefix: str = "",
    strict: bool = False,
    workers: int | None = None,
    deadline: float = 5.0,
    on_progress: Callable[[int], None] | None = None,
) -> GradingReport:
    """Grade every row of a file, and write each with its verdict.

    A graded row keeps its fields, and has more: `extracted` (the answer that was compared, or null), `equal`, `method`
    and `reason`. A row is set aside where its reference is missing, empty or can't be graded against, or its answer
    is missing or neither text nor a number. A null answer is no answer, and graded so.

    Args:
        path: The rows: JSON lines, a JSON array or Parquet (`stepward.rows.read_rows`).
        to: The file to write, `.jsonl`; if not given, beside `path` with `.graded.jsonl` for its ending. What is set
            aside goes to the same name with `.rejected.jsonl`. Both are whole or not there.
        reference: The field of the reference answer; guessed from the first row if not given.
        answer: The field of the answer, likewise.
        response: The field of a text that states the answer, instead of `answer`.
        style: How a response marks its answer.
        reference_style: How the reference's text marks it, such as gsm8k; None where the reference is the answer.
        grader: A name for `stepward.grading.graders.load_grader`.
        prefix: Stands before the names of the added fields.
        strict: Refuse the file at its first bad row, instead of setting such rows aside.
        workers: Processes for algebra; one a core if not given.
        deadline: Seconds a verdict may take. Like `workers`, for the grader `math` alone.
        on_progress: Is told how many rows were read, batch by batch.

    Returns:
        The counts.

    Raises:
        StepwardError: The file can't be read or written, holds no rows, lacks the fields; a row holds a field that
            would be added; an unknown style or grader, or the grader failed; (`strict`) a row is bad.
    """
    path = Path(path)
    graded = GradingReport(path, _target(path, to), grader)
    compare = load_grader(grader)
    asked = FieldOptions(reference, answer, response, style, reference_style, prefix, of_math=compare is grade)
    asked.check()
    with ExitStack() as files:
        target = files.enter_context(atomic_write(graded.to))
        bad = ErrorCollector(path, _set_aside(graded, files))
        for batch in _batches(read_rows(path, bad)):
            if graded.fields is None:
                graded.fields = find_fields(batch[0], asked)
            pairs = list(_pairs(batch, graded.fields, bad))
            if strict:
                bad.raise_if_any()
            for pair, verdict in zip(pairs, _verdicts(pairs, compare, workers, deadline), strict=True):
                with _noted(pair.row, bad):
                    target.write(pair.line(verdict, prefix))
                    graded.methods[verdict.method, verdict.equal] += 1
            if on_progress is not None:
                on_progress(len(batch))
        if strict or not graded.rows:
            bad.raise_if_any()
        graded.set_aside = bad.rows
    if graded.rejected is None:
        # One of an earlier run would be taken for this one's.
        _rejected_path(graded.to).unlink(missing_ok=True)
    return graded


def _target(path: Path, to: Path | str | None) -> Path:
    """Where the graded rows go."""
    if to is None:
        stem, _, _ = path.name.partition(".")
        return path.with_name(f"{stem}.graded.jsonl")
    target = Path(to)
    if not target.name.endswith(".jsonl"):
        raise StepwardError(
            f"{target}: graded rows are written as JSON lines; expected a name that ends in .jsonl",
            code="bad_value",
            file=target,
            field="--to",
        )
    if target.resolve() == path.resolve():
        raise StepwardError(
            f"{target}: the graded rows would take the place of the rows; name another file",
            code="conflict",
            file=target,
            field="--to",
        )
    return target


def _rejected_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.rejected.jsonl")


def _set_aside(graded: GradingReport, files: ExitStack) -> Callable[[RowError], None]:
    """A sink that writes each fault as a row, to a file that is made for the first of them."""
    rejected: list[IO[bytes]] = []

    def write(fault: RowError) -> None:
        if not rejected:
            graded.rejected = _rejected_path(graded.to)
            rejected.append(files.enter_context(atomic_write(graded.rejected)))
        row = {"line": fault.row, "field": fault.field, "reason": fault.reason, "text": fault.text}
        rejected[0].write(json.dumps(row).encode("ascii") + b"\n")

    return write


def _batches(rows: Iterator[SourceRow]) -> Iterator[list[SourceRow]]:
    """The rows in batches that are bounded in rows and, as a row may be long, in characters."""
    batch: list[SourceRow] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += sum(len(value) for value in row.fields.values() if isinstance(value, str))
        if len(batch) == _BATCH_ROWS or characters > _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _pairs(batch: list[SourceRow], fields: Fields, bad: ErrorCollector) -> Iterator[_Pair]:
    for row in batch:
        with _noted(row, bad):
            yield _Pair(row, *fields.pair(row))


@contextmanager
def _noted(row: SourceRow, bad: ErrorCollector) -> Iterator[None]:
    """Notes what is found to be wrong with the row."""
    try:
        yield
    except InvalidRow as fault:
        bad.set_position(row.file, row.number, row.fields)
        bad.record(row.number, fault.field, fault.reason, fault.code)


def _verdicts(pairs: list[_Pair], grader: Grader, workers: int | None, deadline: float) -> list[Verdict]:
    if grader is grade:
        return grade_many([(pair.reference, pair.answer) for pair in pairs], workers=workers, deadline=deadline)
    verdicts: list[Verdict] = []
    for pair in pairs:
        try:
            verdicts.append(grader(pair.reference, pair.answer))
        except StepwardError as error:
            raise StepwardError(
                f"{pair.row.file}: row {pair.row.number}: {error}",
                code=error.code,
                file=pair.row.file,
                row=pair.row.number,
                field=error.field,
            ) from error
    return verdicts
