"""Several runs in figures: a heat map, a curve or columns (report.beside says which), and each run's best-of-N."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from stepward.evaluation.best_of_n.evaluate import MetricRow
from stepward.report.comparison import tables as beside
from stepward.report.comparison.tables import RecipeDifference, chosen_row, format_value
from stepward.report.data import RunReport
from stepward.report.plots.figure import INK, Chart, escape_mathtext
from stepward.report.plots.run import (
    COLORS,
    DASHES,
    MARKERS,
    SPARE_COLORS,
    log2_axis,
    method_color,
    name_axes,
    single_point_marker,
)
from stepward.report.run import text as phrases

_RUN_COLOURS = (COLORS["hard"], COLORS["orm"], COLORS["soft"], COLORS["er"], *SPARE_COLORS)
_RUN_MARKERS = "osD^vPX*"
_MOST_LINES = len(_RUN_COLOURS)
_MAP = "cividis"
"""Even in lightness, and the same to colour-blind readers."""

Place = tuple[str, str]


def beside_charts(runs: Sequence[RunReport]) -> list[Chart]:
    """The figures of several runs, the one that shows how they differ first."""
    found = beside.differences(runs)
    if beside.is_grid(found):
        charts = [_heat_map(runs, found[0], found[1], method) for method in beside.methods(runs)]
    elif beside.is_line(found):
        charts = [_line(runs, found[0])]
    else:
        charts = [_columns(runs)]
    return charts + [_curves(runs, method) for method in beside.methods(runs)[-1:] if len(runs) <= _MOST_LINES]


def _heat_map(runs: Sequence[RunReport], across: RecipeDifference, down: RecipeDifference, method: str) -> Chart:
    """One kind's accuracy in the grid of two fields; every kind's map has the same colours."""
    if len(across.distinct) < len(down.distinct):
        across, down = down, across
    columns, lines = [format_value(one) for one in across.distinct], [format_value(one) for one in down.distinct]
    found: dict[Place, MetricRow] = {}
    for run, x, y in zip(runs, across.values, down.values, strict=True):
        if row := chosen_row(run.evaluation, method) if method in run.evaluation.methods else None:
            found[format_value(x), format_value(y)] = row
    every = [row.mean for run in runs for row in _kinds(run)]
    low, high = min(every), max(every)

    def draw(axes: Axes) -> None:
        axes.grid(visible=False)
        for (x, y), row in found.items():
            share = (row.mean - low) / (high - low) if high > low else 0.5
            _heat_cell(axes, columns.index(x), lines.index(y), row, share)
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.set_xticks(
            range(len(columns)), [escape_mathtext(one) for one in columns], rotation=30 if _long(columns) else 0
        )
        axes.set_yticks(range(len(lines)), [escape_mathtext(one) for one in lines])
        axes.set_xlabel(escape_mathtext(across.field))
        axes.set_ylabel(escape_mathtext(down.field))
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)

    numbers = [(x, y, row.mean, row.std, row.low, row.high) for (x, y), row in found.items()]
    best = max(found, key=lambda place: found[place].mean)
    title = f"{phrases.method_label(method)} over {across.field} and {down.field}"
    at = f"{across.field} {best[0]}, {down.field} {best[1]}"
    worst = phrases.percent(min(row.mean for row in found.values()))
    description = f"{title}: from {worst} to {phrases.percent(found[best].mean)}, which is at {at}."
    size = (2.0 + 0.95 * len(columns), 1.2 + 0.62 * len(lines))
    fields = (across.field, down.field, "mean", "std", "low", "high")
    number = beside.methods(runs).index(method)
    return Chart(f"grid-{number}", title, description, fields, numbers, draw, size, legend=0)


def _kinds(run: RunReport) -> list[MetricRow]:
    rows = [chosen_row(run.evaluation, method) for method in run.evaluation.methods]
    return [row for row in rows if row is not None]


def _heat_cell(axes: Axes, x: int, y: int, row: MetricRow, share: float) -> None:
    shade = mpl.colormaps[_MAP](share)
    axes.add_patch(Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, facecolor=shade, edgecolor="none"))
    ink = "white" if share < 0.45 else "#111111"
    style: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "center", "color": ink}
    axes.annotate(phrases.percent(row.mean), (x, y), (0, 4), **style)
    if row.std is not None:
        axes.annotate(f"± {phrases.percent(row.std)}", (x, y), (0, -8), fontsize=8, **style)


def _long(names: Sequence[str]) -> bool:
    return max(map(len, names)) > 10


def _line(runs: Sequence[RunReport], difference: RecipeDifference) -> Chart:
    """Every method's accuracy over the one number in which the runs differ, with bands of the seeds' deviation."""
    order = sorted(range(len(runs)), key=lambda number: difference.values[number])
    places = [float(difference.values[number]) for number in order]
    lines = _by_method([runs[number] for number in order], places)

    def draw(axes: Axes) -> None:
        name_axes(axes, escape_mathtext(difference.field), "accuracy, %")
        for method, found in lines.items():
            x, y = [place for place, _ in found], [100 * row.mean for _, row in found]
            style = {"marker": MARKERS.get(method, "v"), "linestyle": DASHES.get(method, "-")}
            axes.plot(x, y, label=escape_mathtext(phrases.method_label(method)), color=method_color(method), **style)  # type: ignore[arg-type]
            if all(row.std is not None for _, row in found):
                low = [100 * (row.mean - (row.std or 0)) for _, row in found]
                high = [100 * (row.mean + (row.std or 0)) for _, row in found]
                axes.fill_between(x, low, high, color=method_color(method), alpha=0.2, linewidth=0)
        if places[0] > 0 and places[-1] / places[0] >= 8:
            axes.set_xscale("log")
        axes.set_xticks(places, [_short(place) for place in places])
        axes.minorticks_off()

    numbers = [
        (place, method, row.n, row.mean, row.std, row.low, row.high)
        for method, found in lines.items()
        for place, row in found
    ]
    told_lines = [
        f"{phrases.method_label(method)} {', '.join(phrases.percent(row.mean) for _, row in found)}"
        for method, found in lines.items()
    ]
    title = f"Accuracy over {difference.field}"
    at = ", ".join(_short(place) for place in places)
    description = f"{title}, in percent at {at}: {'; '.join(told_lines)}."
    fields = (difference.field, "method", "n", "mean", "std", "low", "high")
    return Chart("runs", title, description, fields, numbers, draw)


def _short(number: float) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            return f"{number / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{number:g}"


def _columns(runs: Sequence[RunReport]) -> Chart:
    """Every method's accuracy in every run, a column each, with the seeds' deviation."""
    lines = _by_method(runs, [float(number) for number in range(len(runs))])

    def draw(axes: Axes) -> None:
        name_axes(axes, "", "accuracy, %")
        for number, (method, found) in enumerate(lines.items()):
            # Side by side within a run's column: equal figures would hide one another.
            shift = 0.6 * (number / max(1, len(lines) - 1) - 0.5)
            x, y = [place + shift for place, _ in found], [100 * row.mean for _, row in found]
            spread = [100 * (row.std or 0) for _, row in found]
            style: dict[str, Any] = {
                "color": method_color(method),
                "marker": single_point_marker(method),
                "linestyle": "",
            }
            axes.errorbar(x, y, spread, label=escape_mathtext(phrases.method_label(method)), **style)
        names = [escape_mathtext(run.name) for run in runs]
        crowded = len(runs) > 4 or _long(names)
        axes.set_xticks(range(len(runs)), names, rotation=35 if crowded else 0, ha="right" if crowded else "center")
        axes.set_xlim(-0.5, len(runs) - 0.5)
        axes.grid(axis="x", visible=False)
        for number in range(1, len(runs)):
            axes.axvline(number - 0.5, color=INK, alpha=0.15, linewidth=0.8)

    numbers = [
        (runs[int(place)].name, method, row.n, row.mean, row.std, row.low, row.high)
        for method, found in lines.items()
        for place, row in found
    ]
    each = [f"{run.name}: {_told(_by_method([run], [0.0]))}" for run in runs]
    fields = ("run", "method", "n", "mean", "std", "low", "high")
    size = (max(6.0, 2.0 + 0.9 * len(runs)), 4.4)
    description = f"Accuracy in percent. {'. '.join(each)}."
    return Chart("runs", "Every method in every run", description, fields, numbers, draw, size)


def _told(found: dict[str, list[tuple[float, MetricRow]]]) -> str:
    return ", ".join(
        f"{phrases.method_label(method)} {phrases.percent(rows[0][1].mean)}" for method, rows in found.items()
    )


def _by_method(runs: Sequence[RunReport], places: Sequence[float]) -> dict[str, list[tuple[float, MetricRow]]]:
    found = {}
    for method in ("pass", *beside.methods(runs), "majority"):
        rows = [(place, chosen_row(run.evaluation, method)) for run, place in zip(runs, places, strict=True)]
        if kept := [(place, row) for place, row in rows if row is not None and math.isfinite(row.mean)]:
            found[method] = kept
    return found


def _curves(runs: Sequence[RunReport], method: str) -> Chart:
    """One kind's best-of-N in every run."""
    found: list[tuple[str, list[MetricRow]]] = []
    for run in runs:
        if method in run.evaluation.methods:
            key = (method, "best", run.evaluation.choice(method, "best").aggregation)
            rows = [row for row in run.evaluation.rows if (row.method, row.voting, row.aggregation) == key]
            found.append((run.name, rows))

    def draw(axes: Axes) -> None:
        name_axes(axes, "candidates N", "accuracy, %")
        for number, (run, rows) in enumerate(found):
            ns, shade = [row.n for row in rows], _RUN_COLOURS[number % len(_RUN_COLOURS)]
            marker = _RUN_MARKERS[number % len(_RUN_MARKERS)]
            axes.plot(ns, [100 * row.mean for row in rows], label=escape_mathtext(run), color=shade, marker=marker)
            if all(row.std is not None for row in rows):
                low, high = ([100 * (row.mean + sign * (row.std or 0)) for row in rows] for sign in (-1, 1))
                axes.fill_between(ns, low, high, color=shade, alpha=0.2, linewidth=0)
        log2_axis(axes, sorted({row.n for _, rows in found for row in rows}))

    title = f"{phrases.method_label(method)}, best-of-N"
    ends = [f"{run} from {phrases.percent(rows[0].mean)} to {phrases.percent(rows[-1].mean)}" for run, rows in found]
    numbers = [(run, row.n, row.mean, row.std, row.low, row.high) for run, rows in found for row in rows]
    fields = ("run", "n", "mean", "std", "low", "high")
    return Chart("runs-curves", title, f"{title}, in percent: {'; '.join(ends)}.", fields, numbers, draw, legend=2)
