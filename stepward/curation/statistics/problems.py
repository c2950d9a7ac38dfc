"""What problems are like: how long, of which level and subject, and what stands twice."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stepward.curation.statistics.duplicates import ConflictCounter, DuplicateCounter
from stepward.curation.statistics.lengths import CountTokens, Cut, LengthCounter, Lengths, cuts, summarise, unit
from stepward.records import Problem


@dataclass(frozen=True, slots=True)
class ProblemStatistics:
    """What a source's problems are like.

    Attributes:
        problems: How many.
        unit: What `lengths` counts: `tokens` or `characters`.
        lengths: Of the questions.
        cuts: What limits on them would cut.
        references: Problems with a reference.
        distinct_references: Different references among them.
        levels: How many of each level; `none` for those without.
        subjects: Likewise.
        repeated_questions: Problems beyond the first with the same question, by its exact text.
        conflicting_references: Questions that stand with different references.
        empty_questions: Problems without a question.
    """

    problems: int
    unit: str
    lengths: Lengths
    cuts: tuple[Cut, ...]
    references: int
    distinct_references: int
    levels: dict[str, int]
    subjects: dict[str, int]
    repeated_questions: int
    conflicting_references: int
    empty_questions: int


class ProblemCounts:
    """Counts problems as they come, in memory that does not grow by more than some hashes each.

    Args:
        count_tokens: How tokens are counted; None counts characters.
    """

    def __init__(self, count_tokens: CountTokens | None) -> None:
        self._unit = unit(count_tokens)
        self._lengths: Counter[int] = Counter()
        self._measure = LengthCounter(count_tokens, self._take_length)
        self._questions, self._references = DuplicateCounter(), DuplicateCounter()
        self._answers = ConflictCounter()
        self._levels: Counter[str] = Counter()
        self._subjects: Counter[str] = Counter()
        self._problems = self._with_reference = self._empty = 0

    def add(self, record: Problem) -> None:
        """Take one in."""
        self._problems += 1
        self._measure.add(record.question)
        self._levels["none" if record.level is None else str(record.level)] += 1
        self._subjects[record.subject or "none"] += 1
        self._questions.add(record.question)
        self._empty += not record.question.strip()
        if record.reference:
            self._with_reference += 1
            self._references.add(record.reference)
            self._answers.add(record.question, record.reference)

    def finish(self, max_lengths: Sequence[int]) -> ProblemStatistics:
        """The summary."""
        self._measure.flush()
        return ProblemStatistics(
            self._problems, self._unit, summarise(self._lengths), cuts(self._lengths, max_lengths),
            self._with_reference, self._references.distinct(), dict(sorted(self._levels.items())),
            dict(sorted(self._subjects.items())), self._questions.repeated(), self._answers.count(), self._empty,
        )  # fmt: skip

    def _take_length(self, length: int) -> None:
        self._lengths[length] += 1
