"""Verbs that measure and compare: scores that other tools wrote, and runs beside one another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from stepward.cli.labels import evaluate
from stepward.cli.program import app, echo
from stepward.cli.tables import figures_table
from stepward.errors import StepwardError

if TYPE_CHECKING:
    from stepward.evaluation.best_of_n.evaluate import MetricRow
    from stepward.evaluation.compare import Comparison, RunComparison
    from stepward.evaluation.loaded_run import LoadedRun
    from stepward.evaluation.score_files.evaluate import Progress, ScoreFileEvaluation

_SHOWN_NS = 4
"""Most N that a terminal of 80 columns has room for."""

_SHOWN_RUNS = 4
"""Most runs of one table, likewise."""

MINUS = "\N{MINUS SIGN}"


class Ties(StrEnum):
    """What becomes of answers that tie in a vote of all candidates."""

    share = "share"
    first = "first"


class Neutral(StrEnum):
    """What the middle one of a step's three probabilities counts as."""

    right = "right"
    wrong = "wrong"


@evaluate.command("scores")
def evaluate_scores(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Scores; several are seeds or models.")],
    to_json: Annotated[Path | None, typer.Option("--json", help="Write the rows, as in a run's summary.json.")] = None,
    to_csv: Annotated[Path | None, typer.Option("--csv", help="Write the same rows as CSV.")] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Write a folder that `stepward report` and `stepward compare` take.")
    ] = None,
    validation: Annotated[
        list[Path] | None,
        typer.Option(help="Scores of other problems, to choose voting and aggregation by; may be repeated."),
    ] = None,
    ns: Annotated[str | None, typer.Option("--ns", help="Sizes of candidate sets, such as 1,2,4,8.")] = None,
    aggregation: Annotated[
        list[str] | None, typer.Option(help="min, prod, last, mean or logodds; may be repeated. All if not given.")
    ] = None,
    subsets: Annotated[int, typer.Option(min=1, help="Random subsets a problem and N for voting.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Decides these subsets and the intervals.")] = 0,
    grader: Annotated[str, typer.Option(help="math, exact, string, multiple_choice or module:function.")] = "math",
    ties: Annotated[Ties, typer.Option(help="Who wins a tied vote of all candidates.")] = Ties.share,
    neutral: Annotated[
        Neutral | None, typer.Option(help="Step scores are lists of wrong, neutral, right; neutral counts as this.")
    ] = None,
) -> None:
    """Measure best-of-N and voting by scores that any tool wrote: docs/external-scores.md."""
    from stepward.evaluation.score_files import evaluate as external
    from stepward.evaluation.score_files import io as external_folder

    for path in (to_json, to_csv):
        if path is not None and path.resolve() in [file.resolve() for file in (*files, *(validation or ()))]:
            raise StepwardError(
                f"{path}: the rows would take the place of the scores; name another file", code="conflict", file=path
            )
    if to_json is not None and to_csv is not None and to_json.resolve() == to_csv.resolve():
        raise StepwardError(
            f"{to_json}: named for both --json and --csv; name two files", code="conflict", file=to_json, field="--csv"
        )
    if to is not None:
        external_folder.check_target(to, [*files, *(validation or ())])
    with _bars() as progress:
        measured = external.evaluate_scores(
            files, ns=_numbers(ns), aggregations=_names(aggregation), subsets=subsets, seed=seed, grader=grader,
            ties=ties.value, neutral=None if neutral is None else neutral.value, validation=validation or (),
            in_full=to is not None, progress=progress,
        )  # fmt: skip
    Console().print(_scores_table(measured.rows))
    for line in [*measured.facts.lines(), *_chosen(measured)]:
        echo(line)
    for path, write in ((to_json, external_folder.write_rows), (to_csv, _write_csv), (to, external_folder.write)):
        if path is not None:
            write(measured, path)
            echo(f"Figures: {path}")


def _chosen(measured: "ScoreFileEvaluation") -> list[str]:
    """What validation problems chose, a line a model."""
    from stepward.report.run.text import describe_config, method_label

    return [
        f"{method_label(one.method)}: {describe_config(one, one.n)}, chosen on {one.problems:,} validation problems."
        for one in measured.evaluation.chosen
        if one.overall and one.validation is not None
    ]


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(one) for one in text.split(",")]
    except ValueError:
        raise StepwardError(
            f"--ns {text}: expected whole numbers between commas, such as 1,2,4,8", code="wrong_type", field="--ns"
        ) from None


