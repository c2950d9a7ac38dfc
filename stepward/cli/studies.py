"""Verbs of studies: several runs that answer a question, with a paper's figures beside them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stepward.cli.program import app, echo

if TYPE_CHECKING:
    from stepward.report.study.tables import StudyReport


@app.command()
def study(
    name: Annotated[str, typer.Argument(metavar="STUDY", help="A study (`stepward list studies`) or a file.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="field=value for all its runs")] = None,
    runs: Annotated[Path, typer.Option("--runs", help="Folder in which runs and studies lie.")] = Path("runs"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes that its runs share; one a GPU, or 2, if not given.")
    ] = None,
    pages: Annotated[bool, typer.Option(help="Draw the page of each run too, which takes seconds a run.")] = True,
    only_tables: Annotated[bool, typer.Option("--only-tables", help="Run nothing; tabulate what is finished.")] = False,
) -> None:
    """Run a study's cells, go on where it stopped, and lay its tables beside the paper's."""
    from stepward.pipeline.studies.run import run_study, tabulate_study
    from stepward.recipes.study.plan import load_study

    plan = load_study(name, overrides or [])
    folder = runs / plan.study.name
    report = tabulate_study(plan, folder) if only_tables else run_study(plan, runs, Console(), workers, pages=pages)
    _show(report)
    echo(f"{report.name}: {len(report.cells)} runs, {report.seconds:.0f} s of work. Page: {folder / 'study.html'}")


def _show(report: "StudyReport") -> None:
    """The tables and checks in the terminal."""
    from stepward.report.study.tables import difference, headings, lines

    console = Console()
    for one in report.tables:
        table = Table(title=escape(one.title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("")
        for heading in headings(one):
            table.add_column(escape(heading), justify="right")
        for line in lines(one):
            table.add_row(*map(escape, line))
        console.print(table)
    for check in report.checks:
        echo(f"{check.verdict}: {check.says}" + (f" [{difference(check)}]" if difference(check) else ""))
