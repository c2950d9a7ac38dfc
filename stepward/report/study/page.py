"""A study's page: its tables with the paper's figures beside ours, its plots and its checks, in one HTML file."""

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from stepward.report.plots.figure import as_svg
from stepward.report.run import text as phrases
from stepward.report.study.plots import chart_of
from stepward.report.study.tables import (
    CheckResult,
    StudyReport,
    StudyTable,
    difference,
    headings,
    lines,
    order,
    tested,
)


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawn chart, its numbers in words, and its files' name."""

    name: str
    svg: Markup
    description: str


def render_study(report: StudyReport) -> str:
    """The page's HTML; the same input gives the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("study.html.j2").render(
        report=report,
        answers=answers(report),
        headings=headings,
        lines=lines,
        order=order,
        difference=difference,
        tested=tested,
        deviates=lambda table: phrases.deviates(one for line in table.figures for one in line if one is not None),
        plot=_plot,
    )


def answers(report: StudyReport) -> list[str]:
    """What the study says, in sentences that follow from its checks."""
    done = sum(cell.finished for cell in report.cells)
    runs = f"{done} of {len(report.cells)} runs are finished, {report.seconds / 60:.1f} minutes of work."
    return [*(_answer(check) for check in report.checks), runs]


def _answer(check: CheckResult) -> str:
    verdict = {"agrees": "Yes", "does not agree": "No", "can't tell": "Can't tell"}.get(check.verdict, "Not run yet")
    return f"{check.says}: {verdict}" + (f", {difference(check)}." if difference(check) else ".")


def _plot(table: StudyTable) -> Plot | None:
    chart = chart_of(table)
    return None if chart is None else Plot(chart.name, Markup(as_svg(chart)), chart.description)