def _names(given: list[str] | None) -> list[str] | None:
    """Names that are repeated options, or stand between commas."""
    return [name.strip() for one in given for name in one.split(",")] if given else None


def _write_csv(measured: "ScoreFileEvaluation", path: Path) -> None:
    from stepward.evaluation.best_of_n.evaluate import MetricRow
    from stepward.storage.files import atomic_write
    from stepward.storage.spreadsheet import csv_text

    names = [field.name for field in fields(MetricRow)]
    with atomic_write(path) as file:
        file.write(csv_text(names, [[getattr(row, name) for name in names] for row in measured.rows]).encode())


def _scores_table(rows: "Sequence[MetricRow]") -> Table:
    """Every method, voting and aggregation, at as many N as there is room for, with the interval at the largest."""
    from stepward.report.run.text import VOTING_NAMES, aggregation_name, method_label, percent, with_spread

    ns = sorted({row.n for row in rows})
    room = _SHOWN_NS - (ns[-1] > 99) if all(row.std is None for row in rows) else _SHOWN_NS - 2
    places = {round(index * (len(ns) - 1) / max(room - 1, 1)) for index in range(room)} | {len(ns) - 1}
    shown = [ns[place] for place in sorted(places)]
    table = figures_table(
        f"Accuracy in percent, {rows[0].problems:,} problem{'s' * (rows[0].problems > 1)}",
        f"95% interval at N = {ns[-1]}",
    )
    table.add_column("method", overflow="fold")
    for title in ("voting", "scores by"):
        table.add_column(title, no_wrap=True)
    for title in [*(f"N = {n}" for n in shown), "95% interval"]:
        table.add_column(title, justify="right", no_wrap=True)
    by_key: dict[tuple[str, str | None, str | None], dict[int, MetricRow]] = {}
    for row in rows:
        by_key.setdefault((row.method, row.voting, row.aggregation), {})[row.n] = row
    before = None
    for (method, voting, aggregation), found in by_key.items():
        last = found[ns[-1]]
        table.add_row(
            "" if method == before else method if method == "majority" else escape(method_label(method)),
            VOTING_NAMES[voting] if voting else "", aggregation_name(aggregation) if aggregation else "",
            *(with_spread(found[n]) for n in shown), f"{percent(last.low)} to {percent(last.high)}",
        )  # fmt: skip
        before = method
    return table


