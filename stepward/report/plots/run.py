"""What one run shows: accuracy over N, by slice, labels over K, reliability, and where the time went.

The methods' colours are mid-tones that differ for the colour-blind too, and each method has its own marker besides.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from stepward.evaluation.best_of_n.evaluate import Evaluation, MetricRow
from stepward.evaluation.best_of_n.slices import QuintileRow, SliceRow
from stepward.evaluation.calibration import Reliability
from stepward.evaluation.labels.agreement import Agreement
from stepward.report.data import StageCost
from stepward.report.plots.figure import INK, Chart, as_svg, escape_mathtext
from stepward.report.run.text import VOTING_TITLES, method_label, percent

COLORS = {"orm": "#d98200", "hard": "#3b8fd4", "soft": "#1aa179", "er": "#d1478f", "majority": INK, "pass": INK}
SPARE_COLORS = ("#8a6fd1", "#9a7b3f", "#5f8f2f", "#7f7f7f")
MARKERS = {"orm": "s", "hard": "o", "soft": "^", "er": "D", "majority": "", "pass": ""}
DASHES = {"majority": "--", "pass": ":"}
_SLICINGS = {"steps": "number of steps", "length": "length in characters"}

Point = tuple[float, float]


def best_of_n_curves(evaluation: Evaluation, voting: str) -> str:
    """`curves` as a picture that stands alone."""
    return as_svg(curves(evaluation, voting), title=True, text="path")


def curves(evaluation: Evaluation, voting: str) -> Chart:
    """Accuracy over N of every kind under its choice for a voting, with bands of one standard deviation over seeds.

    Votings that nothing was chosen for take the aggregation that was chosen for `weighted`.
    """
    title = VOTING_TITLES.get(voting, voting)
    found = {}
    for method in ("pass", *evaluation.methods, "majority"):
        by = voting if voting == "best" else "weighted"
        aggregation = None if method in DASHES else evaluation.choice(method, by).aggregation
        key = (method, None if method in DASHES else voting, aggregation)
        found[method] = [row for row in evaluation.rows if (row.method, row.voting, row.aggregation) == key]

    def draw(axes: Axes) -> None:
        name_axes(axes, "candidates N", "accuracy, %")
        for method, rows in found.items():
            _line(axes, method, [(row.n, 100 * row.mean) for row in rows])
            if rows and all(row.std is not None for row in rows):
                low = [100 * (row.mean - (row.std or 0)) for row in rows]
                high = [100 * (row.mean + (row.std or 0)) for row in rows]
                axes.fill_between(
                    [row.n for row in rows], low, high, color=method_color(method), alpha=0.2, linewidth=0
                )
        log2_axis(axes, sorted({row.n for row in evaluation.rows}))

    rows = [row for rows in found.values() for row in rows]
    fields = ("method", "voting", "aggregation", "n", "mean", "std", "low", "high", "seeds", "problems")
    numbers = [[getattr(row, field) for field in fields] for row in rows]
    return Chart(f"curves-{voting}", title, _ends(title, found), fields, numbers, draw)


def _ends(title: str, found: dict[str, list[MetricRow]]) -> str:
    ends = [
        f"{method_label(method)} from {percent(rows[0].mean)} to {percent(rows[-1].mean)}"
        for method, rows in found.items()
        if rows
    ]
    ns = next(([row.n for row in rows] for rows in found.values() if rows), [1])
    return f"{title}: accuracy in percent from {ns[0]} to {ns[-1]} candidates. {'; '.join(ends)}."


def quintile_plot(rows: Sequence[QuintileRow]) -> Chart:
    """Accuracy with its 95% interval in every fifth of the problems, of every method; kinds by best-of-N."""
    shown = [row for row in rows if row.voting in (None, "best")]
    fifths = {row.quintile: row for row in shown}
    ends = {1: "hardest\n", max(fifths): "easiest\n"}
    labels = [
        f"{ends.get(number, '')}{100 * row.pass_low:.0f} to {100 * row.pass_high:.0f}%"
        for number, row in sorted(fifths.items())
    ]
    found = {
        method: [(row.quintile, row) for row in shown if row.method == method]
        for method in _ordered(row.method for row in shown)
    }
    lines: dict[str, list[Point]] = {
        method: [(place, 100 * row.accuracy) for place, row in own] for method, own in found.items()
    }
    fields = (
        "quintile", "by", "pass_low", "pass_high", "problems", "method", "voting", "aggregation", "n", "accuracy",
        "std", "low", "high",
    )  # fmt: skip
    return Chart(
        "quintiles",
        f"Best-of-{shown[0].n} by difficulty",
        _told("Accuracy in percent from the hardest to the easiest fifth of the problems", lines),
        fields,
        [[getattr(row, field) for field in fields] for row in rows],
        lambda axes: _by_place(
            axes, _with_intervals(axes, found), sorted(fifths), labels, "problems by the generator's pass rate"
        ),
    )


def slice_plot(slicing: str, rows: Sequence[SliceRow]) -> Chart:
    """Accuracy with its 95% interval in every slice of one slicing, of every method; kinds by best-of-N."""
    shown = [row for row in rows if row.voting in (None, "best")]
    sizes = {row.slice: row.problems for row in shown}
    slices = list(sizes)
    methods = _ordered(row.method for row in shown)
    found = {method: {row.slice: row for row in shown if row.method == method} for method in methods}

    def draw(axes: Axes) -> None:
        own = {method: [(slices.index(one), row) for one, row in rows.items()] for method, rows in found.items()}
        lines = _with_intervals(axes, own)
        labels = [f"{escape_mathtext(one)}\n({sizes[one]:,})" for one in slices]
        # Subjects have no order that a line could follow.
        _by_place(axes, lines, list(range(len(slices))), labels, f"{slicing} (problems)", joined=slicing != "subject")

    accuracies = {method: [(0.0, 100 * row.accuracy) for row in found[method].values()] for method in methods}
    told = _told(f"Accuracy in percent by {slicing} ({', '.join(slices)})", accuracies)
    fields = ("slicing", "slice", "by", "problems", "method", "voting", "aggregation", "n", "accuracy",
              "std", "low", "high")  # fmt: skip
    numbers = [[getattr(row, field) for field in fields] for row in rows]
    title = f"Best-of-{shown[0].n} by {_SLICINGS.get(slicing, slicing)}"
    return Chart(f"slices-{slicing}", title, told, fields, numbers, draw)


def _with_intervals(
    axes: Axes, found: Mapping[str, Sequence[tuple[int, QuintileRow | SliceRow]]]
) -> dict[str, list[Point]]:
    """Draws every method's intervals at their places, and gives the points of its accuracies."""
    lines: dict[str, list[Point]] = {}
    for number, (method, rows) in enumerate(found.items()):
        # A little beside one another, or their intervals could not be told apart.
        shift = 0.36 * (number / max(1, len(found) - 1) - 0.5)
        own = [(place + shift, row) for place, row in rows]
        lines[method] = [(place, 100 * row.accuracy) for place, row in own]
        ends = ([place for place, _ in own], [100 * row.low for _, row in own], [100 * row.high for _, row in own])
        axes.vlines(*ends, color=method_color(method), alpha=0.35, linewidth=2.2)
    return lines


