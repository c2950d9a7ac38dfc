"""What the rows of files of scores come to: columns of all rows, and each problem's distinct answers once."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.candidates import RewardModel
from stepward.rows import InvalidRow, json_type


@dataclass(frozen=True, slots=True)
class ProblemEntry:
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
    asked: list[ProblemEntry]
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


Neutral = Literal["right", "wrong"]

_NUMBERS = {int, float}
_LEVEL = re.compile(r"[Ll]evel (\d{1,9})")
_LARGEST = 2**63 - 1
_SUM_OFF = 0.01
"""How far the three probabilities of a step may be from adding up to 1, as they are written with few digits."""


def id_of(row: dict[str, Any], field: str) -> str:
    """An id: text, or a whole number; InvalidRow where it is neither."""
    value = row.get(field)
    if type(value) is str and value:
        return value
    if type(value) is int:
        return str(value)
    found = "missing" if value is None else "empty" if value == "" else f"found {json_type(value)}"
    raise InvalidRow(
        field, f"{found}; expected text or a whole number", code="wrong_type" if value not in (None, "") else "missing"
    )


def text_of(value: Any, field: str) -> str:
    """Text without space around it, a number as Python writes it; empty for null; InvalidRow for anything else."""
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    raise InvalidRow(field, f"expected text or a number, found {json_type(value)}", code="wrong_type")


def about_of(row: dict[str, Any]) -> dict[str, int | str]:
    """What a row says of its problem, of `question` (or `problem`), `level` and `subject`; InvalidRow where it can't.

    Empty texts say nothing, and neither does a `problem` that is no text, which may be anything. A level as MATH writes
    it, `Level 5`, is its number.
    """
    found: dict[str, int | str] = {}
    for name in ("question", "problem", "subject", "level"):
        value = row.get(name)
        if value is None or value == "" or (name == "problem" and type(value) is not str):
            continue
        if name == "level":
            found[name] = _level_of(value)
        elif type(value) is str:
            found.setdefault("question" if name == "problem" else name, value)
        else:
            raise InvalidRow(
                name, f"expected text, found {json_type(value)}; mend it, or leave the field out", code="wrong_type"
            )
    return found


def _level_of(value: Any) -> int | str:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is str:
        number = _LEVEL.fullmatch(value)
        return int(number[1]) if number else value
    if type(value) is not int or abs(value) > _LARGEST:
        found = f"{short(value)}" if type(value) in _NUMBERS else json_type(value)
        raise InvalidRow(
            "level",
            f"expected text or a whole number, found {found}; mend it, or leave the field out",
            code="wrong_type",
        )
    return value


def model_of(name: str) -> RewardModel:
    """A model's name, `<name>` or `<name>/seed-<seed>`, taken apart; InvalidRow where it can't be."""
    _, found, seed = name.rpartition("/seed-")
    if not found or "/" in seed:  # a path may go on below a seed's folder
        return RewardModel(name, 0)
    try:
        return RewardModel.parse(name)
    except (StepwardError, ValueError):  # a seed of thousands of digits
        raise InvalidRow(
            "model", f"{short(name)} is not <name>/seed-<seed>, such as mine/seed-42", code="bad_value"
        ) from None


def reward_of(value: Any) -> float:
    """A reward: any finite number; InvalidRow where it is none."""
    if type(value) not in _NUMBERS:
        raise InvalidRow("score", f"expected a number, found {json_type(value)}", code="wrong_type")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidRow("score", "too large; expected a finite number", code="not_finite")
    return number


def steps_of(given: Any, steps: Any, neutral: Neutral | None) -> list[float]:
    """A row's step scores.

    Args:
        given: The field `step_scores`.
        steps: The field `steps`; where it is a list, there is to be a score for each.
        neutral: What neutral counts as in triples [wrong, neutral, right]; None where scores are numbers.

    Raises:
        InvalidRow: They can't be used.
    """
    if type(given) is not list:
        raise InvalidRow(
            "step_scores",
            f"expected a list of numbers in [0, 1], one a step, found {json_type(given)}",
            code="wrong_type",
        )
    if not given:
        raise InvalidRow("step_scores", "empty; expected a number for each step, at least one", code="empty")
    if type(steps) is list and len(steps) != len(given):
        raise InvalidRow(
            "step_scores", f"{len(given)} scores for {len(steps)} `steps`; expected one a step", code="mismatch"
        )
    if neutral is not None:
        return [_of_three(place, one, neutral) for place, one in enumerate(given)]
    # Most rows are right: a few passes in C tell; which place is wrong is looked for only then.
    if not ({*map(type, given)} <= _NUMBERS and min(given) >= 0.0 and max(given) <= 1.0):
        for place, one in enumerate(given):
            _check_score(place, one)
    return given


def _check_score(place: int, value: Any) -> None:
    field = f"step_scores[{place}]"
    if type(value) is list:
        raise InvalidRow(
            field,
            "found a list; of triples [wrong, neutral, right], say what neutral counts as: --neutral right",
            code="wrong_type",
        )
    if type(value) not in _NUMBERS:
        raise InvalidRow(field, f"expected a number in [0, 1], found {json_type(value)}", code="wrong_type")
    if not 0.0 <= value <= 1.0:
        raise InvalidRow(
            field,
            f"{value} is not in [0, 1]; put logits through the logistic function, and give a reward of any size, one a "
            "solution, as `score`",
            code="bad_value",
        )


def _of_three(place: int, value: Any, neutral: Neutral) -> float:
    """A step's score from its probabilities of wrong, neutral and right, as Let's Verify Step by Step counts them."""
    field = f"step_scores[{place}]"
    if type(value) is not list or len(value) != 3:
        found = f"a list of {len(value)}" if type(value) is list else json_type(value)
        raise InvalidRow(
            field,
            f"expected [wrong, neutral, right], found {found}; without triples leave out --neutral",
            code="wrong_type",
        )
    for one in value:
        if type(one) not in _NUMBERS or not 0.0 <= one <= 1.0:
            raise InvalidRow(
                field, f"{short(one)} is not a number in [0, 1]; expected three probabilities", code="bad_value"
            )
    total = sum(value)
    if abs(total - 1) > _SUM_OFF:
        raise InvalidRow(field, f"wrong, neutral and right add up to {total:g}; expected 1", code="bad_value")
    right = value[2] + value[1] if neutral == "right" else value[2]
    return float(right / total)


def short(value: Any) -> str:
    """The start of a value as Python writes it, for messages."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
