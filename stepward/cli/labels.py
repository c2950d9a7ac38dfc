"""Verbs of labels from other sources than rollouts, and of how good a run's labels are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from stepward.cli.program import app, echo
from stepward.cli.tables import add_numbers, figures_table
from stepward.errors import StepwardError

if TYPE_CHECKING:
    from stepward.evaluation.labels.cost import LabelCost
    from stepward.labeling.filters import Filtered
    from stepward.pipeline.stages.extra_labels import LabelTypeNoise

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")]

Row = TypeVar("Row", "LabelCost", "LabelTypeNoise")

evaluate = typer.Typer(help="Measure what a run made.", no_args_is_help=True)
app.add_typer(evaluate, name="evaluate")


@app.command()
def judge(
    folder: RunArgument,
    url: Annotated[str, typer.Option(help="An OpenAI-compatible server, up to /v1.")],
    model: Annotated[str, typer.Option(help="The model's name there.")],
    key: Annotated[str | None, typer.Option(help="The environment variable that holds the server's key.")] = None,
    votes: Annotated[int, typer.Option(min=1, help="Replies a solution; the most common verdict counts.")] = 1,
    temperature: Annotated[float, typer.Option(min=0, help="0 is greedy, for one vote.")] = 0.0,
    top_p: Annotated[float, typer.Option(help="Keeps the most likely tokens of this total probability.")] = 1.0,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="The longest reply, in tokens.")] = 4096,
    seed: Annotated[int, typer.Option(help="Decides the draws, as far as the server keeps to it.")] = 0,
    options: Annotated[
        list[str] | None, typer.Option("--option", help="NAME=VALUE of the engine, such as concurrency=32.")
    ] = None,
) -> None:
    """Ask a model for the first wrong step of every solution of a run, and label by it: RUN#judge."""
    from stepward.generation.interface import Sampling
    from stepward.generation.openai.engine import ServerGenerator
    from stepward.generation.prompts import PromptTemplate
    from stepward.pipeline.stages.extra_labels import judge_run

    engine = ServerGenerator(url, model, key, PromptTemplate(chat=True), **_options(options or []))
    with _bar("judging") as (bar, task):
        judgements, labels = judge_run(
            folder, engine, sampling=Sampling(temperature, top_p, max_new_tokens), seed=seed, votes=votes,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    unread, failed = sum(one.unparsed for one in judgements), sum(one.failed for one in judgements)
    echo(f"{sum(len(one.votes) for one in judgements):,} votes, {unread:,} unreadable and {failed:,} failed replies")
    _say_labels(folder, "judge", labels)


@app.command("match-steps")
def match_steps(
    folder: RunArgument,
    nli: Annotated[
        Path | None, typer.Option(help="A folder of a language-inference classifier; else steps must be equal.")
    ] = None,
    entailment: Annotated[str | None, typer.Option(help="Its label for entailment; found if not given.")] = None,
    threshold: Annotated[float, typer.Option(help="A step is entailed if its chance is above this.")] = 0.5,
    batch: Annotated[int, typer.Option(min=1, help="The most pairs of steps at once.")] = 32,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
) -> None:
    """Label a run's steps by those of right solutions, as DIVERSE does: RUN#rules, or RUN#nli."""
    from stepward.labeling.diverse import exact_match_labels
    from stepward.pipeline.stages.extra_labels import run_solutions, write_labels

    solutions = run_solutions(folder)
    if nli is None:
        labels, kind, facts = exact_match_labels(solutions), "rules", {}
    else:
        from stepward.labeling.entailment import EntailmentModel, nli_labels

        model = EntailmentModel(nli, entailment, batch=batch, device=device)
        labels, kind = nli_labels(solutions, model, threshold), "nli"
        facts = {"pairs": model.asked, "too_long": model.too_long}
        echo(f"{model.asked:,} pairs of steps read, {model.too_long:,} too long for the model")
    write_labels(folder, kind, labels, **facts)
    _say_labels(folder, kind, labels)


@app.command()
def consensus(
    folder: RunArgument,
    one: Annotated[str, typer.Option(help="A kind of its labels.")] = "hard",
    other: Annotated[str, typer.Option(help="Another kind.")] = "judge",
    above: Annotated[float, typer.Option(help="A step is right if its label is above this; 0 for soft labels.")] = 0.5,
) -> None:
    """Keep the solutions on whose first error two kinds of a run's labels agree: RUN#consensus."""
    from stepward.pipeline.stages.extra_labels import consensus_run

    _say_labels(folder, "consensus", consensus_run(folder, one, other, above))


@app.command()
def trees(
    folder: RunArgument,
    to: Annotated[Path, typer.Option("--to", help="The JSONL file to write.")],
) -> None:
    """Write the trees that a run's search grew as OmegaPRM's rows, to train on or to convert."""
    import orjson

    from stepward.pipeline.stages.extra_labels import run_trees
    from stepward.storage.files import atomic_write

    count = 0
    with atomic_write(to) as file:
        for row in run_trees(folder):
            file.write(orjson.dumps(row) + b"\n")
            count += 1
    echo(f"{count:,} trees: {to}")


@evaluate.command("labels")
def evaluate_labels(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs in the arithmetic world.")],
    to_json: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw accuracy over tokens: a .svg or .png file.")] = None,
) -> None:
    """Compare the labels of runs, and what they cost, with the arithmetic world's oracle."""
    from dataclasses import asdict

    from stepward.pipeline.stages.extra_labels import compare_labels
    from stepward.storage.parquet import write_json

    if plot is not None and plot.suffix not in (".svg", ".png"):
        raise StepwardError(
            f"--plot {plot}: expected a name that ends in .svg or .png", code="bad_value", file=plot, field="--plot"
        )
    compared = [compare_labels(folder) for folder in folders]
    costs, noise = [row for each, _ in compared for row in each], [row for _, each in compared for row in each]
    if costs:
        Console().print(_cost_table(costs))
    if noise:
        Console().print(_noise_table(noise))
    if to_json is not None:
        write_json(to_json, {"strategies": [asdict(row) for row in costs], "kinds": [asdict(row) for row in noise]})
        echo(f"Figures: {to_json}")
    if plot is not None:
        from stepward.report.plots.label_cost import draw_label_costs

        draw_label_costs(costs, plot)
        echo(f"Plot: {plot}")


def _options(given: list[str]) -> dict[str, Any]:
    """Options of an engine from NAME=VALUE, the value as YAML."""
    from stepward.recipes.yaml_files import parse_yaml

    found: dict[str, Any] = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not (name and sign):
            raise StepwardError(
                f"--option {one}: expected NAME=VALUE, such as concurrency=32", code="bad_value", field="--option"
            )
        found[name] = parse_yaml(value, f"--option {one}")
    return found


def _cost_table(costs: "list[LabelCost]") -> Table:
    """A row a way of drawing, under its run where there are several; shares in percent."""
    table = figures_table("Hard labels beside the oracle", "~ computed from the counts of the way above it")
    several = len({row.completer for row in costs}) > 1
    table.add_column("strategy")
    add_numbers(table, "prefixes", "drawn", "tokens", "agree", "false +", "false -", "first error")
    for row in _under_runs(table, costs):
        shares = (row.agreement, row.false_positives, row.false_negatives, row.first_error)
        by = f", {row.completer}" if several else ""
        table.add_row(
            f"{'~ ' if row.simulated else ''}{row.strategy}{by}",
            f"{row.prefixes:,}", f"{row.completions:,.0f}", "-" if row.tokens is None else f"{row.tokens:,.0f}",
            *(f"{100 * share:.1f}" for share in shares),
        )  # fmt: skip
    return table


def _noise_table(noise: "list[LabelTypeNoise]") -> Table:
    """A row a kind of labels, under its run where there are several; shares of the solutions in percent."""
    table = figures_table("First errors by kind of labels, % of solutions", "right: at its step, or rightly none")
    table.add_column("labels")
    add_numbers(table, "solutions", "left out", "right", "early", "late", "missed", "invented")
    for row in _under_runs(table, noise):
        share = {one.case: one for one in row.noise.shares}
        table.add_row(
            row.kind, f"{row.noise.solutions:,}",
            f"{sum(row.noise.left_out.values()):,}", f"{100 * (share['exact'].share + share['none'].share):.1f}",
            *(f"{100 * share[case].share:.1f}" for case in ("early", "late", "missed", "invented")),
        )  # fmt: skip
    return table


def _under_runs(table: Table, rows: "list[Row]") -> "Iterator[Row]":
    """The rows, each run's after a line with its name, where there are several runs."""
    several = len({row.run for row in rows}) > 1
    before = None
    for row in rows:
        if several and row.run != before:
            table.add_row(f"[bold]{escape(row.run)}[/]")
        before = row.run
        yield row


def _say_labels(folder: Path, kind: str, labels: "Filtered") -> None:
    steps = sum(value is not None for one in labels.labels for value in one.labels)
    echo(f"{len(labels.labels):,} solutions, {steps:,} steps labelled {kind}: {folder}#{kind}")
    if labels.dropped:
        echo("without: " + ", ".join(f"{count:,} {reason}" for reason, count in labels.dropped.items()))


@contextmanager
def _bar(what: str) -> Iterator[tuple[Progress, TaskID]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("left"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        yield bar, bar.add_task(what, total=None)