def _by_place(
    axes: Axes,
    lines: dict[str, list[Point]],
    places: Sequence[int],
    labels: Sequence[str],
    what: str,
    joined: bool = True,
) -> None:
    name_axes(axes, what, "accuracy, %")
    for method, line in lines.items():
        _line(axes, method, line, joined)
    crowded = len(places) > 6
    axes.set_xticks(places, labels, rotation=60 if crowded else 0, ha="right" if crowded else "center")
    axes.set_xlim(min(places) - 0.3, max(places) + 0.3)
    axes.set_ylim(-3, 103)


def agreement_plot(rows: Sequence[Agreement]) -> Chart:
    """The agreement of hard labels with the oracle over K."""
    line: list[Point] = [(row.k or 0, 100 * row.agreement) for row in rows]

    def draw(axes: Axes) -> None:
        name_axes(axes, "completions K", "share of prefixes, %")
        axes.plot(*_columns(line), marker="o", color=COLORS["hard"])
        for x, y in line:
            axes.annotate(f"{y:.1f}", (x, y), (-5, 4), textcoords="offset points", ha="right")
        log2_axis(axes, [row.k or 0 for row in rows])
        axes.margins(x=0.12, y=0.15)  # room for the numbers beside the points

    title = "Hard labels that agree with the oracle"
    told = ", ".join(f"{percent(row.agreement)} at K = {row.k}" for row in rows)
    numbers = [(row.k, row.prefixes, row.agreement) for row in rows]
    return Chart("agreement", title, f"{title}: {told}.", ("k", "prefixes", "agreement"), numbers, draw)


def label_error_plot(rows: Sequence[Agreement]) -> Chart:
    """False positives and false negatives of hard labels over K, apart."""
    positives: list[Point] = [(row.k or 0, 100 * row.false_positives) for row in rows]
    negatives: list[Point] = [(row.k or 0, 100 * row.false_negatives) for row in rows]

    def draw(axes: Axes) -> None:
        name_axes(axes, "completions K", "share of prefixes, %")
        axes.plot(*_columns(positives), marker="s", color=COLORS["orm"], label="false positives: wrong, label 1")
        axes.plot(*_columns(negatives), marker="^", color=COLORS["soft"], label="false negatives: right, label 0")
        log2_axis(axes, [row.k or 0 for row in rows])
        axes.set_ylim(bottom=0)

    lines: dict[str, list[Point]] = {"false positives": positives, "false negatives": negatives}
    told = _told("Errors of hard labels in percent of prefixes", lines)
    numbers = [(row.k, row.prefixes, row.false_positives, row.false_negatives) for row in rows]
    fields = ("k", "prefixes", "false_positives", "false_negatives")
    return Chart("label-errors", "Hard labels that do not, by kind of error", told, fields, numbers, draw, legend=2)


