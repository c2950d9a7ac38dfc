"""What a study found: its tables with the published figures beside ours, and its checks; as Markdown and as words.

A figure that is not there yet is said not to be, wherever it stands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

from stepward.evaluation.best_of_n.records import MetricRow
from stepward.evaluation.stats.paired_test import is_counted
from stepward.report.run.text import deviates, format_points, p_values, with_spread

NOT_YET = "not run yet"

_MANY = 1_000_000

Verdict = Literal["agrees", "does not agree", "can't tell", "not run yet"]


@dataclass(frozen=True, slots=True)
class StudyTable:
    """A table that is filled as far as its runs are finished.

    Attributes:
        name: Its name.
        title: What it shows.
        rows: The rows' labels.
        columns: The columns' labels.
        figures: Ours [row][column]; None where the run is not finished.
        published: The paper's, in percent, likewise; empty where there are none.
        published_columns: What the paper's columns are of.
        note: Where the paper's stand.
        plot: `curves`, `heat` or None.
        x: For curves: where each column is placed; None for one that has no place yet.
        x_name: What that is.
        row_name: The field of the grid whose values the rows are; empty for other rows.
        column_name: Likewise of the columns.
    """

    name: str
    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    figures: Sequence[Sequence[MetricRow | None]]
    published: Sequence[Sequence[float | None]] = ()
    published_columns: Sequence[str] = ()
    note: str = ""
    plot: str | None = None
    x: Sequence[float | None] = ()
    x_name: str = ""
    row_name: str = ""
    column_name: str = ""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What the runs say to a claim.

    Attributes:
        says: The claim.
        verdict: Whether they agree.
        better: What is said to be better, in words.
        than: The other.
        mean: The mean difference, in [-1, 1]; None where it can't be had.
        low: Lower end of its 95% interval over problems and seeds.
        high: Upper end.
        p: Of this check alone, two-sided.
        needed: Problems that would tell a difference of this size; None too where the seeds differ too much for any
            number of problems to tell.
        problems: Problems that were paired.
        p_holm: p corrected for all checks that were tested, which the verdict goes by.
        why: Why it can't be told, where that is not the interval.
    """

    says: str
    verdict: Verdict
    better: str
    than: str
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    needed: int | None = None
    problems: int = 0
    p_holm: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class CellFacts:
    """One run of a study.

    Attributes:
        name: Its name.
        title: What it is.
        folder: Where it lies, from the study's folder.
        finished: Whether it is.
        values: Its values of the grid's fields.
        parameters: Numbers in its reward models; None where none is trained yet.
        problems: Problems that train them.
        eta: The inverse temperature of its `er` labels; None without such labels.
        learning_rate: At its highest.
        seconds: Worked on this run alone, without what it took from others.
    """

    name: str
    title: str
    folder: str
    finished: bool
    values: Mapping[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    problems: int | None = None
    eta: float | None = None
    learning_rate: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StudyReport:
    """All that a study's page shows.

    Attributes:
        name: The study's name.
        about: What it asks.
        source: The paper.
        cells: Its runs.
        rows: Every figure of every finished run, with the run's name.
        tables: Its tables.
        checks: Its checks.
    """

    name: str
    about: str
    source: str
    cells: Sequence[CellFacts]
    rows: Sequence[tuple[str, MetricRow]]
    tables: Sequence[StudyTable]
    checks: Sequence[CheckResult]

    @property
    def seconds(self) -> float:
        """Worked on all runs."""
        return sum(cell.seconds for cell in self.cells)


def ours(figure: MetricRow | None) -> str:
    """Our accuracy in percent with its deviation over seeds."""
    return NOT_YET if figure is None else with_spread(figure)


def headings(table: StudyTable) -> list[str]:
    """The columns' headings, the paper's beside ours where it has figures."""
    found = []
    for number, column in enumerate(table.columns):
        found.append(column)
        if table.published:
            other = table.published_columns[number] if table.published_columns else column
            found.append(f"paper: {other}" if other != column else "paper")
    return found


def lines(table: StudyTable) -> list[list[str]]:
    """Each row's label and cells, as the headings have them."""
    found = []
    for number, label in enumerate(table.rows):
        line = [label]
        for column, figure in enumerate(table.figures[number]):
            line.append(ours(figure))
            if table.published:
                value = table.published[number][column]
                line.append("" if value is None else f"{value:g}")
        found.append(line)
    return found


def order(table: StudyTable) -> str:
    """How far our rows stand in the paper's order, in a sentence; empty where nothing can be compared."""
    same = pairs = 0
    for column in range(len(table.columns)) if table.published else ():
        known = [
            (published[column], mine[column])
            for published, mine in zip(table.published, table.figures, strict=True)
            if published[column] is not None and mine[column] is not None
        ]
        for (first, mine), (second, other) in combinations(known, 2):
            assert first is not None and second is not None and mine is not None and other is not None
            if first != second:
                pairs += 1
                same += (first - second) * (mine.mean - other.mean) > 0
    if not pairs:
        return ""
    return (
        f"Of {pairs} pairs of rows that differ in the paper, {same} stand in the same order here; this is no test, "
        "and small differences may be noise."
    )


def difference(check: CheckResult) -> str:
    """The difference in percentage points with its interval, p, and what would tell."""
    if check.mean is None or check.low is None or check.high is None or check.p is None:
        return check.why
    p = p_values(check.p, check.p if check.p_holm is None else check.p_holm)
    mean, low, high = map(format_points, (check.mean, check.low, check.high))
    text = f"{mean} points ({low} to {high}), {p}, {check.problems:,} problems"
    if check.verdict != "can't tell" or not check.mean:
        return text
    if check.needed is None:
        return f"{text}; only more seeds would tell"
    return f"{text}; {f'about {check.needed:,}' if check.needed <= _MANY else 'more than a million'} would tell"


def tested(report: StudyReport) -> str:
    """How the checks were tested, and how many, in a sentence or two."""
    count = sum(is_counted(check) for check in report.checks if check.p is not None)
    over = "problems"
    if deviates(row for _, row in report.rows):
        over += " and seeds, and of a run with one seed they are of that one model"
    return (
        f"Paired differences on the same test problems; interval and p are over {over}. The verdicts are at 5% for "
        f"all {count} checks together (Holm)."
    )


def markdown(report: StudyReport) -> str:
    """The tables and checks as Markdown."""
    parts = [f"# {_escaped(report.name)}", _escaped(report.about)]
    if report.source:
        parts.append(f"Source: {_escaped(report.source)}")
    unfinished = [cell.name for cell in report.cells if not cell.finished]
    done = len(report.cells) - len(unfinished)
    parts.append(f"{done} of {len(report.cells)} runs finished, {report.seconds / 60:.1f} minutes of work.")
    for table in report.tables:
        rows = [["", *headings(table)], ["---"] + ["---:"] * len(headings(table)), *lines(table)]
        text = "\n".join("| " + " | ".join(map(_escaped, row)) + " |" for row in rows)
        below = " ".join(filter(None, (table.note, order(table))))
        parts += [f"## {_escaped(table.title)}", text, _escaped(below)]
    if report.checks:
        made = [["claim", "verdict", "difference"], ["---"] * 3]
        made += [[one.says, one.verdict, difference(one)] for one in report.checks]
        parts += ["## Checks", tested(report), "\n".join("| " + " | ".join(map(_escaped, row)) + " |" for row in made)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _escaped(text: str) -> str:
    """Text that stays on its line and in its cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
