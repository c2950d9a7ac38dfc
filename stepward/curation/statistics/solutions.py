"""What labelled solutions are like: how long, how right, how their labels lie, and what stands twice."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stepward.curation.statistics.duplicates import ConflictCounter, DuplicateCounter
from stepward.curation.statistics.labels import TAIL, THRESHOLD, LabelBalance, LabelCounts, first_error
from stepward.curation.statistics.lengths import CountTokens, Cut, LengthCounter, Lengths, cuts, summarise, unit
from stepward.formats import iter_branches
from stepward.records import LabelledSolution


@dataclass(frozen=True, slots=True)
class Grades:
    """Which solutions are right.

    Attributes:
        correct: How many are.
        incorrect: How many are not.
        unknown: How many neither the source nor their last label tell of.
        stated: How many of the first two the source states; the others go by their last label, above 0.5 or not.
    """

    correct: int
    incorrect: int
    unknown: int
    stated: int


@dataclass(frozen=True, slots=True)
class FirstErrors:
    """Where the first negative label stands.

    Attributes:
        at: How many solutions have it at each step, from the first on; those after `TAIL` steps together, as one more.
        none: How many have labels, none of them negative.
        unlabelled: How many have no label.
    """

    at: tuple[int, ...]
    none: int
    unlabelled: int


@dataclass(frozen=True, slots=True)
class SolutionStatistics:
    """What a source's solutions are like; a row that branches holds several.

    Attributes:
        solutions: How many.
        branching: How many rows hold several.
        problems: Distinct questions, by their exact text.
        per_problem: Solutions a problem.
        grades: Which are right.
        steps: Steps a solution.
        unit: What `lengths` counts: `tokens` or `characters`.
        lengths: Of the question and the steps as one text, a newline between each two; no special tokens are added.
        cuts: What length limits would cut.
        labels: All steps' labels.
        by_position: The labels at each step from the first on; those after `TAIL` steps together, as one more.
        first_errors: Where the first negative label stands.
        repeated_solutions: Solutions beyond the first with the same question and steps.
        conflicting_labels: Solutions that stand several times with different labels.
        conflicting_references: Questions that stand with different references.
        empty_questions: Rows without a question.
        no_steps: Rows without a step.
    """

    solutions: int
    branching: int
    problems: int
    per_problem: Lengths
    grades: Grades
    steps: Lengths
    unit: str
    lengths: Lengths
    cuts: tuple[Cut, ...]
    labels: LabelBalance
    by_position: tuple[LabelBalance, ...]
    first_errors: FirstErrors
    repeated_solutions: int
    conflicting_labels: int
    conflicting_references: int
    empty_questions: int
    no_steps: int


class SolutionCounts:
    """Counts solutions as they come, in memory that does not grow by more than some hashes each.

    Args:
        count_tokens: How tokens are counted; None counts characters.
    """

    def __init__(self, count_tokens: CountTokens | None) -> None:
        self._unit = unit(count_tokens)
        self._lengths: Counter[int] = Counter()
        self._measure = LengthCounter(count_tokens, self._take_length)
        self._steps: Counter[int] = Counter()
        self._grades: Counter[tuple[bool | None, bool]] = Counter()
        self._labels = LabelCounts()
        self._errors: Counter[int | None] = Counter()
        self._problems = DuplicateCounter()
        self._solutions = DuplicateCounter()
        self._versions = ConflictCounter()
        self._references = ConflictCounter()
        self._branching = self._unlabelled = self._empty = self._stepless = 0

    def add(self, record: LabelledSolution) -> None:
        """Take in one row's solution, or solutions."""
        self._labels.add(record)
        if not record.question.strip():
            self._empty += 1
        elif record.reference is not None:
            self._references.add(record.problem_id, record.reference)
        if not record.steps:
            self._stepless += 1
        if record.parents:
            self._branching += 1
            for path in iter_branches(record):
                self._add_path(path)
        else:
            self._add_path(record)

    def finish(self, max_lengths: Sequence[int]) -> SolutionStatistics:
        """The summary, with what each of the limits would cut."""
        self._measure.flush()
        grades = {value: self._grades[value, True] + self._grades[value, False] for value in (True, False, None)}
        stated = self._grades[True, True] + self._grades[False, True]
        times = self._problems.times()
        last = max((at for at in self._errors if at is not None), default=-1)
        return SolutionStatistics(
            solutions=self._steps.total(),
            branching=self._branching,
            problems=times.total(),
            per_problem=summarise(times),
            grades=Grades(grades[True], grades[False], grades[None], stated),
            steps=summarise(self._steps),
            unit=self._unit,
            lengths=summarise(self._lengths),
            cuts=cuts(self._lengths, max_lengths),
            labels=self._labels.balance(),
            by_position=tuple(self._labels.by_position()),
            first_errors=FirstErrors(
                tuple(self._errors[at] for at in range(last + 1)), self._errors[None], self._unlabelled
            ),
            repeated_solutions=self._solutions.repeated(),
            conflicting_labels=self._versions.count(),
            conflicting_references=self._references.count(),
            empty_questions=self._empty,
            no_steps=self._stepless,
        )

    def _add_path(self, path: LabelledSolution) -> None:
        steps, labels = path.steps, path.labels
        self._steps[len(steps)] += 1
        self._measure.add("\n".join((path.question, *steps) if path.question else steps))
        if path.question:
            self._problems.add(path.problem_id)
        self._solutions.add(path.id)
        last = labels[-1] if labels else None
        if path.correct is not None:
            self._grades[path.correct, True] += 1
        else:
            self._grades[None if last is None else last > THRESHOLD, False] += 1
        if last is None and not any(label is not None for label in labels):
            self._unlabelled += 1
            return
        self._versions.add(path.id, (labels, path.neutral))
        error = first_error(labels)
        self._errors[error if error is None else min(error, TAIL)] += 1

    def _take_length(self, length: int) -> None:
        self._lengths[length] += 1