@contextmanager
def _bars() -> "Iterator[Progress]":
    """A bar for each stage, made as the stage begins."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield progress


@app.command()
def compare(
    paths: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Runs; or folders or rows of `stepward evaluate scores`.")
    ],
    methods: Annotated[
        str | None, typer.Option(help="Which, such as er,hard or er:weighted:last; all if not given.")
    ] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help="Candidates to choose from.")] = None,
    voting: Annotated[str | None, typer.Option(help="For all: best, weighted, weighted_mean, weighted_max.")] = None,
    aggregation: Annotated[str | None, typer.Option(help="For all: min, prod, last, mean or logodds.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides the intervals and the test.")] = 0,
    to_json: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
) -> None:
    """Compare runs method by method, paired where their problems are the same; or the methods of one run."""
    from stepward.evaluation.compare import compare_runs
    from stepward.evaluation.score_files.io import read_all
    from stepward.storage.parquet import write_json

    if to_json is not None and to_json.resolve() in [path.resolve() for path in paths]:
        raise StepwardError(
            f"{to_json}: the comparison would take the place of what it compares; name another file",
            code="conflict",
            file=to_json,
            field="--json",
        )
    runs = read_all(paths, (voting, aggregation))
    names = [name.strip() for name in methods.split(",")] if methods is not None else None
    compared = compare_runs(runs, methods=names, n=n, seed=seed)
    console = Console()
    for first in range(0, len(runs), _SHOWN_RUNS):
        console.print(_runs_table(compared, compared.runs[first : first + _SHOWN_RUNS]))
    for pair in compared.pairs:
        if pair.differences:
            console.print()
            console.print(_pair_table(pair, compared.n))
        for line in _remarks(pair):
            echo(line)
    if compared.comparisons:
        echo(_tested(compared))
    if to_json is not None:
        write_json(to_json, compared.content())
        echo(f"Figures: {to_json}")


def _runs_table(compared: "Comparison", runs: "Sequence[LoadedRun]") -> Table:
    """A row a method, a column a run."""
    from stepward.report.run.text import deviates, method_label, with_spread

    spread = "± standard deviation over seeds" if deviates(row for run in runs for row in run.rows) else None
    table = figures_table(f"Accuracy in percent, N = {compared.n}", spread)
    table.add_column("method", overflow="fold")
    for run in runs:
        table.add_column(escape(run.name), justify="right", overflow="fold")
    table.add_row("[dim]problems[/]", *(f"[dim]{run.rows[0].problems:,}[/]" for run in runs))
    for method in compared.methods:
        there = [method in run.methods() for run in runs]
        ways = [_way(run, method) if has else "" for run, has in zip(runs, there, strict=True)]
        # How scores are used stands once, where all use them alike.
        alike = len({way for way, has in zip(ways, there, strict=True) if has}) == 1
        shared = next((way for way, has in zip(ways, there, strict=True) if has), "") if alike else ""
        cells = [
            (with_spread(run.row(method, compared.n)) + ("" if alike else f"\n[dim]{way}[/]")) if has else "-"
            for run, way, has in zip(runs, ways, there, strict=True)
        ]
        table.add_row(escape(method_label(method)) + (f"\n[dim]{shared}[/]" if shared else ""), *cells)
    return table


def _way(run: "LoadedRun", method: str) -> str:
    from stepward.report.run.text import VOTING_NAMES, aggregation_name

    voting, aggregation = run.way(method)
    return f"{VOTING_NAMES[voting]}, {aggregation_name(aggregation)}" if voting and aggregation else ""


def _pair_table(pair: "RunComparison", n: int) -> Table:
    """The differences of two runs, or of the methods of one."""
    from stepward.report.run.text import format_points, method_label, needed, p_value

    inside = pair.first == pair.second
    one = pair.differences[0]
    title = escape(pair.first if inside else f"{pair.first} {MINUS} {pair.second}")
    on = f"paired, {one.problems:,} problems" if one.paired else "not paired"
    table = figures_table(f"{title}, points at N = {n} ({on})")
    table.add_column("difference" if inside else "method", overflow="fold")
    for column in ("points", "95% interval", "p", "p, all", *(("problems\nneeded",) if one.paired else ())):
        table.add_column(column, justify="right", no_wrap=True)
    for each in pair.differences:
        what = (
            f"{method_label(each.first.method)} {MINUS} {method_label(each.second.method)}"
            if inside
            else method_label(each.first.method)
        )
        interval = f"{format_points(each.low)} to {format_points(each.high)}"
        enough = (needed(each.mean, each.needed),) if each.paired else ()
        cells = (format_points(each.mean), interval, p_value(each.p), p_value(each.p_holm), *enough)
        table.add_row(escape(what), *cells, style="bold" if each.direction else None)
    return table


def _tested(compared: "Comparison") -> str:
    """What the comparisons are over, how many there are, and which methods are single models."""
    from stepward.report.run.text import method_label

    sides = [side for pair in compared.pairs for each in pair.differences for side in (each.first, each.second)]
    single = dict.fromkeys(f"{method_label(side.method)} of {side.run}" for side in sides if side.seeds == 1)
    seeds = " and seeds" if any(side.seeds > 1 for side in sides) else ""
    told = f"Intervals and p are over problems{seeds}; {compared.comparisons:,} comparisons"
    told += ", in bold those that differ at 5% for all of them (Holm: p, all)."
    return told + (f" One model each, so of these models alone: {', '.join(single)}." if single else "")


def _remarks(pair: "RunComparison") -> list[str]:
    """What is to be known of two runs: why they are not paired, and how their recipes differ."""
    lines = [f"Not paired: {pair.why_unpaired}."] if pair.why_unpaired else []
    if pair.recipes:
        lines.append(f"Recipes, {pair.first} -> {pair.second}: {'; '.join(pair.recipes)}.")
    return lines
