"""The report: one HTML page with everything in it, that opens offline, prints, and says the answer first.

All text goes through Jinja2 with escaping on, for a problem or a solution may hold anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from stepward.evaluation.label_quality import LabelQuality
from stepward.evaluation.summary import Evaluation
from stepward.records import Problem, Solution
from stepward.report import plots, wording
from stepward.report.rows import all_rows, table_rows
from stepward.store import atomic

MOST_EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class ExampleSolution:
    """A solution to show, with what the models and the oracle say of its steps.

    Attributes:
        solution: The solution.
        scores: By kind or model `<kind>/seed-<seed>`, its step scores [step]; the first one colours the steps.
        first_error: The first step that the oracle calls wrong, from 0; None where it finds none.
    """

    solution: Solution
    scores: Mapping[str, Sequence[float]]
    first_error: int | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A problem to show with some of its solutions."""

    problem: Problem
    solutions: Sequence[ExampleSolution]


@dataclass(frozen=True, slots=True)
class ReportInput:
    """All that the page shows.

    Attributes:
        name: The run's name.
        evaluation: Its figures.
        labels: Its labels beside the oracle; None where there is no oracle, and then no step is marked as wrong.
        facts: What else to know of the run, in order: numbers of problems, solutions and completions, times, seeds.
        examples: Solutions to show; the first ten problems are.
    """

    name: str
    evaluation: Evaluation
    labels: LabelQuality | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    examples: Sequence[Example] = ()


@dataclass(frozen=True, slots=True)
class Tile:
    """A large figure at the top of the page."""

    title: str
    figure: str
    note: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure and the words for those who can't see it."""

    svg: Markup
    description: str


def write_report(report: ReportInput, path: Path) -> None:
    """Writes the page, whole or not at all.

    Raises:
        StepwardError: The disc is full or the folder can't be written.
    """
    html = render(report)
    with atomic(path) as file:
        file.write(html.encode("utf-8"))


def render(report: ReportInput) -> str:
    """The page's HTML; the same input gives the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": wording.percent, "method_name": wording.name, "colour": score_colour}
    evaluation = report.evaluation
    ns = sorted({row.n for row in evaluation.rows})
    shown = sorted({evaluation.n, ns[-1]})
    return environment.get_template("report.html.j2").render(
        report=report,
        problems=evaluation.rows[0].problems,
        n=evaluation.n,
        tiles=_tiles(evaluation),
        answers=wording.answers(evaluation),
        comparisons=wording.comparisons(evaluation),
        over_optimisation=wording.over_optimisation(evaluation),
        curves=_curves(evaluation),
        quintiles=_quintiles(evaluation),
        label_plots=_label_plots(report.labels),
        table=table_rows(evaluation, shown),
        table_ns=shown,
        every_row=all_rows(evaluation, ns),
        every_n=ns,
        choices=[choice for choice in evaluation.chosen if choice.overall],
        how=wording.how,
        examples=report.examples[:MOST_EXAMPLES],
        scale=[number / 10 for number in range(11)],
    )


def score_colour(score: float) -> str:
    """A background for a score in [0, 1]: orange below a half, blue above, fainter towards it.

    Orange and blue differ for every common kind of colour-blindness, and lie over a light or a dark page alike.
    """
    red, green, blue = (213, 94, 0) if score < 0.5 else (0, 114, 178)
    return f"rgba({red}, {green}, {blue}, {abs(2 * score - 1) * 0.55:.3f})"


def _tiles(evaluation: Evaluation) -> list[Tile]:
    n, tiles = evaluation.n, []
    leading = wording.leading(evaluation)
    if leading is not None:
        for choice in (evaluation.choice(leading, voting) for voting in ("best", "weighted")):
            row = evaluation.row(leading, n, choice.voting, choice.aggregation)
            voting = f"best-of-{n}" if choice.voting == "best" else f"weighted voting at {n}"
            note = f"{wording.AGGREGATION_NAMES[choice.aggregation]} of the step scores"
            note = "score of the last step" if choice.aggregation == "last" else note
            tiles.append(Tile(f"{wording.name(leading)}, {voting}", wording.with_spread(row), note))
    majority = wording.percent(evaluation.row("majority", n).mean)
    tiles.append(Tile(f"Majority voting at {n}", majority, "no reward model"))
    tiles.append(Tile(f"pass@{n}", wording.percent(evaluation.row("pass", n).mean), "an oracle would choose"))
    return tiles


def _curves(evaluation: Evaluation) -> list[Plot]:
    ns = sorted({row.n for row in evaluation.rows})
    made = []
    for voting in ("best", "weighted") if evaluation.methods else ("best",):
        ends = []
        for method in ("majority", "pass", *evaluation.methods):
            known = method in evaluation.methods
            aggregation = evaluation.choice(method, voting).aggregation if known else None
            first, last = (evaluation.row(method, n, voting if known else None, aggregation) for n in (ns[0], ns[-1]))
            ends.append(f"{wording.name(method)} from {wording.percent(first.mean)} to {wording.percent(last.mean)}")
        what = "best-of-N" if voting == "best" else "reward-weighted voting"
        description = f"Accuracy in percent by {what}, from {ns[0]} to {ns[-1]} candidates: {'; '.join(ends)}."
        made.append(Plot(Markup(plots.best_of_n_curves(evaluation, voting)), description))
    return made


def _quintiles(evaluation: Evaluation) -> Plot:
    lines = []
    for method in ("majority", "pass", *evaluation.methods):
        rows = [row for row in evaluation.quintiles if row.method == method and row.voting in (None, "best")]
        lines.append(f"{wording.name(method)} {', '.join(wording.percent(row.accuracy) for row in rows)}")
    description = f"Accuracy in percent from the hardest to the easiest fifth of the problems: {'; '.join(lines)}."
    return Plot(Markup(plots.quintile_plot(evaluation.quintiles, evaluation.n)), description)


def _label_plots(labels: LabelQuality | None) -> list[Plot]:
    if labels is None or not labels.by_k:
        return []
    agreement = ", ".join(f"{wording.percent(row.agreement)} at K = {row.k}" for row in labels.by_k)
    positives = ", ".join(f"{wording.percent(row.false_positives)} at K = {row.k}" for row in labels.by_k)
    negatives = ", ".join(f"{wording.percent(row.false_negatives)} at K = {row.k}" for row in labels.by_k)
    return [
        Plot(Markup(plots.agreement_plot(labels.by_k)), f"Hard labels that agree with the oracle: {agreement}."),
        Plot(
            Markup(plots.label_error_plot(labels.by_k)),
            f"False positives in percent of prefixes: {positives}. False negatives: {negatives}.",
        ),
    ]
