"""Verbs of labels that exist: made again from a run's counts, filtered, and held against people's."""

import math
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from stepward.cli.labels import evaluate
from stepward.cli.program import app, echo
from stepward.cli.tables import add_numbers, figures_table
from stepward.errors import StepwardError

if TYPE_CHECKING:
    from stepward.records import LabelledSolution


@app.command()
def label(
    source: Annotated[Path, typer.Option("--from-rollouts", help="The run whose rollouts are labelled.")],
    kind: Annotated[str, typer.Option(help="hard, soft or er.")] = "er",
    eta: Annotated[float, typer.Option(help="For er: the label's inverse temperature.")] = 2.0,
    above: Annotated[float | None, typer.Option(help="Make labels hard: right is above this.")] = None,
    wrong_up_to: Annotated[float | None, typer.Option(help="With --above: wrong is up to this; none between.")] = None,
    drawn: Annotated[int | None, typer.Option(min=1, help="Drop labels of fewer completions.")] = None,
    within: Annotated[float | None, typer.Option(help="Drop labels not known to an interval of this width.")] = None,
    level: Annotated[float, typer.Option(help="With --within: the interval's level.")] = 0.95,
    first_error: Annotated[
        bool, typer.Option("--until-first-error", help="Drop what follows the first wrong step.")
    ] = False,
    to: Annotated[Path | None, typer.Option("--to", help="The Parquet file to write.")] = None,
) -> None:
    """Label a run's solutions again from its stored counts; nothing is sampled."""
    from stepward.pipeline.stages.labels import Filters, LabelCounter, labels_by_batch
    from stepward.recipes.loading import load_run_recipe
    from stepward.records import StepLabels
    from stepward.storage.files import lock_dir
    from stepward.storage.manifest import Manifest
    from stepward.storage.parquet import write_batches
    from stepward.storage.run_dir import Layout

    if kind not in ("hard", "soft", "er"):
        raise StepwardError(f"--kind {kind}: expected hard, soft or er", code="unknown_name", field="--kind")
    if not (math.isfinite(eta) and eta > 0):
        raise StepwardError(f"--eta: expected a number above 0, found {eta:g}", code="bad_value", field="--eta")
    if wrong_up_to is not None and above is None:
        raise StepwardError(
            "--wrong-up-to: give --above too; labels between the two are dropped", code="missing", field="--above"
        )
    manifest = Manifest.read(source)
    if not manifest.units("rollouts"):
        raise StepwardError(
            f"{source}: no rollouts in it; run a recipe with hard, soft or er labels first",
            code="unfinished",
            file=source,
        )
    recipe, told = load_run_recipe(source), LabelCounter(kind)
    filters, layout = Filters(drawn, within, level, above, wrong_up_to, first_error), Layout(source)
    filtered = filters != Filters()
    if filtered and to is None:
        raise StepwardError(
            "--to: name the file for filtered labels; the run's own stay as they are", code="missing", field="--to"
        )
    path = to or source / "labels" / (f"er-eta-{eta:g}.parquet" if kind == "er" else f"{kind}.parquet")
    # Into the run go its own labels again, or those of another eta, which no manifest names.
    with lock_dir(source) if to is None else nullcontext():
        batches = labels_by_batch(recipe, layout, kind, eta)
        write_batches(path, told.of(filters.of(recipe, layout, batches) if filtered else batches), StepLabels)
        facts = told.facts()
        if to is None and path.stem in manifest.units("labels"):
            Manifest.read(source).finish("labels", kind, path, **facts)
    without = f", {facts['without']:,} without a label" if facts["without"] else ""
    echo(f"{facts['solutions']:,} solutions, {facts['steps']:,} steps labelled {kind}{without}: {path}")
    if filters.dropped:
        echo("Dropped: " + ", ".join(f"{count:,} {reason}" for reason, count in filters.dropped.items()))


@evaluate.command("label-noise")
def evaluate_label_noise(
    given: Annotated[str, typer.Argument(help="Labels of any format that is read, such as RUN#hard.")],
    truth: Annotated[str, typer.Argument(help="Labels of the same solutions that are known to be good.")],
    above: Annotated[float, typer.Option(help="A given step is right if its label is above this.")] = 0.5,
    true_above: Annotated[float, typer.Option(help="A true one, likewise.")] = 0.5,
    to_json: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
) -> None:
    """Hold labels against people's, by the first wrong step: found, early, late, missed or invented."""
    from dataclasses import asdict

    from stepward.evaluation.labels.noise import label_noise
    from stepward.rows import check_not_overwriting
    from stepward.storage.parquet import write_json

    for option, value in (("--above", above), ("--true-above", true_above)):
        if not 0 <= value <= 1:
            raise StepwardError(
                f"{option} {value:g}: expected a number from 0 to 1, as labels are", code="bad_value", field=option
            )
    if to_json is not None:
        check_not_overwriting(to_json, [_without_kind(one) for one in (given, truth)])
    noise = label_noise(_labels(given), _labels(truth), above=above, true_above=true_above)
    table = figures_table("First errors of the labels beside the true ones", "share: of the solutions, in percent")
    table.add_column("case")
    add_numbers(table, "solutions", "share", "95% interval")
    for one in noise.shares:
        interval = f"{100 * one.low:.1f} to {100 * one.high:.1f}"
        table.add_row(one.case, f"{one.count:,}", f"{100 * one.share:.1f}", interval)
    Console().print(table)
    found = "undefined: the truth has one class only" if noise.f1 is None else f"{100 * noise.f1:.1f}"
    echo(f"{noise.solutions:,} solutions of {noise.problems:,} problems; first-error F1 {found}")
    if noise.left_out:
        echo("Left out: " + ", ".join(f"{count:,} {reason}" for reason, count in noise.left_out.items()))
    if to_json is not None:
        write_json(to_json, asdict(noise))


def _without_kind(source: str) -> str:
    """The run's folder of `RUN#KIND`; of other sources themselves."""
    folder, _, _ = source.rpartition("#")
    return folder if folder and Path(folder).is_dir() and not Path(source).exists() else source


def _labels(source: str) -> Iterator["LabelledSolution"]:
    """Labelled solutions of any format; of steps that branch, every way through them."""
    from stepward.formats import iter_branches, read
    from stepward.records import LabelledSolution

    reading = read(source)
    for record in reading:
        if not isinstance(record, LabelledSolution):
            raise StepwardError(
                f"{source}: {reading.format.name} rows have no step labels; expected solutions with some",
                code="wrong_type",
                file=source,
            )
        yield from iter_branches(record)
