"""`stepward report`: one page of a run or several."""

from pathlib import Path
from typing import Annotated

import typer

from stepward.cli.program import app, echo


@app.command()
def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Finished runs; folders of `evaluate scores --to`.")
    ],
    to: Annotated[Path | None, typer.Option("--to", help="The page; in the run's folder if not given.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Also write the first run's best-of-N curves, as SVG (.svg).")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of plots, and of problems that load on demand.")] = None,
    grader: Annotated[
        str | None, typer.Option(help="What told answers apart, where the run names a function: MODULE:FUNCTION.")
    ] = None,
) -> None:
    """Draw the page of a finished run, or of several beside one another."""
    from stepward.pipeline.report_data import check_picture, draw_picture, report_runs
    from stepward.storage.run_dir import Layout

    if picture is not None:
        check_picture(picture)
    page = report_runs(runs, to, data, grader)
    if picture is not None:
        draw_picture(Layout(runs[0]), picture)
    echo(f"Report: {page}")
