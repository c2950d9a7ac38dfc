"""The records that stages hand to one another: frozen, typed, and the same in memory, in Parquet and in JSON.

Records hold facts. Labels are functions of the counts in `StepRollouts` (stepward.labeling.labels), so another
label never means sampling again.
"""

import hashlib
from dataclasses import dataclass

SCHEMA_VERSION = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with its reference answer.

    Attributes:
        id: Unique in its set.
        question: What is asked, as the generator and the reward model see it.
        reference: The reference answer that solutions are graded against.
        level: Difficulty as the source states it; None where it states none.
        source: Where it came from: a file's name, a data set's, or the arithmetic world's split.
        subject: What it is about, as the source states it; None where it states none.
    """

    id: str
    question: str
    reference: str
    level: int | None = None
    source: str = ""
    subject: str | None = None


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
        drawn: Completions that count: those with text. 0 where the completer gave none; such a prefix has no label.
        right: Completions among them whose answer equals the reference.
        complete: True for a whole solution: nothing was sampled, `drawn` is 1 and `right` is its grade.
        completer: Who wrote the completions.
        empty: Draws in which the completer wrote nothing: they make no label, and erase none.
        failed: Draws that the engine could not give.
        fault: Why the last of them failed; empty where none did.
        tokens: Tokens that all draws have, end tokens among them.
        rule: When drawing stopped, as `labelling.stopping` writes it; what an unbiased estimate depends on.
    """

    id: str
    problem_id: str
    steps: tuple[str, ...]
    drawn: int
    right: int
    complete: bool = False
    completer: str = ""
    empty: int = 0
    failed: int = 0
    fault: str = ""
    tokens: int = 0
    rule: str = ""

    @property
    def draws(self) -> int:
        """Draws that were tried; the next one's number."""
        return 0 if self.complete else self.drawn + self.empty + self.failed


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


@dataclass(frozen=True, slots=True)
class LabelledSolution:
    """A solution with a label a step, as people and other pipelines publish them; it may branch.

    It brings its problem's text with it, so it stands alone. Where the source holds alternatives for a step, or
    several solutions of one problem, the steps form a tree: `parents` says what each step follows. One row of a
    source is one such record; `stepward.formats.branches` gives its solutions one by one.

    Attributes:
        question: What was asked; empty where the source doesn't part it from the first step.
        steps: The steps' texts, as the source writes them.
        labels: A target in [0, 1] a step, or None where a step has none.
        neutral: Which steps, by index, were called neutral; their label is None until training decides.
        parents: For each step the index of the step before it, -1 for none, always below its own index; empty where
            each step follows the one before it in `steps`.
        reference: The reference answer, where the source states one.
        answer: The solution's answer, where the source states it.
        correct: Whether the solution reaches the reference, where the source says so.
        generator: Who wrote the solution, where known.
        source: The format it was read from.
        extra: The source's fields that have no place here, as a JSON object; writing the same format brings them back.
    """

    question: str
    steps: tuple[str, ...]
    labels: tuple[float | None, ...]
    neutral: tuple[int, ...] = ()
    parents: tuple[int, ...] = ()
    reference: str | None = None
    answer: str | None = None
    correct: bool | None = None
    generator: str = ""
    source: str = ""
    extra: str = ""

    # Ids say nothing that the texts don't, and hashing is a fifth of what reading a row costs: they are not kept.
    @property
    def problem_id(self) -> str:
        """The problem's id, `question_id(question)`: one problem has one id wherever it comes from."""
        return question_id(self.question)

    @property
    def id(self) -> str:
        """The solution's id, `solution_id(problem_id, steps)`."""
        return solution_id(self.problem_id, self.steps)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a dialogue.

    Attributes:
        role: `user`, `assistant`, `system` or another that the source names; empty for plain text.
        content: The text.
    """

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Preference:
    """Two answers to one prompt, of which one was preferred.

    Attributes:
        id: A hash of the three texts.
        prompt: What both answer: turns of a dialogue, or one plain text; empty where the source has none.
        chosen: The preferred answer, likewise.
        rejected: The other.
        margin: By how much it was preferred, where the source says so.
        source: The format it was read from.
        extra: The source's fields that have no place here, as a JSON object.
    """

    id: str
    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    margin: float | None = None
    source: str = ""
    extra: str = ""


def question_id(question: str) -> str:
    """The id of a problem that is known by its text alone: a hash of it."""
    return hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def preference_id(*turns: tuple[Message, ...]) -> str:
    """The id of a preference: a hash of its prompt, its chosen and its rejected turns."""
    return _digest(tuple(part for said in turns for part in (str(len(said)), *_parts(said))))


def _parts(said: tuple[Message, ...]) -> tuple[str, ...]:
    return tuple(part for turn in said for part in (turn.role, turn.content))


def solution_id(problem_id: str, steps: tuple[str, ...]) -> str:
    """The id of a solution: its problem's id and a hash of its steps, so equal solutions have equal ids."""
    return f"{problem_id}/{_digest(steps)}"


def prefix_id(problem_id: str, steps: tuple[str, ...]) -> str:
    """The id of a prefix: its problem's id and a hash of its steps, so a shared prefix has one id."""
    return f"{problem_id}//{_digest(steps)}"


def _digest(steps: tuple[str, ...]) -> str:
    # A step may hold any character but NUL-separated lengths can't be confused with one another.
    text = "\0".join([f"{len(step)}\0{step}" for step in steps])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


STEP_SEPARATOR = "\n"


def split_steps(text: str) -> tuple[str, ...]:
    """The steps of a solution's text: its non-empty lines, without trailing white space."""
    return tuple(line.rstrip() for line in text.split(STEP_SEPARATOR) if line.strip())


def join_steps(steps: tuple[str, ...] | list[str]) -> str:
    """The text of the steps; `split_steps(join_steps(steps)) == steps` for steps that `split_steps` gave."""
    return STEP_SEPARATOR.join(steps)
