"""Files of scores that other tools wrote, read row by row into columns (`stepward.evaluation.score_files.columns`).

A row is `{problem_id, solution_id, answer, reference | correct, step_scores}`. A file may hold millions, so a row
becomes a few numbers at the ends of arrays; texts that return, such as the answers of one problem, are kept once.
Nothing is mended or left out: what can't be used is named by file, row and field. `docs/external-scores.md` states the
format.
"""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stepward.answer_extraction import reference_fault
from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.candidates import RewardModel
from stepward.evaluation.score_files.columns import (
    Columns,
    Neutral,
    ProblemEntry,
    about_of,
    id_of,
    model_of,
    reward_of,
    short,
    steps_of,
    text_of,
)
from stepward.rows import ErrorCollector, InvalidRow, ReadProgress, json_type, read_rows

METHOD = "score"
"""The method's name where rows name no model."""

_CHUNK = 16_384
"""Rows whose ids are put into a column at once."""


def read_columns(
    files: Sequence[Path],
    *,
    neutral: Neutral | None = None,
    of_math: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Columns:
    """Reads every row of the files.

    Args:
        files: JSON lines, JSON arrays or Parquet (`stepward.rows.read_rows`). Several are several models or seeds:
            where a file's rows name no model, they are seed 0, 1, ... of `score`, in the files' order.
        neutral: Step scores are triples [wrong, neutral, right], and neutral counts as this; None for numbers.
        of_math: Whether the grader is the one of mathematics, whose references must be such that it can use them.
        progress: Told now and then how many bytes are read, and of how many.

    Raises:
        StepwardError: A file can't be read or holds no rows; rows can't be used, or contradict one another.
    """
    if not files:
        raise StepwardError("no file of scores was given; expected at least one", code="missing", field="files")
    paths = tuple(Path(file) for file in files)
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise StepwardError(f"{twice}: given twice; name each file once", code="duplicate", file=twice)
    for path in paths:
        if not path.exists():
            raise StepwardError(f"{path}: no such file; check the path", code="file_not_found", file=path)
    meter = ReadProgress()
    meter.total = sum(path.stat().st_size for path in paths)
    reader = _Reader(paths, neutral, of_math)
    for index, path in enumerate(paths):
        bad = ErrorCollector(path)
        reader.begin(index)
        for row in read_rows(path, bad, meter):
            try:
                reader.take(row.number, row.fields)
            except InvalidRow as fault:
                bad.set_position(row.file, row.number, row.fields)
                bad.record(row.number, fault.field, fault.reason, fault.code)
            if row.number % _CHUNK == 0:
                progress(meter.done, meter.total)
        bad.raise_if_any()
    return reader.columns()


@dataclass(slots=True)
class _Problem:
    """What is known of a problem so far, and which rows, by their index, said so first."""

    id: str
    reference: str | None
    row: int
    answers: dict[str, int]
    correct: list[bool]
    rows: "array[int]"
    about: dict[str, tuple[Any, int]] = field(default_factory=dict)


class _Reader:
    def __init__(self, files: tuple[Path, ...], neutral: Neutral | None, of_math: bool) -> None:
        self._files, self._neutral, self._of_math = files, neutral, of_math
        self._problems: dict[str, int] = {}
        self._known: list[_Problem] = []
        self._names: dict[str, int] = {}
        self._models: dict[RewardModel, str] = {}
        self._problem, self._model, self._answer, self._file = array("i"), array("i"), array("i"), array("i")
        self._number, self._starts, self._scores = array("q"), array("q", [0]), array("d")
        self._ids: list[str] = []
        self._chunks: list[pa.Array] = []
        # What the first row has, all must have: (the field, the row that said so).
        self._scored: tuple[str, str] | None = None
        self._graded: tuple[str, str] | None = None
        self._at = 0
        self._named: bool | None = None

    def begin(self, index: int) -> None:
        """The rows of another file come."""
        self._at = index
        self._named = None

    def take(self, number: int, row: dict[str, Any]) -> None:
        """Appends one row; InvalidRow where it can't be used."""
        problem_id, solution_id = id_of(row, "problem_id"), id_of(row, "solution_id")
        model = self._model_of(row)
        scores = self._scores_of(number, row)
        answer = self._answer_of(number, problem_id, row)
        self._know(problem_id, about_of(row))
        self._ids.append(solution_id)
        if len(self._ids) == _CHUNK:
            self._flush()
        self._problem.append(self._problems[problem_id])
        self._model.append(model)
        self._answer.append(answer)
        self._file.append(self._at)
        self._number.append(number)
        self._scores.extend(scores)
        self._starts.append(len(self._scores))

    def columns(self) -> Columns:
        """All that was taken."""
        self._flush()
        ids = pa.chunked_array(self._chunks, pa.large_string()).dictionary_encode().combine_chunks()
        by_correct = self._graded is not None and self._graded[0] == "correct"
        return Columns(
            files=self._files,
            asked=[
                ProblemEntry(
                    one.id,
                    one.reference,
                    list(one.answers),
                    one.correct if by_correct else None,
                    **{name: value for name, (value, _) in one.about.items()},
                )
                for one in self._known
            ],
            models=list(self._models),
            problem=np.frombuffer(self._problem, np.int32),
            model=np.frombuffer(self._model, np.int32),
            solution=ids.indices.to_numpy(zero_copy_only=False).astype(np.int64),
            solution_ids=ids.dictionary,
            answer=np.frombuffer(self._answer, np.int32),
            file=np.frombuffer(self._file, np.int32),
            number=np.frombuffer(self._number, np.int64),
            starts=np.frombuffer(self._starts, np.int64),
            scores=np.frombuffer(self._scores, np.float64),
            rewards=self._scored is not None and self._scored[0] == "score",
        )

    def _flush(self) -> None:
        self._chunks.append(pa.array(self._ids, pa.large_string()))
        self._ids = []

    def _row(self, number: int, file: int | None = None) -> str:
        path = self._files[self._at if file is None else file]
        return f"row {number} of {path}" if len(self._files) > 1 else f"row {number}"

    def _before(self, index: int) -> str:
        """A row that was taken before, as errors name it."""
        return self._row(self._number[index], self._file[index])

    def _model_of(self, row: dict[str, Any]) -> int:
        given = row.get("model")
        if self._named is None:
            self._named = given is not None
        if self._named != (given is not None):
            raise InvalidRow(
                "model",
                "some rows of the file name a model and others don't; name it in all or in none",
                code="missing",
            )
        if given is None:
            given = METHOD if len(self._files) == 1 else f"{METHOD}/seed-{self._at}"
        elif not isinstance(given, str):
            raise InvalidRow(
                "model", f"expected a name, or <name>/seed-<seed>, found {json_type(given)}", code="wrong_type"
            )
        index = self._names.get(given)
        return self._add_model(given) if index is None else index

    def _add_model(self, name: str) -> int:
        model = model_of(name)
        if model.kind in ("majority", "pass") or not model.kind.strip():
            raise InvalidRow(
                "model",
                f"{name!r} can't be a model's name: majority and pass are methods; use another",
                code="conflict",
            )
        if not name.isprintable():
            raise InvalidRow(
                "model", f"{short(name)} holds a control character; expected a plain name", code="bad_value"
            )
        other = self._models.setdefault(model, name)
        if other != name:
            raise InvalidRow(
                "model",
                f"{name!r} and {other!r} are one name of seed {model.seed}; rename one of them",
                code="duplicate",
            )
        return self._names.setdefault(name, len(self._models) - 1)

    def _scores_of(self, number: int, row: dict[str, Any]) -> list[float]:
        steps, reward = row.get("step_scores"), row.get("score")
        field = "step_scores" if steps is not None else "score"
        if steps is None and reward is None:
            if "step_scores" in row:
                raise InvalidRow(
                    "step_scores", "null; expected a list of numbers in [0, 1], one a step", code="missing"
                )
            raise InvalidRow(
                "step_scores",
                "missing; expected a list of numbers in [0, 1], one a step, or `score`: one number of any size",
                code="missing",
            )
        if self._scored is None:
            self._scored = (field, self._row(number))
        if self._scored[0] != field:
            raise InvalidRow(
                field, f"{self._scored[1]} has `{self._scored[0]}`; give all rows the one or the other", code="mismatch"
            )
        if field == "score":
            if self._neutral is not None:
                raise InvalidRow("score", "--neutral is for step_scores of triples; leave it out", code="conflict")
            return [reward_of(reward)]
        return steps_of(steps, row.get("steps"), self._neutral)

    def _answer_of(self, number: int, problem_id: str, row: dict[str, Any]) -> int:
        """The number of the row's answer among its problem's, which is made known if it is not yet."""
        if "answer" not in row:
            raise InvalidRow(
                "answer", "missing; expected the solution's final answer, or null where it has none", code="missing"
            )
        text = text_of(row["answer"], "answer")
        correct = row.get("correct")
        by = "correct" if correct is not None else "reference"
        if self._graded is None:
            self._graded = (by, self._row(number))
        if self._graded[0] != by:
            has = "has `correct`" if by == "reference" else "has none, only `reference`"
            raise InvalidRow(
                "correct", f"{self._graded[1]} {has}; give `correct` in every row, or in none", code="mismatch"
            )
        if by == "correct" and not isinstance(correct, bool):
            raise InvalidRow("correct", f"expected true or false, found {json_type(correct)}", code="wrong_type")
        reference = self._reference_of(row) if by == "reference" else None
        problem = self._problem_of(problem_id, reference)
        if not text:
            if correct:
                raise InvalidRow("correct", "true, but there is no answer; give the answer, or false", code="mismatch")
            return -1
        index = problem.answers.get(text)
        if index is None:
            index = problem.answers[text] = len(problem.answers)
            problem.correct.append(bool(correct))
            problem.rows.append(len(self._number))
        elif by == "correct" and problem.correct[index] != correct:
            says, said = ("right", "wrong") if correct else ("wrong", "right")
            before = self._before(problem.rows[index])
            reason = f"answer {short(text)} of problem {short(problem_id)} is {says} here and {said} in {before}"
            raise InvalidRow(
                "correct", f"{reason}; grade equal answers alike, or give `reference` instead", code="mismatch"
            )
        return index

    def _know(self, problem_id: str, about: dict[str, int | str]) -> None:
        """What a row says of its problem beside the reference, the same in all rows that say it."""
        problem = self._known[self._problems[problem_id]]
        for name, value in about.items():
            known, row = problem.about.setdefault(name, (value, len(self._number)))
            if known != value:
                reason = f"{short(value)}, but in {self._before(row)} the same problem {short(problem_id)} has"
                raise InvalidRow(name, f"{reason} {short(known)}; give a problem one {name}", code="mismatch")

    def _reference_of(self, row: dict[str, Any]) -> str:
        text = text_of(row.get("reference"), "reference")
        if not text:
            raise InvalidRow(
                "reference",
                "missing; expected `reference`, the problem's right answer, or `correct`: true or false",
                code="missing",
            )
        return text

    def _problem_of(self, problem_id: str, reference: str | None) -> _Problem:
        index = self._problems.get(problem_id)
        if index is None:
            if reference is not None and self._of_math:
                _check_reference(reference)
            self._problems[problem_id] = len(self._known)
            self._known.append(_Problem(problem_id, reference, len(self._number), {}, [], array("q")))
            return self._known[-1]
        known = self._known[index]
        if known.reference != reference:
            reason = f"{short(reference)}, but in {self._before(known.row)} the same problem {short(problem_id)} has"
            raise InvalidRow(
                "reference", f"{reason} {short(known.reference)}; give a problem one reference", code="mismatch"
            )
        return known


def _check_reference(text: str) -> None:
    """InvalidRow where mathematics can't be graded against the reference."""
    if "####" in text:
        raise InvalidRow(
            "reference", "a worked solution, not an answer; give what stands after its ####", code="bad_value"
        )
    if (fault := reference_fault(text)) is not None:
        raise InvalidRow("reference", f"can't be graded against: {fault}", code="bad_value")
