"""The candidates behind scores from elsewhere, kept for a report: answers, grades, scores, and the texts if any.

Measuring needs no text, so reading rows leaves them behind; what a report shows of them is read in a second pass, for
no more problems than a page can hold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stepward.evaluation.best_of_n.table import ModelScores
from stepward.evaluation.score_files.columns import Columns, id_of
from stepward.evaluation.score_files.table import TableWithIndex
from stepward.rows import ErrorCollector, ReadProgress, read_rows
from stepward.storage.parquet import read_shard, write_shard

FILE = "candidates.parquet"

MOST_CANDIDATES = 200_000
"""How many candidates, of whole problems by id, are kept: more than a page shows."""

Key = tuple[str, str]
"""A problem's id and its solution's."""

_TOLD = 16_384
"""Rows after which progress is told."""


@dataclass(frozen=True, slots=True)
class ScoredCandidate:
    """One candidate as a file of scores has it.

    Attributes:
        problem_id: Its problem.
        solution_id: Its id, unique in its problem.
        answer: Its answer; None where it has none.
        group: The number of its answer among the problem's, as the grader tells them apart; -1 without one.
        correct: Its grade.
        steps: Its steps' texts, none where the file has none; a solution that is one text is one step.
        scores: Step scores by each method's first seed, methods in order; a reward is one number.
    """

    problem_id: str
    solution_id: str
    answer: str | None
    group: int
    correct: bool
    steps: tuple[str, ...]
    scores: tuple[tuple[float, ...], ...]


def candidates_of(
    columns: Columns, tabulated: TableWithIndex, progress: Callable[[int, int], None]
) -> list[ScoredCandidate]:
    """The candidates of as many problems, by id, as are kept.

    Args:
        columns: The rows.
        tabulated: The same in order.
        progress: Told now and then how many bytes are read, and of how many.
    """
    table = tabulated.table
    kept = max(int(np.searchsorted(table.starts, MOST_CANDIDATES, side="right")) - 1, 1)
    keys = [
        (table.problems[problem], columns.solution_id(int(tabulated.rows[place])))
        for problem in range(kept)
        for place in range(int(table.starts[problem]), int(table.starts[problem + 1]))
    ]
    texts = _texts(columns.files, set(keys), progress)
    first = list({model.method: model for model in reversed(tabulated.models)}.values())[::-1]
    found = []
    for place, key in enumerate(keys):
        row = int(tabulated.rows[place])
        answer = int(columns.answer[row])
        found.append(
            ScoredCandidate(
                *key,
                columns.asked[columns.problem[row]].answers[answer] if answer >= 0 else None,
                int(table.answers[place]),
                bool(table.correct[place]),
                texts.get(key, ()),
                tuple(_scores(model, place) for model in first),
            )
        )
    return found


def _scores(model: ModelScores, place: int) -> tuple[float, ...]:
    return tuple(model.steps[model.starts[place] : model.starts[place + 1]].tolist())


def _texts(files: Sequence[Path], wanted: set[Key], progress: Callable[[int, int], None]) -> dict[Key, tuple[str, ...]]:
    """The steps' texts of these candidates, from the first row of each that has any, of whatever model."""
    meter, found = ReadProgress(), dict[Key, tuple[str, ...]]()
    meter.total = sum(path.stat().st_size for path in files)
    for path in files:
        for row in read_rows(path, ErrorCollector(path), meter):
            key = id_of(row.fields, "problem_id"), id_of(row.fields, "solution_id")
            if key in wanted and (steps := _steps(row.fields)):
                wanted.remove(key)
                found[key] = steps
            if row.number % _TOLD == 0:
                progress(meter.done, meter.total)
            if not wanted:
                return found
    return found


def _steps(fields: dict[str, Any]) -> tuple[str, ...]:
    """A row's steps, or its solution as one text; none where they are no text."""
    steps = fields.get("steps")
    if isinstance(steps, list) and steps and all(isinstance(one, str) for one in steps):
        return tuple(steps)
    whole = next((one for one in (steps, fields.get("solution")) if isinstance(one, str)), "")
    return (whole,) if whole else ()


def write_candidates(candidates: Sequence[ScoredCandidate], folder: Path) -> None:
    """Writes them as Parquet.

    Raises:
        StepwardError: The disc is full, or the folder can't be written.
    """
    write_shard(folder / FILE, candidates, ScoredCandidate)


def read_candidates(folder: Path) -> list[ScoredCandidate]:
    """Reads them.

    Raises:
        StepwardError: The file is missing, torn or of another version.
    """
    return read_shard(folder / FILE, ScoredCandidate)
