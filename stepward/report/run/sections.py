"""What the page says of one run, part by part: its tiles, sentences, tables and charts."""

from dataclasses import dataclass
from itertools import groupby

from stepward.evaluation.best_of_n.evaluate import Evaluation, PairedDifference
from stepward.report.data import RunReport
from stepward.report.plots import run as plots
from stepward.report.plots.figure import Chart
from stepward.report.run import text as phrases
from stepward.report.run.tables import TableRow, all_rows, table_rows

_MAIN_VOTINGS = ("best", "weighted")


@dataclass(frozen=True, slots=True)
class HeadlineNumber:
    """A large figure at the top of the page."""

    title: str
    figure: str
    note: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A row of the table of differences; `p_holm` is corrected for all rows, `verdict` wins, loses or can't tell."""

    method: str
    against: str
    difference: str
    interval: str
    p: str
    p_holm: str
    needed: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Sections:
    """One run's parts of the page.

    Attributes:
        problems: How many test problems there are.
        n: The N at which methods are chosen and compared.
        tiles: The large figures.
        answers: What every kind reaches, a sentence each.
        comparisons: What wins and loses, a sentence each.
        over_optimisation: Whether more candidates hurt.
        counts: What is to be said of the candidates.
        table: Every kind's choices at `table_ns`.
        table_ns: The N of choice and the largest.
        every_row: Every method, voting and aggregation at `every_n`.
        every_n: Every N.
        validated: Whether validation problems chose how each kind is used.
        choosing: How that was chosen, in a sentence.
        choices: How each kind is used.
        margins: All paired differences.
        tested: How many these are, and what they are over, in sentences.
        deviates: Whether a kind has several seeds, so that there is a deviation over them.
        by: What difficulty is measured by.
        charts: By part: `curves`, `votings`, `difficulty`, `slices`, `labels`, `calibration`, `cost`.
    """

    problems: int
    n: int
    tiles: list[HeadlineNumber]
    answers: list[str]
    comparisons: list[str]
    over_optimisation: list[str]
    counts: list[str]
    table: list[TableRow]
    table_ns: list[int]
    every_row: list[TableRow]
    every_n: list[int]
    validated: bool
    choosing: str
    choices: list[str]
    margins: list[Comparison]
    tested: str
    deviates: bool
    by: str
    charts: dict[str, list[Chart]]


def sections(run: RunReport) -> Sections:
    """Computes a run's parts of the page from its figures."""
    evaluation = run.evaluation
    ns = sorted({row.n for row in evaluation.rows})
    shown = sorted({evaluation.n, ns[-1]})
    chosen = [choice for choice in evaluation.chosen if choice.overall]
    choices = [f"{phrases.method_label(one.method)}: {phrases.describe_config(one, evaluation.n)}" for one in chosen]
    return Sections(
        problems=evaluation.rows[0].problems,
        n=evaluation.n,
        tiles=_tiles(evaluation, run.rewards),
        answers=phrases.answers(evaluation),
        comparisons=phrases.comparisons(evaluation),
        over_optimisation=phrases.over_optimisation(evaluation),
        counts=phrases.counts(evaluation.facts),
        table=table_rows(evaluation, shown),
        table_ns=shown,
        every_row=all_rows(evaluation, ns),
        every_n=ns,
        validated=all(choice.validation is not None for choice in chosen),
        choosing=phrases.choosing(evaluation, choices),
        choices=choices,
        margins=[_comparison(evaluation, margin) for margin in evaluation.margins],
        tested=phrases.comparing(evaluation),
        deviates=phrases.deviates(evaluation.rows),
        by=evaluation.quintiles[0].by,
        charts=_charts(run),
    )


def _tiles(evaluation: Evaluation, rewards: bool) -> list[HeadlineNumber]:
    n, tiles = evaluation.n, []
    leading = phrases.lead_method(evaluation)
    if leading is not None:
        for choice in (evaluation.choice(leading, voting) for voting in _MAIN_VOTINGS):
            row = evaluation.row(leading, n, choice.voting, choice.aggregation)
            note = f"{phrases.aggregation_name(choice.aggregation)} of the step scores"
            note = "score of the last step" if choice.aggregation == "last" else note
            note = "by its rewards" if rewards else note
            title = f"{phrases.method_label(leading)}, {phrases.voting_at(choice.voting, n)}"
            tiles.append(HeadlineNumber(title, phrases.with_spread(row), note))
    majority = phrases.percent(evaluation.row("majority", n).mean)
    tiles.append(HeadlineNumber(f"Majority voting at {n}", majority, "no reward model"))
    tiles.append(HeadlineNumber(f"pass@{n}", phrases.percent(evaluation.row("pass", n).mean), "an oracle would choose"))
    return tiles


def _comparison(evaluation: Evaluation, margin: PairedDifference) -> Comparison:
    method, against = phrases.method_label(margin.method), phrases.method_label(margin.against)
    if margin.method == margin.against:
        method, against = f"{method}, best-of-{margin.n}", f"best-of-{margin.against_n}"
    return Comparison(
        method=method,
        against=against,
        difference=phrases.format_points(margin.mean),
        interval=f"{phrases.format_points(margin.low)} to {phrases.format_points(margin.high)}",
        p=phrases.p_value(margin.p),
        p_holm=phrases.p_value(margin.p_holm),
        needed=phrases.needed(margin.mean, margin.needed),
        verdict=phrases.verdict(margin),
    )


def _charts(run: RunReport) -> dict[str, list[Chart]]:
    evaluation, found = run.evaluation, {}
    votings = dict.fromkeys(row.voting for row in evaluation.rows if row.voting is not None)
    main = [voting for voting in _MAIN_VOTINGS if voting in votings] or ["best"]
    found["curves"] = [plots.curves(evaluation, voting) for voting in main]
    found["votings"] = [plots.curves(evaluation, voting) for voting in votings if voting not in main]
    found["difficulty"] = [plots.quintile_plot(evaluation.quintiles)]
    by_slicing = groupby(evaluation.slices, key=lambda row: row.slicing)
    found["slices"] = [plots.slice_plot(slicing, list(rows)) for slicing, rows in by_slicing]
    found["labels"] = []
    if run.labels is not None and run.labels.by_k:
        found["labels"] = [plots.agreement_plot(run.labels.by_k), plots.label_error_plot(run.labels.by_k)]
    found["calibration"] = [plots.reliability_plot(run.calibration)] if run.calibration else []
    found["cost"] = [plots.cost_plot(run.costs)] if any(one.seconds for one in run.costs) else []
    return found
