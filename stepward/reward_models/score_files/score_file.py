"""Scores the rows of a file with any reward model, for `stepward evaluate scores` and `evaluate first-error`.

All rows are read and rendered before the first is scored, so that a bad one is named at once and not after hours. The
scored rows go to a file beside the wanted one, some hundred at a time; a journal says how far it is good. A scoring
that is killed anywhere and started again goes on there, and ends with the same rows as one that was never killed.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from stepward.formats.convert import Rejected, rejected_path
from stepward.reward_models.hub.scorer import gives_one_score, gives_reward
from stepward.reward_models.score_files.journal import Journal, hold
from stepward.reward_models.score_files.rows import Split, Task, TaskReader
from stepward.reward_models.scorer import Scorer
from stepward.rows import json_line
from stepward.storage.parquet import json_hash

Progress = Callable[[str, int, int | None], None]
"""Told what is being done, how many rows are done, and how many there are; None where that is not known yet."""

CHUNK = 256
"""Rows that are scored and written at once: what a kill may cost."""


@dataclass(frozen=True, slots=True)
class ScoredFile:
    """What the scoring of a file came to.

    Attributes:
        rows: Rows that were scored, in all.
        before: Of these, how many an earlier call had scored.
        scores: Scores in them.
        set_aside: Rows that could not be used.
        rejected: The file that names these; None where there are none.
    """

    rows: int
    before: int
    scores: int
    set_aside: int
    rejected: Path | None = None


def score_file(
    scorer: Scorer,
    source: Path,
    to: Path,
    *,
    name: str,
    weights: str,
    split: Split = "lines",
    set_aside: bool = False,
    progress: Progress | None = None,
) -> ScoredFile:
    """Scores every row of a file, and writes the rows with their scores, in the rows' order.

    A candidate `{problem_id, solution_id, problem | question, steps | solution, ...}` is written with all its fields,
    `model`, and `step_scores`; by a scorer that gives a solution one score, `score`: a probability, or the reward of a
    Bradley-Terry model. A row of ProcessBench, PRMBench or BIG-Bench-Mistake is written as `{id, step_scores}`.

    Args:
        scorer: What scores.
        source: JSON lines, an array or Parquet, packed or not.
        to: The JSON lines to write.
        name: What `model` says.
        weights: A mark of the model's weights and settings; a scoring goes on only where it is the same.
        split: How `solution` is split into steps, by a scorer that scores these.
        set_aside: Set rows that can't be used aside in a file of their own, instead of refusing the whole.
        progress: As `Progress`.

    Raises:
        StepwardError: A row can't be used, `to` is there already, another process writes it, or it can't be written.
    """
    told: Progress = progress or (lambda what, done, total: None)
    whole = gives_one_score(scorer)
    read = TaskReader(scorer, source, whole, split)
    rejected = Rejected(rejected_path(to))
    with hold(to, json_hash([_content(source), name, weights, whole, split, set_aside])) as journal:
        before = journal.state.rows
        with rejected if set_aside else contextlib.nullcontext():
            found = read.check(rejected.add if set_aside else None, lambda good: told("checking", good, None))
        if not journal.state.finished:
            _score_rest(scorer, read.tasks(found.bad), journal, name, lambda done: told("scoring", done, found.good))
        journal.finish()
    aside = rejected.path if rejected.count else None
    return ScoredFile(journal.state.rows, before, journal.state.scores, found.faulty, aside)


def _content(source: Path) -> str:
    """A hash of the file's bytes; nothing where reading it will say that it isn't there."""
    if not source.is_file():
        return ""
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _score_rest(
    scorer: Scorer, tasks: Iterator[Task], journal: Journal, name: str, told: Callable[[int], None]
) -> None:
    """Scores what is not done, chunk by chunk."""
    for _ in range(journal.state.rows):
        next(tasks)
    told(journal.state.rows)
    while chunk := list(islice(tasks, CHUNK)):
        scores = iter(_scores(scorer, chunk, partial(_tell, told, journal.state.rows, len(chunk))))
        rows = [_scored(task, scores, name) for task in chunk]
        count = sum(len(one) if isinstance(one, list) else 1 for row in rows for one in row.scores)
        journal.add([row.line for row in rows], count)


def _tell(told: Callable[[int], None], start: int, rows: int, done: int, total: int) -> None:
    """Says how many rows are done, of which some have two solutions."""
    told(start + done * rows // total)


def _scores(scorer: Scorer, chunk: Sequence[Task], progress: Callable[[int, int], None]) -> list[float | list[float]]:
    """The scores of all that is asked; neighbours of one question go together, which our own models read once."""
    asked = [one for task in chunk for one in task.asked]
    groups = [(text, [one.steps for one in group]) for text, group in groupby(asked, lambda one: one.question)]
    if gives_reward(scorer):
        return [reward for group in scorer.reward_many(groups, progress) for reward in group]
    found = [list(one.steps) for group in scorer.score_many(groups, progress) for one in group]
    return [one[0] for one in found] if gives_one_score(scorer) else list(found)


@dataclass(frozen=True, slots=True)
class _Row:
    line: bytes
    scores: list[float | list[float]]


def _scored(task: Task, scores: Iterator[float | list[float]], name: str) -> _Row:
    """A task's row; takes its scores from all scores."""
    own = list(islice(scores, len(task.asked)))
    given: dict[str, Any] = {one.field: found for one, found in zip(task.asked, own, strict=True)}
    return _Row(json_line({**task.kept, **given, **({"model": name} if task.candidate else {})}), own)
