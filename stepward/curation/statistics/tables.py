"""Statistics, overlaps and splits as tables for the terminal, 80 columns wide."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from stepward.curation.dedup.near_duplicates import KINDS
from stepward.curation.dedup.overlap import Overlap
from stepward.curation.split.split import Split
from stepward.curation.statistics.labels import TAIL, LabelBalance
from stepward.curation.statistics.lengths import Cut, Lengths
from stepward.curation.statistics.preferences import PreferenceStatistics
from stepward.curation.statistics.problems import ProblemStatistics
from stepward.curation.statistics.solutions import SolutionStatistics
from stepward.curation.statistics.summary import Statistics

_MOST = 12
"""How many subjects or strata one table names."""


def statistics_tables(found: Statistics) -> list[Table]:
    """All that is known of a source."""
    tables = [_facts("Source", _of_rows(found))]
    if found.solutions is not None:
        tables += _of_solutions(found.solutions)
    if found.preferences is not None:
        tables += _of_preferences(found.preferences)
    if found.problems is not None:
        tables += _of_problems(found.problems)
    return tables


def overlap_table(found: Overlap) -> Table:
    """How many of a source's problems are in each other set, by kind."""
    table = _grid("Problems by kind of match")
    for title in ("in", *KINDS):
        table.add_column(title, justify="left" if title == "in" else "right")
    for within, counts in found.counts().items():
        name = within if found.others else "itself (an earlier problem)"
        table.add_row(escape(name), *(f"{counts[kind]:,}" for kind in KINDS))
    return table


def split_table(made: Split) -> Table:
    """The parts, and what each has of each stratum."""
    names = sorted({name for part in made.parts.values() for name in part.strata})[:_MOST]
    table = _grid("Parts")
    table.add_column("part")
    for title in ("problems", "rows", *names):
        table.add_column(escape(title), justify="right")
    left = {"(in no part)": made.left_out, "(removed)": made.removed}
    for name, part in {**made.parts, **{name: part for name, part in left.items() if part.rows}}.items():
        counts = (part.problems, part.rows, *(part.strata.get(stratum, 0) for stratum in names))
        table.add_row(name, *(f"{count:,}" for count in counts))
    return table


def _of_rows(found: Statistics) -> Iterable[tuple[str, str]]:
    yield "path", found.source
    yield "format", f"{found.format}{' (guessed)' if found.guessed else ''}"
    yield "rows", f"{found.rows:,}"
    yield "rows set aside", f"{found.set_aside:,}"
    yield "repeated rows", _share(found.repeated_rows, found.rows)


def _of_solutions(found: SolutionStatistics) -> list[Table]:
    grades = found.grades
    graded = grades.correct + grades.incorrect
    errors = found.first_errors
    facts = [
        ("solutions", f"{found.solutions:,}" + (f" ({found.branching:,} rows branch)" if found.branching else "")),
        ("distinct problems (exact text)", f"{found.problems:,}"),
        ("correct", _share(grades.correct, found.solutions)),
        ("incorrect", _share(grades.incorrect, found.solutions)),
        ("neither known", _share(grades.unknown, found.solutions)),
        ("stated by the source", f"{grades.stated:,} of {graded:,}; the others by their last label"),
        ("no negative step", _share(errors.none, found.solutions)),
        ("no label at all", _share(errors.unlabelled, found.solutions)),
        ("repeated solutions", _share(found.repeated_solutions, found.solutions)),
        ("same steps, other labels", f"{found.conflicting_labels:,}"),
        ("same question, other reference", f"{found.conflicting_references:,}"),
        ("empty questions", f"{found.empty_questions:,}"),
        ("rows without a step", f"{found.no_steps:,}"),
        *_cut_facts(found.cuts, found.unit),
    ]
    sizes = [
        ("steps a solution", found.steps),
        (f"{found.unit} a solution", found.lengths),
        ("solutions a problem", found.per_problem),
    ]
    return [_facts("Solutions", facts), _lengths(sizes), _labels(found.labels, found.by_position, errors.at)]


