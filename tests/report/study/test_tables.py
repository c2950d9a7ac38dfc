"""A study's tables, plots and page from figures made here."""

import re
from dataclasses import replace

import pytest

from stepward.evaluation.best_of_n.records import MetricRow
from stepward.report.plots.figure import as_csv, as_png, as_svg
from stepward.report.study.page import answers, render_study
from stepward.report.study.plots import chart_of
from stepward.report.study.tables import (
    CellFacts,
    CheckResult,
    StudyReport,
    StudyTable,
    difference,
    headings,
    lines,
    markdown,
    order,
)

HOSTILE = '"><img src=x onerror=alert(1)> | $x^2$ _a'


def figure(mean: float, std: float | None = 0.01, method: str = "er") -> MetricRow:
    """An accuracy."""
    return MetricRow(method, "best", "min", 64, mean, std, mean - 0.1, mean + 0.1, 5, 40)


TABLE = StudyTable(
    "main", "Best-of-64", ["ER", "hard", "majority"], ["one", "two"],
    [[figure(0.5), figure(0.4)], [figure(0.45), None], [figure(0.3, None, "majority"), figure(0.35, None, "majority")]],
    [[89.5, 41.8], [89.2, 39.8], [None, 42.0]], ["GSM8K", "two"], "[F]",
)  # fmt: skip


def test_the_papers_figures_stand_beside_ours() -> None:
    assert headings(TABLE) == ["one", "paper: GSM8K", "two", "paper"]
    assert lines(TABLE) == [
        ["ER", "50.0 ± 1.0", "89.5", "40.0 ± 1.0", "41.8"],
        ["hard", "45.0 ± 1.0", "89.2", "not run yet", "39.8"],
        ["majority", "30.0", "", "35.0", "42"],
    ]
    assert headings(replace(TABLE, published=())) == ["one", "two"]


def test_the_order_of_rows_is_compared_with_the_papers() -> None:
    # One column: ER above hard in both. The other: ER below majority in the paper, above it here.
    assert order(TABLE).startswith("Of 2 pairs of rows that differ in the paper, 1 stand in the same order here")
    assert order(replace(TABLE, published=())) == ""
    assert order(replace(TABLE, published=[[None, None]] * 3)) == ""


def test_a_check_says_what_would_tell() -> None:
    check = CheckResult("ER wins", "can't tell", "a", "b", 0.012, -0.01, 0.034, 0.25, 1300, 240)
    assert (
        difference(check) == "+1.2 points (\N{MINUS SIGN}1.0 to +3.4), p = 0.250, 240 problems; about 1,300 would tell"
    )
    assert difference(replace(check, needed=10**7)).endswith("240 problems; more than a million would tell")
    assert difference(replace(check, verdict="agrees", p=0.0001)).endswith("p < 0.001, 240 problems")
    assert difference(CheckResult("x", "can't tell", "a", "b", why="no reason")) == "no reason"


def report(text: str = "plain") -> StudyReport:
    """A study with some text in every field."""
    cells = [
        CellFacts("c", text, "c", True, {"labels.eta": 2}, 614017, 100, 2.0, 0.001, 90.0),
        CellFacts("d", text, "d", False),
    ]
    curves = replace(TABLE, title=text, rows=[text, "hard", "m"], columns=[text, "two"], note=text)
    tables = [
        replace(curves, x=[1, 64], x_name=text, plot="curves"),
        replace(TABLE, name="heat", title=text, plot="heat", row_name=text),
    ]
    checks = [
        CheckResult(text, "agrees", text, text, 0.1, 0.05, 0.2, 0.001, 30, 40),
        CheckResult(text, "not run yet", "a", "b"),
    ]
    return StudyReport(text, text, text, cells, [], tables, checks)


def test_foreign_text_is_shown_and_runs_nothing() -> None:
    page = render_study(report(HOSTILE))
    assert "<img" not in page and "&lt;img src=x" in page
    assert page == render_study(report(HOSTILE))
    for line in markdown(report(HOSTILE)).splitlines():
        assert not re.search(r"(?<!\\)\| \$", line) and "<img" not in line


def test_the_page_opens_with_the_answers() -> None:
    assert answers(report()) == [
        "plain: Yes, +10.0 points (+5.0 to +20.0), p = 0.001, 40 problems.",
        "plain: Not run yet.",
        "1 of 2 runs are finished, 1.5 minutes of work.",
    ]


@pytest.mark.parametrize("plot", ["curves", "heat"])
def test_plots_have_the_tables_numbers(plot: str) -> None:
    chart = chart_of(replace(TABLE, plot=plot, x=[1, 64], x_name="n"))
    assert chart is not None
    rows = as_csv(chart).splitlines()
    assert len(rows) == 1 + 5 and rows[1].startswith("ER,1,0.5" if plot == "curves" else "ER,one,0.5")
    assert as_svg(chart) == as_svg(chart) and as_png(chart).startswith(b"\x89PNG")
    assert "ER: 50.0 ± 1.0 at one, 40.0 ± 1.0 at two" in chart.description


def test_nothing_is_drawn_where_there_is_nothing_to_draw() -> None:
    assert chart_of(TABLE) is None
    assert chart_of(replace(TABLE, plot="heat", figures=[[None, None]] * 3)) is None
    assert chart_of(replace(TABLE, plot="curves", x=[None, 3])) is None
    assert chart_of(replace(TABLE, plot="curves", x=[3, 3])) is None
