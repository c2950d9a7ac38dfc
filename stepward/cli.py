"""The command line: one verb a stage. The only place that wires implementations together; nobody imports it."""

import math
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from typer.core import TyperGroup

from stepward.errors import StepwardError


class _Stopped(Exception):
    """Ctrl-C, carried past typer, which would end the program without a word."""


class _Verbs(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _Stopped from error


app = typer.Typer(
    cls=_Verbs,
    help="Reward models for step-by-step reasoning: build, train, measure and use them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_errors = Console(stderr=True)

RunsOption = Annotated[Path, typer.Option("--runs", help="Folder in which runs lie.")]


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every verb."""
    if debug:
        os.environ["STEPWARD_DEBUG"] = "1"


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A named recipe (see `stepward recipes`) or a YAML file.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="field=value, such as labels.eta=5")] = None,
    runs: RunsOption = Path("runs"),
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; one a core if not given.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads a worker; 1 gives the same scores everywhere.")] = 1,
) -> None:
    """Run a recipe from its problems to its report; run it again to go on where it stopped."""
    from stepward.evaluation.folder import read
    from stepward.pipeline.run import run_recipe
    from stepward.recipes.load import load_recipe
    from stepward.report.terminal import summary_table
    from stepward.report.wording import headline

    console = Console()
    plan = load_recipe(recipe, overrides or [])
    folder = runs / plan.name
    manifest, worked = run_recipe(plan, folder, console, workers, threads)
    evaluation, _ = read(folder / "evaluation")
    console.print(summary_table(evaluation))
    for line in headline(evaluation):
        _say(line)
    total = manifest.content["seconds"]
    state = f"done in {worked:.0f} s" if worked else f"everything was done before ({total:.0f} s of work)"
    _say(f"{plan.name}: {state}. Report: {folder / 'report.html'}")


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
def label(
    source: Annotated[Path, typer.Option("--from-rollouts", help="The run whose rollouts are labelled.")],
    kind: Annotated[str, typer.Option(help="hard, soft or er.")] = "er",
    eta: Annotated[float, typer.Option(help="For er: the label's inverse temperature.")] = 2.0,
    to: Annotated[Path | None, typer.Option("--to", help="The Parquet file to write.")] = None,
) -> None:
    """Label a run's solutions again from its stored counts; nothing is sampled."""
    from stepward.labelling.labels import rollout_labels
    from stepward.manifest import Manifest
    from stepward.pipeline.layout import Layout
    from stepward.records import StepLabels
    from stepward.store import write_shard

    if not (math.isfinite(eta) and eta > 0):
        raise StepwardError(f"--eta: expected a number above 0, found {eta:g}")
    Manifest.read(source)
    layout = Layout(source)
    counts = {prefix.id: prefix for prefix in layout.rollouts()}
    if not counts:
        raise StepwardError(f"{source}: no rollouts in it; run a recipe with hard, soft or er labels first")
    labels = rollout_labels(layout.solutions("reward"), counts, kind, eta)
    path = to or source / "labels" / (f"er-eta-{eta:g}.parquet" if kind == "er" else f"{kind}.parquet")
    write_shard(path, labels, StepLabels)
    steps = sum(len(one.labels) for one in labels)
    _say(f"{len(labels):,} solutions, {steps:,} steps labelled {kind}: {path}")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
    picture: Annotated[Path | None, typer.Option(help="Also write the best-of-N curves to this SVG file.")] = None,
) -> None:
    """Draw a finished run's report again."""
    from stepward.manifest import Manifest
    from stepward.pipeline.layout import Layout
    from stepward.pipeline.page import draw_picture, report_run
    from stepward.recipes.schema import Recipe

    recipe = Recipe.model_validate(Manifest.read(folder).content["recipe"])
    report_run(recipe, Layout(folder))
    if picture is not None:
        draw_picture(Layout(folder), picture)
    _say(f"Report: {folder / 'report.html'}")


@app.command()
def score(
    model: Annotated[Path, typer.Argument(help="A reward model's folder.")],
    problem: Annotated[str, typer.Option(help="The problem's text.")],
    solution: Annotated[str, typer.Option(help="The solution's text, a step a line; - reads standard input.")] = "-",
) -> None:
    """Score one solution, step by step."""
    from stepward import load_scorer, steps

    text = sys.stdin.read() if solution == "-" else solution
    written = steps.split(text)
    scored = load_scorer(model).score(problem, written)
    for step, value in zip(written, scored.steps, strict=True):
        _say(f"{value:.3f}  {step}")
    _say(", ".join(f"{name} {getattr(scored, name):.3f}" for name in ("min", "prod", "last", "mean")))


@app.command()
def recipes() -> None:
    """List the recipes that come with Stepward."""
    from stepward.recipes.load import load_recipe, named_recipes

    for name in named_recipes():
        _say(f"{name:<18} {load_recipe(name).about}")


@app.command("demo-generator")
def demo_generator(
    folder: Annotated[Path, typer.Argument(help="Where the model goes.")],
    seed: Annotated[int, typer.Option(help="Decides everything random in it.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="torch threads.")] = 1,
) -> None:
    """Train the embedded generator again (about an hour on one core)."""
    import torch

    from stepward.demo_generator import Settings, make

    torch.set_num_threads(threads)
    settings = Settings(seed=seed)
    columns = (
        TextColumn("training, loss {task.fields[loss]:.4f}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, TimeRemainingColumn()) as progress:
        task = progress.add_task("training", total=sum(one.steps for one in settings.rounds), loss=float("nan"))
        make(folder, settings, lambda step, loss: progress.update(task, completed=step, loss=loss))
    _say(f"Generator: {folder}")


@app.command()
def version() -> None:
    """Print the version."""
    from stepward import __version__

    _say(__version__)


def main() -> None:
    """Runs the command line; an error the user can mend is one message, and exit code 1."""
    sys.exit(_guarded(app))


def _guarded(command: Callable[[], Any]) -> int:
    """Runs a command and gives its exit code; typer itself says what is wrong with the usage, and ends with 2."""
    try:
        command()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except StepwardError as error:
        return _complain(str(error), 1)
    except _Stopped:
        return _complain("stopped; what is finished is kept, run the same command again to go on", 130)
    except Exception as error:
        first, *rest = str(error).splitlines() or [""]
        text = f"{first[:500]}{' ...' if rest or len(first) > 500 else ''}"
        return _complain(f"unforeseen {type(error).__name__}: {text} (see it all with: stepward --debug ...)", 1)
    return 0


def _complain(message: str, code: int) -> int:
    if os.environ.get("STEPWARD_DEBUG"):
        traceback.print_exc()
    _errors.print(f"[bold red]stepward:[/] {escape(message)}", highlight=False, soft_wrap=True)
    return code


def _say(text: str) -> None:
    """Prints a line as it is: in a log a sentence stays on one line."""
    Console().print(escape(text), highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