def _of_preferences(found: PreferenceStatistics) -> list[Table]:
    facts = [
        ("pairs", f"{found.preferences:,}"),
        ("distinct prompts (exact text)", f"{found.prompts:,}"),
        ("pairs without a prompt", f"{found.empty_prompts:,}"),
        ("chosen is longer", _share(found.chosen_longer, found.preferences)),
        ("equally long", _share(found.same_length, found.preferences)),
        ("chosen equals rejected", _share(found.equal_pairs, found.preferences)),
        ("repeated pairs", _share(found.repeated, found.preferences)),
        *_cut_facts(found.cuts, found.unit),
    ]
    sizes = [
        ("turns a prompt", found.prompt_turns),
        (f"{found.unit}, prompt", found.prompt),
        (f"{found.unit}, chosen", found.chosen),
        (f"{found.unit}, rejected", found.rejected),
        (f"{found.unit}, prompt + longer", found.whole),
    ]
    return [_facts("Preferences", facts), _lengths(sizes)]


def _of_problems(found: ProblemStatistics) -> list[Table]:
    facts = [
        ("problems", f"{found.problems:,}"),
        ("with a reference", _share(found.references, found.problems)),
        ("distinct references", f"{found.distinct_references:,}"),
        ("repeated questions (exact text)", f"{found.repeated_questions:,}"),
        ("same question, other reference", f"{found.conflicting_references:,}"),
        ("empty questions", f"{found.empty_questions:,}"),
        ("levels", _named_counts(found.levels)),
        ("subjects", _named_counts(found.subjects)),
        *_cut_facts(found.cuts, found.unit),
    ]
    return [_facts("Problems", facts), _lengths([(f"{found.unit} a question", found.lengths)])]


def _cut_facts(cuts: Sequence[Cut], unit: str) -> list[tuple[str, str]]:
    return [(f"longer than {cut.limit:,} {unit}", f"{cut.count:,} ({cut.share:.2%})") for cut in cuts]


def _facts(title: str, facts: Iterable[tuple[str, str]]) -> Table:
    table = _grid(title)
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, escape(value))
    return table


def _lengths(found: Iterable[tuple[str, Lengths]]) -> Table:
    table = _grid(None)
    table.add_column("", no_wrap=True)
    for title in ("min", "mean", "median", "p99", "max", "total"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, one in found:
        figures = (f"{one.mean:,.1f}", f"{one.median:,.10g}", f"{one.p99:,.10g}")
        table.add_row(name, f"{one.min:,}", *figures, f"{one.max:,}", f"{one.total:,}")
    return table


def _labels(overall: LabelBalance, by_position: Sequence[LabelBalance], errors: Sequence[int]) -> Table:
    table = _grid("Labels by step")
    for title in ("step", "steps", "positive", "negative", "neutral", "none", "mean", "first error"):
        table.add_column(title, justify="right", no_wrap=True)
    for position, balance in enumerate(by_position):
        name = f"{position + 1}" if position < TAIL else f"{TAIL + 1}+"
        table.add_row(name, *_balance(balance), f"{errors[position] if position < len(errors) else 0:,}")
    table.add_row("all", *_balance(overall), f"{sum(errors):,}", style="bold")
    if overall.between:
        table.caption = f"{overall.between:,} labels lie between 0 and 1; above 0.5 counts as positive"
    return table


def _balance(one: LabelBalance) -> list[str]:
    counts = (one.steps, one.positive, one.negative, one.neutral, one.none)
    return [*(f"{count:,}" for count in counts), "-" if one.mean is None else f"{one.mean:.3f}"]


def _named_counts(found: dict[str, int]) -> str:
    most = sorted(found.items(), key=lambda pair: -pair[1])[:_MOST]
    text = ", ".join(f"{name}: {count:,}" for name, count in (sorted(most) if len(found) <= _MOST else most))
    return text if len(found) <= _MOST else f"{text}, and {len(found) - _MOST:,} more"


def _share(count: int, total: int) -> str:
    return f"{count:,} ({count / total:.1%})" if total else "0"


def _grid(title: str | None) -> Table:
    return Table(
        title=None if title is None else escape(title),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