def reliability_plot(found: Mapping[str, Reliability]) -> Chart:
    """The share of right steps over the score, which a calibrated model has on the diagonal; larger marks hold more."""

    def draw(axes: Axes) -> None:
        name_axes(axes, "mean score", "share of right steps")
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":", label="calibrated")
        for method, one in found.items():
            places = [(bin.mean_score, bin.mean_target) for bin in one.bins]
            line = [(x, y) for x, y in places if x is not None and y is not None]
            counts = [bin.count for bin in one.bins if bin.count]
            axes.plot(*_columns(line), color=method_color(method), label=escape_mathtext(method_label(method)))
            areas = [8 + 70 * count / max(counts) for count in counts]
            axes.scatter(*_columns(line), s=areas, color=method_color(method), marker=single_point_marker(method))
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)

    told = "; ".join(f"{method_label(method)} is off by {percent(one.ece)} points" for method, one in found.items())
    fields = ("low", "high", "count", "mean_score", "mean_target")
    every = [(method, bin) for method, one in found.items() for bin in one.bins]
    numbers = [[method, *(getattr(bin, field) for field in fields)] for method, bin in every]
    description = f"Share of right steps over the score: {told}."
    return Chart("reliability", "Reliability", description, ("method", *fields), numbers, draw)


def cost_plot(costs: Sequence[StageCost]) -> Chart:
    """Seconds of worker time by stage."""
    shown = [one for one in costs if one.seconds]

    def draw(axes: Axes) -> None:
        seconds = [one.seconds for one in shown]
        axes.barh(range(len(shown)), seconds, color=COLORS["hard"], height=0.62)
        axes.set_yticks(range(len(shown)), [one.stage for one in shown])
        axes.invert_yaxis()
        axes.set_xlabel("worker time, s")
        axes.grid(axis="y", visible=False)
        for place, value in enumerate(seconds):
            axes.annotate(f"{value:,.0f}", (value, place), (4, 0), textcoords="offset points", va="center")
        axes.margins(x=0.12)

    told = ", ".join(f"{one.stage} {one.seconds:,.0f} s" for one in shown)
    numbers = [(one.stage, one.seconds, one.facts) for one in costs]
    size = (6.0, 1.2 + 0.36 * len(shown))
    fields = ("stage", "seconds", "made")
    return Chart("cost", "Worker time by stage", f"{told}.", fields, numbers, draw, size, legend=0)


def method_color(method: str) -> str:
    """A method's colour, the same in every figure; a kind that is not known here has a spare one by its name."""
    return COLORS.get(method) or SPARE_COLORS[sum(method.encode(errors="replace")) % len(SPARE_COLORS)]


def name_axes(axes: Axes, x: str, y: str) -> None:
    """What the axes show; accuracies are numbers without needless zeros."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def log2_axis(axes: Axes, ticks: Sequence[int]) -> None:
    """A scale by doublings; a tick that would stand on the one before it is left out."""
    kept = [tick for before, tick in pairwise([0, *ticks]) if tick >= 1.4 * before]
    axes.set_xscale("log", base=2)
    axes.set_xticks(kept, [str(tick) for tick in kept])
    axes.xaxis.set_minor_locator(NullLocator())


def _ordered(methods: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(methods), key=lambda one: (one != "pass", one == "majority"))


def _told(what: str, lines: dict[str, list[Point]]) -> str:
    told = [f"{method_label(method)} {', '.join(f'{y:.1f}' for _, y in line)}" for method, line in lines.items()]
    return f"{what}: {'; '.join(told)}."


def _line(axes: Axes, method: str, points: Sequence[Point], joined: bool = True) -> None:
    axes.plot(
        *_columns(points),
        label=escape_mathtext(method_label(method)),
        color=method_color(method),
        marker=MARKERS.get(method, "v") if joined else single_point_marker(method),
        linestyle=DASHES.get(method, "-") if joined else "",
    )


def single_point_marker(method: str) -> str:
    """A method's marker where no line joins its points; the baselines have one too."""
    return {"pass": "*", "majority": "X"}.get(method) or MARKERS.get(method, "v")


def _columns(points: Iterable[Point]) -> tuple[list[float], list[float]]:
    pairs = list(points)
    return [x for x, _ in pairs], [y for _, y in pairs]
