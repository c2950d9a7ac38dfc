"""Rows to be scored: candidates, and the rows of benchmarks of wrong steps, each checked before anything is scored."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stepward.errors import StepwardError
from stepward.formats.checks import text, texts
from stepward.records import split_steps
from stepward.reward_models.scorer import Scorer
from stepward.rows import ErrorCollector, InvalidRow, RowError, SourceRow, json_type, read_rows

Split = Literal["lines", "paragraphs"]

_PARAGRAPHS = re.compile(r"\n[ \t\r]*\n\s*")
_WRITTEN = ("step_scores", "score", "model")


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """One thing to be scored for a row.

    Attributes:
        field: Where its scores are written.
        question: The problem's text.
        steps: The solution's steps; where it has one score, its text as it is.
    """

    field: str
    question: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """One row to be scored.

    Attributes:
        kept: The fields that are written beside its scores.
        candidate: Whether the model's name is written, too.
        asked: What is to be scored: PRMBench's rows may have two solutions, others have one.
    """

    kept: dict[str, Any]
    candidate: bool
    asked: tuple[ScoreRequest, ...]


@dataclass(slots=True)
class RowCounts:
    """What a reading of the whole file found.

    Attributes:
        good: Rows that can be scored.
        faulty: Rows that can't, those that are no rows at all among them.
        bad: The numbers of the rows that can't.
    """

    good: int = 0
    faulty: int = 0
    bad: set[int] = field(default_factory=set)


def split_solution(solution: str, by: Split) -> tuple[str, ...]:
    """The steps of a solution's text: its lines, or its paragraphs, which empty lines part."""
    if by == "lines":
        return split_steps(solution)
    return tuple(part for part in _PARAGRAPHS.split(solution.strip()) if part.strip())


class TaskReader:
    """Reads a file's rows as tasks; twice, since checking all comes before scoring any.

    Args:
        scorer: What will score them.
        source: The file.
        whole: Whether the scorer gives a solution one score.
        split: How a `solution` is split into steps, where it gives more.
    """

    def __init__(self, scorer: Scorer, source: Path, whole: bool, split: Split) -> None:
        self._scorer, self._source = scorer, source
        self._whole, self._split = whole, split

    def check(self, sink: Callable[[RowError], None] | None, told: Callable[[int], None]) -> RowCounts:
        """Reads and renders every row.

        Args:
            sink: Is told of bad rows, which are then set aside; without it they are refused.
            told: Now and then, how many rows are good.

        Raises:
            StepwardError: There are bad rows and no sink, or no good ones.
        """
        found = RowCounts()
        bad = ErrorCollector(self._source, sink)
        for row in read_rows(self._source, bad):
            try:
                for asked in self._task(row).asked:
                    self._fits(asked)
            except InvalidRow as fault:
                bad.set_position(row.file, row.number, row.fields)
                bad.record(row.number, fault.field, fault.reason, fault.code)
                found.bad.add(row.number)
                continue
            found.good += 1
            if found.good % 100 == 0:
                told(found.good)
        if sink is None:
            bad.raise_if_any()
        if not found.good:
            raise StepwardError(
                "\n".join([f"{self._source}: no row can be scored", *bad.summary()]),
                code="bad_rows",
                file=self._source,
                faults=bad.faults,
            )
        found.faulty = bad.rows
        return found

    def tasks(self, bad: set[int]) -> Iterator[Task]:
        """The good rows, in their order."""
        for row in read_rows(self._source, ErrorCollector(self._source)):
            if row.number not in bad:
                yield self._task(row)

    def _task(self, row: SourceRow) -> Task:
        fields = row.fields
        if {"problem_id", "solution_id"} & fields.keys() or not _of_benchmark(fields):
            for name in ("problem_id", "solution_id"):
                _name_of(fields, name)
            for name in _WRITTEN:
                if name in fields:
                    raise InvalidRow(
                        name, "is there already, and would stand twice; rename or remove it", code="conflict"
                    )
            asked = ScoreRequest("score" if self._whole else "step_scores", _question(fields), self._steps(fields))
            return Task(fields, True, (asked,))
        if self._whole:
            raise InvalidRow(
                "", "asks for scores of steps, and this model gives one score a solution", code="unsupported"
            )
        return _benchmark_task(row)

    def _steps(self, fields: dict[str, Any]) -> tuple[str, ...]:
        if "steps" in fields:
            if "solution" in fields:
                raise InvalidRow("solution", "stands beside steps; keep one of them", code="conflict")
            return texts(fields, "steps")
        if "solution" not in fields:
            raise InvalidRow("steps", f"missing, and no solution; found {', '.join(fields)}", code="missing")
        solution = text(fields, "solution")
        return (solution,) if self._whole else split_solution(solution, self._split)

    def _fits(self, asked: ScoreRequest) -> None:
        try:
            self._scorer.tokens(asked.question, asked.steps)
        except StepwardError as error:
            raise InvalidRow(
                "original_process" if asked.field.startswith("original") else "", str(error), code=error.code
            ) from None


def _of_benchmark(fields: dict[str, Any]) -> bool:
    return "id" in fields or "modified_process" in fields or ("mistake_index" in fields and "input" in fields)


def _benchmark_task(row: SourceRow) -> Task:
    """A row of ProcessBench, PRMBench or BIG-Bench-Mistake, named as `stepward evaluate first-error` names it."""
    fields = row.fields
    if "modified_process" in fields:
        asked = [ScoreRequest("step_scores", text(fields, "modified_question"), texts(fields, "modified_process"))]
        if "original_process" in fields and "original_question" in fields:
            original = text(fields, "original_question"), texts(fields, "original_process")
            asked.append(ScoreRequest("original_step_scores", *original))
        return Task({"id": _prmbench_id(row)}, False, tuple(asked))
    if "mistake_index" in fields and "input" in fields:
        name = row.number if fields.get("id") is None else fields["id"]
        return Task({"id": name}, False, (ScoreRequest("step_scores", text(fields, "input"), texts(fields, "steps")),))
    _name_of(fields, "id")
    return Task({"id": fields["id"]}, False, (ScoreRequest("step_scores", _question(fields), texts(fields, "steps")),))


def _prmbench_id(row: SourceRow) -> str | int:
    """The public script's `<classification>_<idx>`, since `idx` repeats between categories; or the row's number."""
    field = "idx" if "idx" in row.fields else "id"
    if row.fields.get(field) is None:
        return row.number
    _name_of(row.fields, field)
    name, category = str(row.fields[field]), row.fields.get("classification")
    return f"{category}_{name}" if isinstance(category, str) and not name.startswith(f"{category}_") else name


def _name_of(fields: dict[str, Any], name: str) -> None:
    """InvalidRow where an id is no text and no whole number."""
    if name not in fields:
        raise InvalidRow(name, f"missing; found {', '.join(fields) or 'no fields'}", code="missing")
    value = fields[name]
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise InvalidRow(name, f"expected a name or a whole number, found {json_type(value)}", code="wrong_type")


def _question(fields: dict[str, Any]) -> str:
    if "problem" in fields and "question" in fields and fields["problem"] != fields["question"]:
        raise InvalidRow("question", "differs from problem; keep one of them", code="conflict")
    return text(fields, "question" if "question" in fields and "problem" not in fields else "problem")
