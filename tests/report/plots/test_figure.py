"""Charts are clean, repeatable SVG with the methods' lines and bands, and their numbers are in the CSV."""

import csv
import io
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from rich.console import Console

from stepward.evaluation.best_of_n.evaluate import Evaluation
from stepward.report.data import RunReport
from stepward.report.plots import run as plots
from stepward.report.plots.figure import INK, Chart, as_csv, as_png, as_svg, escape_mathtext
from stepward.report.run.sections import sections
from stepward.report.terminal import summary_table


@pytest.fixture(scope="module")
def charts(run: RunReport) -> list[Chart]:
    return [chart for found in sections(run).charts.values() for chart in found]


def test_plots_are_clean_repeatable_svg(charts: list[Chart]) -> None:
    assert len({chart.name for chart in charts}) == len(charts) == 13
    for chart in charts:
        svg = as_svg(chart)
        root = ElementTree.fromstring(svg)
        assert root.tag.endswith("svg") and root.get("viewBox") and root.get("width") is None
        assert INK not in svg and "currentColor" in svg and "metadata" not in svg and "<!--" not in svg
        assert svg == as_svg(chart)
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        assert len(ids) == len(set(ids)) and all(str(one).startswith(f"{chart.name}-") for one in ids)


def test_a_picture_that_stands_alone_has_its_title_and_no_fonts(evaluation: Evaluation) -> None:
    svg = plots.best_of_n_curves(evaluation, "best")
    assert "<text" not in svg and svg == plots.best_of_n_curves(evaluation, "best")


def test_png_is_a_picture_that_repeats(charts: list[Chart]) -> None:
    first = as_png(charts[0])
    assert first.startswith(b"\x89PNG") and first == as_png(charts[0])


def test_bands_and_lines_are_drawn_for_every_method(evaluation: Evaluation) -> None:
    svg = as_svg(plots.curves(evaluation, "weighted"))
    for kind in ("orm", "hard", "er"):
        assert f"stroke: {plots.COLORS[kind]}" in svg
        assert f"fill: {plots.COLORS[kind]}; fill-opacity: 0.2" in svg
    assert svg.count("fill-opacity: 0.2") == len(evaluation.methods)
    assert svg.count(">pass@N</text>") == svg.count(">majority voting</text>") == 1


def test_csv_holds_the_figures_in_full(evaluation: Evaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(plots.curves(evaluation, "best")))))
    assert {row["method"] for row in rows} == {"pass", "majority", *evaluation.methods}
    for row in rows:
        voting, aggregation = row["voting"] or None, row["aggregation"] or None
        expected = evaluation.row(row["method"], int(row["n"]), voting, aggregation)
        assert float(row["mean"]) == expected.mean and float(row["low"]) == expected.low
        assert row["std"] == ("" if expected.std is None else repr(expected.std))


def test_a_name_that_a_spreadsheet_would_compute_is_text_in_the_csv() -> None:
    rows = [("=1+1", -0.5), ("+a", None), ("-b", 2), ("@c", 3), ("plain", 4)]
    chart = Chart("odd", "", "", ("name", "=x"), rows, lambda axes: None)
    assert as_csv(chart).splitlines() == ["name,'=x", "'=1+1,-0.5", "'+a,", "'-b,2", "'@c,3", "plain,4"]


def test_a_voting_without_a_choice_takes_the_weighted_aggregation(evaluation: Evaluation) -> None:
    rows = plots.curves(evaluation, "weighted_max").rows
    used = {row[0]: row[2] for row in rows if row[1] == "weighted_max"}
    assert used == {kind: evaluation.choice(kind, "weighted").aggregation for kind in evaluation.methods}


def test_slices_tell_every_method_in_every_part(evaluation: Evaluation) -> None:
    rows = [row for row in evaluation.slices if row.slicing == "subject"]
    chart = plots.slice_plot("subject", rows)
    assert {row[1] for row in chart.rows} == {"algebra", "geometry", "counting"}
    svg = as_svg(chart)
    assert svg.count(">algebra</text>") == 1 and svg.count(">(8)</text>") == 3


@pytest.mark.parametrize("draw", [plots.agreement_plot, plots.label_error_plot])
def test_label_plots_say_their_numbers(run: RunReport, draw: Callable[..., Chart]) -> None:
    assert run.labels is not None
    chart = draw(run.labels.by_k)
    assert [row[0] for row in chart.rows] == [1, 16]
    assert "3.0" in chart.description or "93.0" in chart.description


def test_foreign_text_in_a_figure_is_one_short_plain_line() -> None:
    assert escape_mathtext("a\n b\tc") == "a b c"
    assert len(escape_mathtext("x" * 100)) == 40 and escape_mathtext("x" * 100).endswith("…")
    assert escape_mathtext("_seen") == " _seen"
    assert escape_mathtext("a\x00b\x1b") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"


def test_text_that_looks_like_markup_stays_as_it_is() -> None:
    text = '<b id="x" href="#y"> $\\frac{1}{0}$'
    chart = Chart(
        "odd", text, text, ("a",), [(text,)], lambda axes: axes.plot([1], [1], label=escape_mathtext(text))[0].axes
    )
    svg = as_svg(chart, title=True)
    root = ElementTree.fromstring(svg)
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert texts.count(text) == 2
    assert as_png(chart).startswith(b"\x89PNG")


def test_terminal_table_fits_eighty_columns(evaluation: Evaluation) -> None:
    buffer = io.StringIO()
    Console(file=buffer, width=80).print(summary_table(evaluation))
    text = buffer.getvalue()
    assert "…" not in text and text.count("*") == len(evaluation.methods) + 1
    row = evaluation.row("majority", 16)
    assert f"{100 * row.mean:.1f}" in next(line for line in text.splitlines() if "majority" in line)
