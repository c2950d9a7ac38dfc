"""The rows of the summary table, as text, shared by the page and the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from stepward.evaluation.best_of_n.evaluate import Evaluation, MetricRow
from stepward.report.run.text import VOTING_NAMES, aggregation_name, method_label, percent, with_spread


@dataclass(frozen=True, slots=True)
class MetricCell:
    """One accuracy in percent, with its spread over seeds, and its 95% interval."""

    accuracy: str
    interval: str


@dataclass(frozen=True, slots=True)
class TableRow:
    """One method.

    Attributes:
        kind: The method as the rows of `summary.json` call it.
        method: Its name.
        voting: How its scores are used, `best-of-N` or `weighted`; empty without a reward model.
        aggregation: Its aggregation's name; empty without a reward model.
        overall: Whether validation chose this voting for the kind.
        figures: One for each N asked for.
    """

    kind: str
    method: str
    voting: str
    aggregation: str
    overall: bool
    figures: tuple[MetricCell, ...]


def table_rows(evaluation: Evaluation, ns: Sequence[int]) -> list[TableRow]:
    """Majority, pass@N, and every kind's choice for each voting."""
    rows = [_row(evaluation, method, None, None, ns) for method in ("majority", "pass")]
    for choice in evaluation.chosen:
        rows.append(_row(evaluation, choice.method, choice.voting, choice.aggregation, ns, choice.overall))
    return rows


def all_rows(evaluation: Evaluation, ns: Sequence[int]) -> list[TableRow]:
    """Every method, voting and aggregation."""
    keys = dict.fromkeys((row.method, row.voting, row.aggregation) for row in evaluation.rows)
    chosen = {(choice.method, choice.voting, choice.aggregation) for choice in evaluation.chosen if choice.overall}
    return [_row(evaluation, *key, ns, key in chosen) for key in keys]


def _row(
    evaluation: Evaluation,
    method: str,
    voting: str | None,
    aggregation: str | None,
    ns: Sequence[int],
    overall: bool = False,
) -> TableRow:
    how = VOTING_NAMES.get(voting, voting) if voting else ""
    figures = tuple(_figure(evaluation.row(method, n, voting, aggregation)) for n in ns)
    aggregated = aggregation_name(aggregation) if aggregation else ""
    return TableRow(method, method_label(method), how, aggregated, overall, figures)


def _figure(row: MetricRow) -> MetricCell:
    return MetricCell(with_spread(row), f"{percent(row.low)} to {percent(row.high)}")
