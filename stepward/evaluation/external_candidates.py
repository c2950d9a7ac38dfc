"""The candidates behind scores from elsewhere, kept for a report: answers, grades, scores, and the texts if any.

Measuring needs no text, so reading rows leaves them behind; what a report shows of them is read in a second pass, for
no more problems than a page can hold.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepward.evaluation.external_columns import Columns
from stepward.evaluation.external_table import Tabulated
from stepward.evaluation.table import ModelScores
from stepward.rows import BadRows, read_rows
from stepward.store import read_shard, write_shard

FILE = "candidates.parquet"

MOST_CANDIDATES = 200_000
"""Of how many candidates, of whole problems by id, texts are kept: more than a page shows."""


@dataclass(frozen=True, slots=True)
class ScoredCandidate:
    """One candidate as a file of scores has it.

    Attributes:
        problem_id: Its problem.
        question: The problem's text; empty where the file has none.
        reference: The problem's right answer; empty where the rows say `correct`.
        level: The problem's level; None where it is no number.
        subject: Its subject.
        solution_id: The candidate's id, unique in its problem.
        answer: Its answer; None where it has none.
        group: The number of its answer among the problem's, as the grader tells them apart; -1 without one.
        correct: Its grade.
        steps: Its steps' texts, none where the file has none.
        scores: Step scores by each method's first seed, methods in order; a reward is one number.
    """

    problem_id: str
    question: str
    reference: str
    level: int | None
    subject: str | None
    solution_id: str
    answer: str | None
    group: int
    correct: bool
    steps: tuple[str, ...]
    scores: tuple[tuple[float, ...], ...]


def candidates_of(columns: Columns, tabulated: Tabulated) -> list[ScoredCandidate]:
    """The candidates of as many problems, by id, as are kept."""
    table = tabulated.table
    kept = max(int(np.searchsorted(table.starts, MOST_CANDIDATES, side="right")) - 1, 1)
    texts = _texts(columns, tabulated.rows[: table.starts[kept]])
    first = list({model.method: model for model in reversed(tabulated.models)}.values())[::-1]
    found = []
    for problem in range(kept):
        asked = columns.asked[tabulated.asked[problem]]
        for place in range(int(table.starts[problem]), int(table.starts[problem + 1])):
            row = int(tabulated.rows[place])
            answer = int(columns.answer[row])
            found.append(
                ScoredCandidate(
                    asked.id,
                    asked.question or "",
                    asked.reference or "",
                    asked.level if isinstance(asked.level, int) else None,
                    asked.subject,
                    columns.solution_id(row),
                    asked.answers[answer] if answer >= 0 else None,
                    int(table.answers[place]),
                    bool(table.correct[place]),
                    texts[place],
                    tuple(_scores(model, place) for model in first),
                )
            )
    return found


def _scores(model: ModelScores, place: int) -> tuple[float, ...]:
    return tuple(model.steps[model.starts[place] : model.starts[place + 1]].tolist())


def _texts(columns: Columns, rows: NDArray[np.int64]) -> list[tuple[str, ...]]:
    """The steps' texts of these rows, read from their files again."""
    places: dict[int, dict[int, int]] = {}
    for place, row in enumerate(rows.tolist()):
        places.setdefault(int(columns.file[row]), {})[int(columns.number[row])] = place
    found: list[tuple[str, ...]] = [()] * len(rows)
    for file, wanted in places.items():
        for number, fields in _again(columns.files[file]):
            if number in wanted:
                found[wanted[number]] = _steps(fields)
    return found


def _again(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for row in read_rows(path, BadRows(path)):
        yield row.number, row.fields


def _steps(fields: dict[str, Any]) -> tuple[str, ...]:
    """A row's steps, or its solution as one text; none where they are no text."""
    steps = fields.get("steps", [fields.get("solution")])
    return tuple(steps) if isinstance(steps, list) and all(isinstance(one, str) for one in steps) else ()


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
