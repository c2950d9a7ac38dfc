"""The records that stages hand to one another: frozen, typed, and the same in memory, in Parquet and in JSON.

Records hold facts. Labels are functions of the counts in `StepRollouts` (stepward.labelling.rewards), so another
label never means sampling again.
"""

import hashlib
from dataclasses import dataclass

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with its reference answer.

    Attributes:
        id: Unique in its set.
        question: What is asked, as the generator and the reward model see it.
        reference: The reference answer that solutions are graded against.
        level: Difficulty as the source states it; None where it states none.
        source: Where it came from: a file's name, a data set's, or the arithmetic world's split.
    """

    id: str
    question: str
    reference: str
    level: int | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Solution:
    """One distinct attempt at a problem, as a list of steps.

    Attributes:
        id: `solution_id(problem_id, steps)`.
        problem_id: The problem it attempts.
        steps: The steps' texts, without separators; the last one states the answer.
        answer: The answer extracted from it; None where none was found.
        correct: Its grade: whether the answer equals the reference.
        copies: How many of the generator's draws had exactly these steps, at least 1.
        generator: Who wrote it.
        finished: False where the generator ran into its token limit.
    """

    id: str
    problem_id: str
    steps: tuple[str, ...]
    answer: str | None
    correct: bool
    copies: int = 1
    generator: str = ""
    finished: bool = True


@dataclass(frozen=True, slots=True)
class StepRollouts:
    """How many completions of one distinct prefix reached the reference answer.

    Attributes:
        id: `prefix_id(problem_id, steps)`.
        problem_id: The problem.
        steps: The prefix's steps, at least one.
        drawn: Completions drawn, at least 1.
        right: Completions among them whose answer equals the reference.
        complete: True for a whole solution: nothing was sampled, `drawn` is 1 and `right` is its grade.
        completer: Who wrote the completions.
    """

    id: str
    problem_id: str
    steps: tuple[str, ...]
    drawn: int
    right: int
    complete: bool = False
    completer: str = ""


@dataclass(frozen=True, slots=True)
class StepLabels:
    """Training targets of a solution's steps.

    Attributes:
        solution_id: The solution.
        problem_id: Its problem.
        kind: `hard`, `soft`, `er`, `orm` or `oracle`.
        labels: A target in [0, 1] a step, or None where a step has none.
        eta: The entropy-regularised label's inverse temperature; None for the other kinds.
    """

    solution_id: str
    problem_id: str
    kind: str
    labels: tuple[float | None, ...]
    eta: float | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """What one reward model gives one solution.

    Attributes:
        solution_id: The solution.
        problem_id: Its problem.
        model: The reward model: `<kind>/seed-<seed>`.
        scores: A score in [0, 1] at each step's last token.
    """

    solution_id: str
    problem_id: str
    model: str
    scores: tuple[float, ...]


def solution_id(problem_id: str, steps: tuple[str, ...]) -> str:
    """The id of a solution: its problem's id and a hash of its steps, so equal solutions have equal ids."""
    return f"{problem_id}/{_digest(steps)}"


def prefix_id(problem_id: str, steps: tuple[str, ...]) -> str:
    """The id of a prefix: its problem's id and a hash of its steps, so a shared prefix has one id."""
    return f"{problem_id}//{_digest(steps)}"


def _digest(steps: tuple[str, ...]) -> str:
    # A step may hold any character but NUL-separated lengths can't be confused with one another.
    text = "\0".join(f"{len(step)}\0{step}" for step in steps)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
