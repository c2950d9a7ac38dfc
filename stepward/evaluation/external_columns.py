"""What the rows of files of scores come to: columns of all rows, and each problem's distinct answers once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepward.evaluation.candidates import RewardModel


@dataclass(frozen=True, slots=True)
class Asked:
    """What a problem's rows say of it, each distinct answer once.

    Attributes:
        id: The problem's id.
        reference: Its reference; None where rows say `correct`.
        answers: Distinct answers, in the order in which they first appear [answer].
        correct: Whether each is right, by the rows; None where it is to be graded [answer].
        question: Its text; None where no row has it.
        level: Its difficulty, a number or text; likewise.
        subject: What it is about; likewise.
    """

    id: str
    reference: str | None
    answers: list[str]
    correct: list[bool] | None
    question: str | None = None
    level: int | str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """All rows of all files, in the order in which they were read.

    Attributes:
        files: The files.
        asked: The problems, in the order in which they first appear.
        models: The reward models, likewise.
        problem: Each row's index in `asked` [row].
        model: Each row's index in `models` [row].
        solution: The number of each row's solution id [row]; solutions of two problems may share an id.
        solution_ids: The id of each such number.
        answer: The index of its answer among its problem's; -1 for none [row].
        file: The index of its file [row].
        number: Where it stands in the file, from 1 [row].
        starts: Where its step scores begin, and the end of the last [row + 1].
        scores: Step scores, end to end [step]; one a row where `rewards`.
        rewards: Whether scores are one number of any size a solution, and not probabilities a step.
    """

    files: tuple[Path, ...]
    asked: list[Asked]
    models: list[RewardModel]
    problem: NDArray[np.int32]
    model: NDArray[np.int32]
    solution: NDArray[np.int64]
    solution_ids: Sequence[Any]
    answer: NDArray[np.int32]
    file: NDArray[np.int32]
    number: NDArray[np.int64]
    starts: NDArray[np.int64]
    scores: NDArray[np.float64]
    rewards: bool

    def place(self, row: int) -> str:
        """A row as errors name it."""
        return f"{self.files[self.file[row]]}: row {self.number[row]}"

    def solution_id(self, row: int) -> str:
        """A row's solution id."""
        return str(self.solution_ids[int(self.solution[row])])
