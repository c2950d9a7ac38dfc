"""How good labels are over what they cost: a point a way of drawing, a line through what one way's counts hold."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from stepward.errors import StepwardError
from stepward.evaluation.labels.cost import LabelCost
from stepward.report.plots.figure import INK, STYLE, svg
from stepward.report.plots.run import COLORS, SPARE_COLORS
from stepward.storage.files import atomic_write

SUFFIXES = (".svg", ".png")
_COLOURS = (COLORS["hard"], COLORS["orm"], COLORS["soft"], COLORS["er"], *SPARE_COLORS)
_MARKERS = "osD^vPX"


def draw_label_costs(costs: Sequence[LabelCost], path: Path) -> None:
    """Draws labels that agree with the oracle, and first errors that are found, over tokens a solution.

    Where a run did not count its tokens, the cost is completions a solution. What was computed from the counts of
    another way is drawn hollow.

    Args:
        costs: At least one way; of several runs, as many as there are.
        path: The file to write, .svg or .png.

    Raises:
        StepwardError: Another ending, nothing to draw, or the file can't be written.
    """
    if path.suffix not in SUFFIXES:
        raise StepwardError(
            f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}", code="bad_value", file=path
        )
    if not costs:
        raise StepwardError(f"{path}: there are no rollouts to draw; give a run that has some", code="empty", file=path)
    counted = all(one.tokens is not None for one in costs)
    series: defaultdict[str, list[LabelCost]] = defaultdict(list)
    for one in costs:
        series[f"{one.run}, {one.completer}"].append(one)
    with mpl.rc_context({**STYLE, "svg.fonttype": "path", "svg.hashsalt": "label costs", "axes.titlesize": 10}):
        figure = Figure(figsize=(9.0, 4.0 + 0.2 * len(series)), layout="constrained")
        panels = figure.subplots(1, 2)
        _panel(panels[0], series, "agreement", "Labels that agree with the oracle, % of prefixes", counted)
        handles = _panel(panels[1], series, "first_error", "First errors rightly found, % of solutions", counted)
        # Names of runs and strategies are long: one a line.
        ways = [next(one.strategy for one in rows if not one.simulated) for rows in series.values()]
        names = [f"{name}: {way}" for name, way in zip(series, ways, strict=True)]
        figure.legend(handles, names, loc="outside lower center", ncols=1)
        if path.suffix == ".svg":
            content = svg(figure, "label-costs").encode()
            with atomic_write(path) as file:
                file.write(content)
            return
        with atomic_write(path) as file:
            figure.savefig(file, format="png", dpi=150, facecolor="white", metadata={"Software": None})


def _panel(
    axes: Axes, series: Mapping[str, Sequence[LabelCost]], measure: str, title: str, counted: bool
) -> list[Line2D]:
    """Draws one measure; gives a point of each completer, for the legend."""
    axes.set_title(title)
    axes.set_xlabel("tokens a solution" if counted else "completions a solution")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    handles = []
    for number, rows in enumerate(series.values()):
        colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
        line = sorted((_cost(one, counted), 100 * getattr(one, measure)) for one in rows if "all(" in one.strategy)
        axes.plot([x for x, _ in line], [y for _, y in line], color=colour, linewidth=1)
        for one in rows:
            x, y = _cost(one, counted), 100 * getattr(one, measure)
            face = "none" if one.simulated else colour
            (point,) = axes.plot(x, y, marker=marker, linestyle="", color=colour, markerfacecolor=face)
            handles += [] if one.simulated else [point]
            if one.strategy.startswith("every all("):
                # Others are told apart by the legend: their names would stand on one another.
                told = one.strategy.removeprefix("every ")
                note = axes.annotate(told, (x, y), (4, -9), textcoords="offset points", fontsize=7, color=INK)
                note.set_in_layout(False)
    axes.margins(x=0.15, y=0.12)
    return handles


def _cost(one: LabelCost, counted: bool) -> float:
    return (one.tokens if counted and one.tokens else one.completions) / one.solutions
