"""Every problem's candidates end to end in columns: what all methods choose from, at any size.

Records are pleasant for a run's thousands of solutions; 100,000 problems with 1,860 candidates each are not held as
objects. So measuring works on these columns, whether they came from a run's records or from a file of scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CandidateTable:
    """The candidates of all problems, those of one problem together.

    Attributes:
        problems: The problems' ids [problem], each once.
        starts: Where each problem's candidates begin, and the end of the last [problem + 1].
        answers: The number of each candidate's answer within its problem, from 0 in the order of first appearance;
            -1 for a candidate without an answer [candidate]. Equal answers, by the grader, have one number.
        correct: Grades [candidate], the same for candidates with one answer.
        copies: How many draws each candidate stands for, at least 1 [candidate].
    """

    problems: Sequence[str]
    starts: NDArray[np.int64]
    answers: NDArray[np.int32]
    correct: NDArray[np.bool_]
    copies: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ModelScores:
    """What one reward model gives every candidate of a table.

    Attributes:
        method: The model's kind, or `score` for scores from elsewhere.
        seed: Its seed; 0 where it has none.
        steps: Step scores of all candidates, end to end [step].
        starts: Where each candidate's step scores begin, and the end of the last [candidate + 1]; shared by models.
    """

    method: str
    seed: int
    steps: Floats
    starts: NDArray[np.int64]
