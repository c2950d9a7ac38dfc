"""A study's plots: rows as curves over the columns, or a heat map, drawn from the same numbers as its tables."""

import re
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator

from stepward.evaluation.best_of_n.records import MetricRow
from stepward.report.plots.figure import INK, Chart, escape_mathtext
from stepward.report.plots.run import COLORS, DASHES, MARKERS
from stepward.report.run.text import percent
from stepward.report.study.tables import StudyTable, ours

_COLOURS = ("#d1478f", "#3b8fd4", "#1aa179", "#d98200", "#8a6fd1", "#9a7b3f", "#5f8f2f", "#7f7f7f")
_MARKERS = "Dos^vPX*"

Style = tuple[str, str, str]
"""A line's colour, its marker, and how it is dashed."""
_WIDE = 8.0
"""Values that differ by more than this factor are placed by their logarithms."""


def chart_of(table: StudyTable) -> Chart | None:
    """The table's plot; None where it has none, or too few figures yet."""
    known = [figure for row in table.figures for figure in row if figure is not None]
    if table.plot is None or not known:
        return None
    return _heat(table) if table.plot == "heat" else _curves(table)


def _chart_name(table: StudyTable) -> str:
    return "study-" + re.sub(r"[^A-Za-z0-9_-]", "-", table.name)


def _curves(table: StudyTable) -> Chart | None:
    placed = sorted((x, column) for column, x in enumerate(table.x) if x is not None)
    if len({x for x, _ in placed}) < 2:
        return None

    def draw(axes: Axes) -> None:
        for label, figures, style in zip(table.rows, table.figures, _styles(table), strict=True):
            _curve(axes, style, label, [(x, figures[column]) for x, column in placed])
        ticks = {x: escape_mathtext(table.columns[column]) for x, column in placed}
        if placed[0][0] > 0 and placed[-1][0] / placed[0][0] >= _WIDE:
            axes.set_xscale("log")
        axes.set_xticks(list(ticks), list(ticks.values()))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(escape_mathtext(table.x_name))
        axes.set_ylabel("accuracy, %")

    rows = [
        (label, x, figure.mean, figure.std, figure.low, figure.high)
        for label, figures in zip(table.rows, table.figures, strict=True)
        for x, column in placed
        if (figure := figures[column]) is not None
    ]
    return Chart(
        _chart_name(table), table.title, _described(table), ("row", table.x_name or "x", "mean", "std", "low", "high"),
        rows, draw,
    )  # fmt: skip


def _styles(table: StudyTable) -> list[Style]:
    """How each row is drawn: a method as in a run's report, unless several rows are of one, or a row of several."""
    methods = [{figure.method for figure in row if figure is not None} for row in table.figures]
    modelled = [frozenset(one) for one in methods if not one <= DASHES.keys()]
    alone = len(set(modelled)) == len(modelled) and all(len(one) == 1 for one in modelled)
    styles: list[Style] = []
    number = 0
    for found in methods:
        method = next(iter(found), "")
        if len(found) == 1 and method in DASHES:
            styles.append((INK, "", DASHES[method]))
            continue
        if alone and method in COLORS:
            styles.append((COLORS[method], MARKERS[method], "-"))
        else:
            styles.append((_COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)], "-"))
        number += 1
    return styles


def _curve(axes: Axes, style: Style, label: str, points: Sequence[tuple[float, MetricRow | None]]) -> None:
    """A row's line, with a band of one deviation over seeds."""
    known = [(x, figure) for x, figure in points if figure is not None]
    xs, ys = [x for x, _ in known], [100 * figure.mean for _, figure in known]
    colour, marker, dashes = style
    axes.plot(xs, ys, label=escape_mathtext(label), color=colour, marker=marker, linestyle=dashes)
    spread = [100 * (figure.std or 0) for _, figure in known]
    if any(spread):
        low = [y - s for y, s in zip(ys, spread, strict=True)]
        high = [y + s for y, s in zip(ys, spread, strict=True)]
        axes.fill_between(xs, low, high, color=colour, alpha=0.2, linewidth=0)


def _heat(table: StudyTable) -> Chart:
    def draw(axes: Axes) -> None:
        values = [[float("nan") if one is None else 100 * one.mean for one in row] for row in table.figures]
        known = [value for row in values for value in row if value == value]
        image = axes.imshow(values, cmap="cividis", aspect="auto")
        middle = (min(known) + max(known)) / 2
        for row, members in enumerate(table.figures):
            for column, figure in enumerate(members):
                text = "" if figure is None else percent(figure.mean)
                colour = "#111111" if figure is not None and 100 * figure.mean > middle else "#ffffff"
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
        axes.set_xticks(range(len(table.columns)), [escape_mathtext(label) for label in table.columns])
        axes.set_yticks(range(len(table.rows)), [escape_mathtext(label) for label in table.rows])
        axes.set_xlabel(escape_mathtext(table.column_name))
        axes.set_ylabel(escape_mathtext(table.row_name))
        axes.grid(visible=False)
        axes.figure.colorbar(image, ax=axes, label="accuracy, %")

    rows = [
        (label, column, figure.mean, figure.std)
        for label, figures in zip(table.rows, table.figures, strict=True)
        for column, figure in zip(table.columns, figures, strict=True)
        if figure is not None
    ]
    size = (2.2 + 0.85 * len(table.columns), 1.2 + 0.45 * len(table.rows))
    return Chart(_chart_name(table), table.title, _described(table), ("row", "column", "mean", "std"), rows, draw, size)


def _described(table: StudyTable) -> str:
    said = [
        f"{label}: " + ", ".join(f"{ours(one)} at {at}" for at, one in zip(table.columns, figures, strict=True))
        for label, figures in zip(table.rows, table.figures, strict=True)
    ]
    return f"Accuracy in percent. {'; '.join(said)}."
