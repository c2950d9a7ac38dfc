"""Verbs of a run: make it, look at it, label with it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stepward.cli.program import app, echo
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
    recipe: Annotated[str, typer.Argument(help="A named recipe (see `stepward list recipes`) or a YAML file.")],
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
    from stepward.pipeline.runner import RunOptions, run_recipe
    from stepward.pipeline.stages.set_aside import told
    from stepward.recipes.loading import load_recipe
    from stepward.report.run.text import headline
    from stepward.report.terminal import summary_table

    console = Console()
    plan = load_recipe(recipe, overrides or [])
    folder = runs / plan.name
    ways = RunOptions(workers, threads, until, _part(part), grow, ray, gpus)
    manifest, worked = run_recipe(plan, folder, console, ways)
    total = manifest.content["seconds"]
    state = f"done in {worked:.0f} s" if worked else f"everything was done before ({total:.0f} s of work)"
    if ways.stages()[-1] != "report":
        for line in told(manifest):
            echo(line)
        echo(f"{plan.name}: {state}, until {ways.stages()[-1]}. Records: {folder}")
        return
    evaluation, _ = read(folder / "evaluation")
    console.print(summary_table(evaluation))
    for line in headline(evaluation):
        echo(line)
    for line in told(manifest):
        echo(line)
    echo(f"{plan.name}: {state}. Report: {folder / 'report.html'}")


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
    echo(f"{to}: " + ", ".join(f"{stage} {units}" for stage, units in found.items()) + " finished units")


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
