"""The report: one HTML page with everything in it, that opens offline, prints, and says the answer first.

All text goes through Jinja2 with escaping on, or through the page's script as text: a problem, a solution or a name may
hold anything. A content security policy lets only the page's own scripts run, and lets nothing be asked of the network.
"""

import base64
import hashlib
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from stepward.report.comparison import tables as beside
from stepward.report.comparison.plots import beside_charts
from stepward.report.data import Report, RunReport
from stepward.report.plots.figure import Chart, as_csv, as_png, as_svg
from stepward.report.run import text as phrases
from stepward.report.run.browser import EmbeddedProblems, pack, remove_runs
from stepward.report.run.examples import Example, examples
from stepward.report.run.sections import Sections, sections
from stepward.storage.files import atomic_write, claim

MARKER = ".stepward-report"
"""What says that the folder beside a page is a page's, and that its files may be replaced and removed."""

_TEMPLATES = Path(__file__).parents[1] / "templates"
_SCRIPTS = ("unpack.js", "filters.js", "candidates.js", "browser.js")
_MOST_FULL = 4
"""Runs that a page of several shows in full; the tables and the browser have all of them."""

_OURS = re.compile(
    r"(?:run-[1-9]\d*-)?(?:curves-(?:best|weighted|weighted_mean|weighted_max)|slices-(?:level|subject|steps|length)"
    r"|quintiles|agreement|label-errors|reliability|cost)|grid-\d+|runs|runs-curves"
)
"""The names of a page's plots."""


@dataclass(frozen=True, slots=True)
class PlotMarkup:
    """A chart in the page: its picture, its words, its numbers to save, and where its PNG lies beside the page."""

    svg: Markup
    title: str
    description: str
    name: str
    csv: str
    png: str


@dataclass(frozen=True, slots=True)
class RunPart:
    """What the page says of one run; `number` from 1 tells its parts from another's."""

    number: int
    run: RunReport
    sections: Sections
    figures: dict[str, list[PlotMarkup]]


def write_report(report: Report, path: Path, data: Path | None = None) -> None:
    """Writes the page, whole or not at all, and a folder beside it: plots, their numbers, and more of the problems.

    Args:
        report: What it shows; at least one run.
        path: The page.
        data: The folder; the page's name with `-data` if not given.

    Raises:
        StepwardError: The folder holds other files, the disc is full, or a folder can't be written.
    """
    folder = data or path.with_name(f"{path.stem}-data")
    link = quote(Path(os.path.relpath(folder.resolve(), path.resolve().parent)).as_posix())
    claim(folder, MARKER)
    packed, shown = [], []
    for number, run in enumerate(report.runs, start=1):
        views = run.views()
        packed.append(pack(run, views, folder / f"run-{number}", inside=number == 1))
        if number == 1:
            shown = examples(views, len(run.models))
    html = _render(report, packed, shown, folder / "plots", link)
    with atomic_write(path) as file:
        file.write(html.encode("utf-8", "replace"))
    remove_runs(folder, len(report.runs))


def _render(
    report: Report, packed: Sequence[EmbeddedProblems], shown: Sequence[Example], plots: Path, link: str
) -> str:
    several = len(report.runs) > 1
    parts = []
    for number, run in enumerate(report.runs[:_MOST_FULL] if several else report.runs, start=1):
        found = sections(run)
        prefix = f"run-{number}-" if several else ""
        figures = {
            place: [_figure(chart, plots, link, prefix) for chart in charts] for place, charts in found.charts.items()
        }
        parts.append(RunPart(number, run, found, figures))
    beside_figures = [_figure(chart, plots, link) for chart in beside_charts(report.runs)] if several else []
    drawn = [*beside_figures, *(one for part in parts for figures in part.figures.values() for one in figures)]
    _remove_other_plots(plots, {figure.name for figure in drawn})
    found_differences = beside.differences(report.runs) if several else []
    script = '(() => {\n"use strict";\n' + "\n".join(_read(name) for name in _SCRIPTS) + "})();\n"
    theme = _read("theme.js")
    return _environment().get_template("report.html.j2").render(
        report=report,
        parts=parts,
        several=several,
        title=f"{len(report.runs)} runs beside one another" if several else report.runs[0].name,
        differences=found_differences,
        told=beside.format_value,
        side=beside.side_by_side(report.runs) if several else None,
        answer=beside.headline_sentence(report.runs, report.same_problems) if several else None,
        beside_figures=beside_figures,
        deviates=any(phrases.deviates(run.evaluation.rows) for run in report.runs),
        most_full=_MOST_FULL,
        packed=packed,
        examples=shown,
        link=link,
        style=Markup(_read("style.css") + _read("browser.css") + _read("print.css")),
        script=Markup(script),
        theme=Markup(theme),
        policy=_policy(theme, script),
        scale=[number / 10 for number in range(11)],
    )  # fmt: skip


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": phrases.percent,
        "points": phrases.format_points,
        "p_value": phrases.p_value,
        "needed": phrases.needed,
        "method_name": phrases.method_label,
        "background": _background,
        "colour": score_color,
    }
    return environment


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _policy(*scripts: str) -> str:
    """Only these scripts run, and those of the page's own folder; nothing else is fetched."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return f"default-src 'none'; script-src {allowed} 'self' file:; style-src 'unsafe-inline'; img-src data:"


def _figure(chart: Chart, plots: Path, link: str, prefix: str = "") -> PlotMarkup:
    """Draws a chart for the page, and beside it as a PNG with its numbers."""
    # A slicing or a voting that a file names is no path, and no part of the page's markup.
    chart = replace(chart, name=prefix + re.sub(r"[^A-Za-z0-9_-]", "-", chart.name))
    numbers = as_csv(chart).encode("utf-8", "replace")
    for ending, content in (("png", as_png(chart)), ("csv", numbers)):
        with atomic_write(plots / f"{chart.name}.{ending}") as file:
            file.write(content)
    uri = f"data:text/csv;charset=utf-8;base64,{base64.b64encode(numbers).decode()}"
    png = f"{link}/plots/{chart.name}.png"
    return PlotMarkup(Markup(as_svg(chart)), chart.title, chart.description, chart.name, uri, png)


def _remove_other_plots(plots: Path, kept: Collection[str]) -> None:
    """Removes what an earlier page drew and this one did not; what others put there stays."""
    for path in sorted(plots.glob("*")):
        if path.suffix in (".png", ".csv") and _OURS.fullmatch(path.stem) and path.stem not in kept:
            path.unlink()


def _background(score: float | None) -> Markup:
    """The attribute that colours a cell by its score; nothing without one."""
    return Markup("" if score is None else f' style="background: {score_color(score)}"')


def score_color(score: float) -> str:
    """A background for a score in [0, 1]: orange below a half, blue above, fainter towards it.

    Orange and blue differ for every common kind of colour-blindness, and lie over a light or a dark page alike.
    """
    red, green, blue = (213, 94, 0) if score < 0.5 else (0, 114, 178)
    return f"rgba({red}, {green}, {blue}, {abs(2 * score - 1) * 0.55:.3f})"
