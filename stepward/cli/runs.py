"""Verbs of a run: make it, look at it, label with it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from stepward.cli.program import app, say
from stepward.errors import StepwardError

GpusOption = Annotated[
    float | None,
    typer.Option(
        "--gpus-a-worker", min=0, help="GPUs of each worker: 1 if there are any; .5 shares one, 0 is the CPU."
    ),
]
RunsOption = Annotated[Path, typer.Option("--runs", help="Folder in which runs lie.")]


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A named recipe (see `stepward recipes`) or a YAML file.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="field=value, such as labels.eta=5")] = None,
    runs: RunsOption = Path("runs"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; one a GPU or core if not given.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads a worker; more may change a score's last digits.")] = 1,
    until: Annotated[str | None, typer.Option(help="The last stage to do, such as rollouts or labels.")] = None,
    part: Annotated[str | None, typer.Option(help="I/N: do the I-th of N machines' share, to merge later.")] = None,
    grow: Annotated[bool, typer.Option("--grow", help="Go on with more completions or completers.")] = False,
    ray: Annotated[str | None, typer.Option(help="Work by Ray: local, auto, or a cluster's HOST:PORT.")] = None,
    gpus: GpusOption = None,
) -> None:
    """Run a recipe from its problems to its report; run it again to go on where it stopped."""
    from stepward.evaluation.best_of_n.io import read
    from stepward.pipeline.runner import Ways, run_recipe
    from stepward.pipeline.stages.set_aside import told
    from stepward.recipes.loading import load_recipe
    from stepward.report.run.text import headline
    from stepward.report.terminal import summary_table

    console = Console()
    plan = load_recipe(recipe, overrides or [])
    folder = runs / plan.name
    ways = Ways(workers, threads, until, _part(part), grow, ray, gpus)
    manifest, worked = run_recipe(plan, folder, console, ways)
    total = manifest.content["seconds"]
    state = f"done in {worked:.0f} s" if worked else f"everything was done before ({total:.0f} s of work)"
    if ways.stages()[-1] != "report":
        for line in told(manifest):
            say(line)
        say(f"{plan.name}: {state}, until {ways.stages()[-1]}. Records: {folder}")
        return
    evaluation, _ = read(folder / "evaluation")
    console.print(summary_table(evaluation))
    for line in headline(evaluation):
        say(line)
    for line in told(manifest):
        say(line)
    say(f"{plan.name}: {state}. Report: {folder / 'report.html'}")


def _part(text: str | None) -> tuple[int, int] | None:
    """A share `I/N` of the work."""
    if text is None:
        return None
    share, _, of = text.partition("/")
    if not (share.isdecimal() and of.isdecimal()):
        raise StepwardError(f"--part {text}: expected I/N, such as 2/4", code="bad_value", field="--part")
    return int(share), int(of)


@app.command()
def merge(
    parts: Annotated[list[Path], typer.Argument(help="Folders of the parts of one run.")],
    to: Annotated[Path, typer.Option("--to", help="The merged run's folder.")],
) -> None:
    """Join the parts of a run that several machines did; then run its recipe there to go on."""
    from stepward.pipeline.reuse.merge import merge_runs

    found = merge_runs(parts, to)
    say(f"{to}: " + ", ".join(f"{stage} {units}" for stage, units in found.items()) + " finished units")


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
    problem: Annotated[str | None, typer.Option(help="A problem's id; the first test problem if not given.")] = None,
    split: Annotated[str, typer.Option(help="reward, validation or test.")] = "test",
    solutions: Annotated[int, typer.Option(min=1, help="How many solutions.")] = 4,
) -> None:
    """Show a problem with its solutions, steps, labels and scores side by side."""
    from stepward.pipeline.show import show_problem

    for part in show_problem(folder, split, problem, solutions):
        Console().print(part)


@app.command()
def recipes() -> None:
    """List the recipes that come with Stepward."""
    from stepward.recipes.loading import load_recipe, named_recipes

    for name in named_recipes():
        say(f"{name:<18} {load_recipe(name).about}")


@app.command("demo-generator")
def demo_generator(
    folder: Annotated[Path, typer.Argument(help="Where the model goes.")],
    base: Annotated[str | None, typer.Option(help="A model that the studies start from: its name.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides everything random in it.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="torch threads.")] = 1,
) -> None:
    """Train the embedded generator again (about an hour on one core), or a base of the studies (minutes)."""
    from dataclasses import replace

    import torch

    from stepward.demo_generator import BASES, Settings, make
    from stepward.errors import StepwardError
    from stepward.storage.files import refuse_filled

    if base is not None and base not in BASES:
        raise StepwardError(
            f"--base {base}: no such base; expected one of {', '.join(BASES)}", code="unknown_name", field="--base"
        )
    refuse_filled(folder)  # better now than after an hour
    torch.set_num_threads(threads)
    settings = Settings() if base is None else BASES[base]
    settings = settings if seed is None else replace(settings, seed=seed)
    columns = (
        TextColumn("training, loss {task.fields[loss]:.4f}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, TimeRemainingColumn()) as progress:
        task = progress.add_task("training", total=sum(one.steps for one in settings.rounds), loss=float("nan"))
        make(folder, settings, lambda step, loss: progress.update(task, completed=step, loss=loss))
    say(f"Generator: {folder}")


@app.command()
def version() -> None:
    """Print the version."""
    from stepward import __version__

    say(__version__)
