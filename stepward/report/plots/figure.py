"""A chart: what is drawn, its numbers, and the words for those who can't see it; as SVG, PNG and CSV, one like another.

The SVG is inlined: no file beside the page, and the same bytes every time. What is text, axis or grid takes the page's
own colour (`currentColor`), so that one figure serves light and dark. The PNG and the CSV are for papers and slides.
"""

import io
import re
import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stepward.storage.spreadsheet import csv_text

INK = "#123456"
"""Stands for the page's text colour until the SVG is written; no method has it."""

# matplotlib types the keys of its settings one by one, which a dictionary that is built up can't follow.
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "text.color": INK,
    # A run's name may hold dollar signs; it is no formula.
    "text.parse_math": False,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.formatter.use_mathtext": False,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "savefig.facecolor": "white",
}

_LETTERS_AN_INCH = 10.5
_LEGEND_LETTERS_AN_INCH = 15
_HANDLE_LETTERS = 6
"""About how many letters fit into an inch of a title and of a legend, and into the line before a legend's text."""
_MOST_LETTERS = 40
_DPI = 160


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure of the page.

    Attributes:
        name: Its file's name without an ending; unique on a page.
        title: What it shows, for its caption.
        description: Its numbers in a sentence, for those who can't see it.
        columns: What its numbers are, for the CSV.
        rows: Its numbers [row, column].
        draw: Draws it on axes.
        size: Width and height in inches.
        legend: How many columns its legend has; 0 for none.
    """

    name: str
    title: str
    description: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    draw: Callable[[Axes], None]
    size: tuple[float, float] = (6.0, 4.0)
    legend: int = 3


def as_svg(chart: Chart, *, title: bool = False, text: Literal["none", "path"] = "none") -> str:
    """The chart as an `<svg>` element without size, date or ids that another figure on the page may have.

    Args:
        chart: The chart.
        title: Whether the title is drawn; a page says it in the caption.
        text: `none` keeps text as text, in the page's font; `path` draws it, for a picture that stands alone.
    """
    with mpl.rc_context({**STYLE, "svg.hashsalt": chart.name, "svg.fonttype": text}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        return svg(_figure(chart, title), chart.name)


def as_png(chart: Chart) -> bytes:
    """The chart with its title, dark on white."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # A name may hold signs that the font lacks; they are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        _figure(chart, title=True).savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def as_csv(chart: Chart) -> str:
    """The chart's numbers, with a heading."""
    return csv_text(chart.columns, chart.rows)


def escape_mathtext(text: str) -> str:
    """Foreign text as a figure can show it: one short line, without what XML and fonts have no sign for."""
    line = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in " ".join(text.split()))
    line = line if len(line) <= _MOST_LETTERS else f"{line[: _MOST_LETTERS - 1]}…"
    # A legend leaves out what begins with an underscore.
    return f" {line}" if line.startswith("_") else line


def svg(figure: Figure, prefix: str) -> str:
    """A figure as an `<svg>` element; see `as_svg`. Call it under the settings that the figure was made by."""
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->\n?", "", text[text.index("<svg") :], flags=re.DOTALL)
    # Only tags are changed: what a chart says may itself look like an id or a link.
    return re.sub(r"<[^>]+>", lambda found: _tag(found[0], prefix), text)


def _tag(tag: str, prefix: str) -> str:
    if tag.startswith("<svg"):
        tag = re.sub(r' (?:width|height)="[^"]*"', "", tag)
    # Text is laid out for DejaVu Sans, which is wider than what pages are set in: it fits in the page's font too.
    tag = re.sub(r"'DejaVu Sans'(?:, [^;\"]*?)?sans-serif", "system-ui, 'DejaVu Sans', sans-serif", tag)
    tag = re.sub(r'\bid="', f'id="{prefix}-', tag.replace(INK, "currentColor"))
    tag = re.sub(r'href="#', f'href="#{prefix}-', tag)
    return re.sub(r"url\(#", f"url(#{prefix}-", tag)


def _figure(chart: Chart, title: bool) -> Figure:
    figure = Figure(figsize=chart.size, layout="constrained")
    axes = figure.add_subplot()
    chart.draw(axes)
    if title:
        axes.set_title(textwrap.fill(chart.title, int(_LETTERS_AN_INCH * chart.size[0])))
    handles, labels = axes.get_legend_handles_labels()
    if handles and chart.legend:
        fitting = int(_LEGEND_LETTERS_AN_INCH * chart.size[0]) // (max(map(len, labels)) + _HANDLE_LETTERS)
        columns = max(1, min(chart.legend, len(handles), fitting))
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    return figure
