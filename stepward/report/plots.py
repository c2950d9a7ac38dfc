"""The report's figures, as SVG to be inlined: no file beside the page, sharp on paper, the same bytes every time.

What is text, axis or grid takes the page's own colour (`currentColor`), so that one figure serves light and dark; the
methods' colours are mid-tones that differ for the colour-blind too, and each method has its own marker besides.
"""

import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from stepward.evaluation.label_quality import Agreement
from stepward.evaluation.slices import QuintileRow
from stepward.evaluation.summary import Evaluation, Row
from stepward.report.wording import name

INK = "#123456"
"""Stands for the page's text colour until the SVG is written; no method has it."""

COLOURS = {"orm": "#d98200", "hard": "#3b8fd4", "soft": "#1aa179", "er": "#d1478f", "majority": INK, "pass": INK}
SPARE_COLOURS = ("#8a6fd1", "#9a7b3f", "#5f8f2f", "#7f7f7f")
MARKERS = {"orm": "s", "hard": "o", "soft": "^", "er": "D", "majority": "", "pass": ""}
DASHES = {"majority": "--", "pass": ":"}

# matplotlib types the keys of its settings one by one, which a dictionary that is built up can't follow.
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "path",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "grid.color": INK,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
}

Point = tuple[float, float]


def best_of_n_curves(evaluation: Evaluation, voting: str) -> str:
    """Accuracy over N of every kind under its choice for a voting, with bands of one standard deviation over seeds."""
    title = "Best-of-N" if voting == "best" else "Reward-weighted voting"
    with mpl.rc_context({**_STYLE, "svg.hashsalt": f"curves {voting}"}):
        figure, axes = _figure(title, "candidates N", "accuracy, %")
        for method in ("pass", *evaluation.methods, "majority"):
            aggregation = None if method in DASHES else evaluation.choice(method, voting).aggregation
            rows = _curve(evaluation, method, None if method in DASHES else voting, aggregation)
            _line(axes, method, [(row.n, 100 * row.mean) for row in rows])
            if all(row.std is not None for row in rows):
                low = [100 * (row.mean - (row.std or 0)) for row in rows]
                high = [100 * (row.mean + (row.std or 0)) for row in rows]
                axes.fill_between([row.n for row in rows], low, high, color=_colour(method), alpha=0.2, linewidth=0)
        ns = sorted({row.n for row in evaluation.rows})
        _powers(axes, ns)
        return _svg(figure, f"curves-{voting}")


def _curve(evaluation: Evaluation, method: str, voting: str | None, aggregation: str | None) -> list[Row]:
    key = (method, voting, aggregation)
    return [row for row in evaluation.rows if (row.method, row.voting, row.aggregation) == key]


def quintile_plot(rows: Sequence[QuintileRow], n: int) -> str:
    """Accuracy in every fifth of the problems, of every method; kinds by best-of-N."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": "quintiles"}):
        figure, axes = _figure(f"Best-of-{n} by difficulty", "problems by the generator's pass rate", "accuracy, %")
        shown = [row for row in rows if row.voting in (None, "best")]
        methods = dict.fromkeys(row.method for row in shown)
        for method in sorted(methods, key=lambda one: (one != "pass", one == "majority")):
            _line(axes, method, [(row.quintile, 100 * row.accuracy) for row in shown if row.method == method])
        fifths = {row.quintile: row for row in shown}
        ends = {1: "hardest\n", max(fifths): "easiest\n"}
        labels = [
            f"{ends.get(number, '')}{100 * row.pass_low:.0f} to {100 * row.pass_high:.0f}%"
            for number, row in sorted(fifths.items())
        ]
        axes.set_xticks(sorted(fifths), labels)
        axes.set_ylim(-3, 103)
        return _svg(figure, "quintiles")


def agreement_plot(rows: Sequence[Agreement]) -> str:
    """The agreement of hard labels with the oracle over K."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": "agreement"}):
        figure, axes = _figure("Hard labels that agree with the oracle", "completions K", "share of prefixes, %")
        points = [(row.k or 0, 100 * row.agreement) for row in rows]
        axes.plot(*_columns(points), marker="o", color=COLOURS["hard"])
        _annotate(axes, points)
        _powers(axes, [row.k or 0 for row in rows])
        axes.margins(x=0.12, y=0.15)  # room for the numbers beside the points
        return _svg(figure, "agreement")


def label_error_plot(rows: Sequence[Agreement]) -> str:
    """False positives and false negatives of hard labels over K, apart."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": "label errors"}):
        figure, axes = _figure("Hard labels that do not, by kind of error", "completions K", "share of prefixes, %")
        positives = [(row.k or 0, 100 * row.false_positives) for row in rows]
        negatives = [(row.k or 0, 100 * row.false_negatives) for row in rows]
        axes.plot(*_columns(positives), marker="s", color=COLOURS["orm"], label="false positives: wrong, label 1")
        axes.plot(*_columns(negatives), marker="^", color=COLOURS["soft"], label="false negatives: right, label 0")
        _powers(axes, [row.k or 0 for row in rows])
        axes.set_ylim(bottom=0)
        return _svg(figure, "label-errors")


def _figure(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.0, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return figure, axes


def _colour(method: str) -> str:
    # A kind that this file does not know takes a spare colour by its name, so it is the same in every figure.
    return COLOURS.get(method) or SPARE_COLOURS[sum(method.encode()) % len(SPARE_COLOURS)]


def _line(axes: Axes, method: str, points: Sequence[Point]) -> None:
    axes.plot(
        *_columns(points),
        label=name(method),
        color=_colour(method),
        marker=MARKERS.get(method, "v"),
        linestyle=DASHES.get(method, "-"),
    )


def _columns(points: Iterable[Point]) -> tuple[list[float], list[float]]:
    pairs = list(points)
    return [x for x, _ in pairs], [y for _, y in pairs]


def _powers(axes: Axes, ticks: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def _annotate(axes: Axes, points: Sequence[Point]) -> None:
    for x, y in points:
        axes.annotate(f"{y:.1f}", (x, y), (-5, 4), textcoords="offset points", ha="right")


def _svg(figure: Figure, prefix: str) -> str:
    """The figure as an `<svg>` element without size, date or ids that another figure on the page may have."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=3 if len(handles) > 2 else 2)
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    return re.sub(r"url\(#", f"url(#{prefix}-", text)
