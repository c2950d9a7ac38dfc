"""What a user wants to know of a source before training on it: one pass, whatever its format and size.

Memory stays flat but for what finds duplicates (8 to 16 bytes a row for each kind of them) and a counter of the
distinct lengths, so percentiles are exact.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stepward import formats
from stepward.curation.dedup.two_pass import with_rows
from stepward.curation.statistics.duplicates import DuplicateCounter
from stepward.curation.statistics.lengths import CountTokens
from stepward.curation.statistics.preferences import PreferenceCounts, PreferenceStatistics
from stepward.curation.statistics.problems import ProblemCounts, ProblemStatistics
from stepward.curation.statistics.solutions import SolutionCounts, SolutionStatistics
from stepward.errors import StepwardError
from stepward.records import LabelledSolution, Preference, Problem
from stepward.rows import RowError, json_line


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a source is like; of the three parts those are there whose kind of record it holds.

    Attributes:
        source: What was read.
        format: Its format.
        guessed: Whether the format was guessed.
        rows: Rows that could be read.
        set_aside: Rows that could not.
        repeated_rows: Rows beyond the first with the same fields, in the same order, with the same values.
        solutions: The labelled solutions.
        preferences: The preferences.
        problems: The problems.
    """

    source: str
    format: str
    guessed: bool
    rows: int
    set_aside: int
    repeated_rows: int
    solutions: SolutionStatistics | None
    preferences: PreferenceStatistics | None
    problems: ProblemStatistics | None

    def as_json(self) -> dict[str, Any]:
        """The same, as JSON holds it."""
        return asdict(self)


def describe(
    source: Path | str,
    *,
    format: str | None = None,
    count_tokens: CountTokens | None = None,
    max_lengths: Sequence[int] = (),
    on_fault: Callable[[RowError], None] | None = None,
    on_row: Callable[[], None] | None = None,
) -> Statistics:
    """Read a source once and sum it up.

    Args:
        source: What `stepward.formats.read` reads.
        format: Its format; guessed if not given.
        count_tokens: How many tokens each of some texts has; characters are counted without it.
        max_lengths: Length limits, in tokens (or characters), to say what each would cut.
        on_fault: Is told of the rows that can't be read. Without it a warning names the first ones.
        on_row: Is called at each record, for a progress bar.

    Raises:
        StepwardError: The source can't be read, or a limit is below 1.
    """
    if low := [limit for limit in max_lengths if limit < 1]:
        raise StepwardError(
            f"--max-length: expected at least 1, found {low[0]}", code="bad_value", field="--max-length"
        )
    reading = formats.read(source, format, on_fault=on_fault)
    rows = DuplicateCounter()
    solutions, preferences = SolutionCounts(count_tokens), PreferenceCounts(count_tokens)
    problems = ProblemCounts(count_tokens)
    kinds = set()
    for row, record in with_rows(reading):
        rows.add(json_line(row.fields))
        kinds.add(type(record))
        if isinstance(record, LabelledSolution):
            solutions.add(record)
        elif isinstance(record, Preference):
            preferences.add(record)
        else:
            problems.add(record)
        if on_row is not None:
            on_row()
    return Statistics(
        str(source), reading.format.name, reading.guessed, reading.rows, reading.bad.rows, rows.repeated(),
        solutions.finish(max_lengths) if LabelledSolution in kinds else None,
        preferences.finish(max_lengths) if Preference in kinds else None,
        problems.finish(max_lengths) if Problem in kinds else None,
    )  # fmt: skip
