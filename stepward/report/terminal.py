"""The summary table that a run ends with in the terminal."""

from rich import box
from rich.table import Table

from stepward.evaluation.best_of_n.evaluate import Evaluation
from stepward.report.run.tables import table_rows


def summary_table(evaluation: Evaluation) -> Table:
    """Every method under what validation chose for it, at the N of choice and the largest N; 80 columns wide."""
    n, most = evaluation.n, evaluation.rows[-1].n
    problems = evaluation.rows[0].problems
    table = Table(
        title=f"Accuracy in percent on {problems} test problems",
        caption="* chosen on validation problems" if evaluation.methods else None,
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for title in ("method", "voting", "aggregation"):
        table.add_column(title, no_wrap=True)
    for title in (f"N = {n}", "95% interval", *([f"N = {most}"] if most > n else [])):
        table.add_column(title, justify="right", no_wrap=True)
    for row in table_rows(evaluation, [n, most] if most > n else [n]):
        cells = [row.figures[0].accuracy, row.figures[0].interval, *(figure.accuracy for figure in row.figures[1:])]
        style = "bold" if row.overall else None
        table.add_row(row.method, f"{row.voting}{'*' if row.overall else ''}", row.aggregation, *cells, style=style)
    return table
