"""Verbs of training: a reward model, or a grid of them, by a recipe or by options alone."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from stepward.cli.program import app, echo
from stepward.errors import StepwardError


@app.command()
def train(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECIPE] [KEY=VALUE]...",
            help="A training recipe's name (see `stepward list trainings`) or YAML file; then options, such as "
            "learning_rate=1e-5 or data.limit=1000.",
        ),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="prm, orm or bt.")] = None,
    model: Annotated[str | None, typer.Option(help="The model to start from: a folder, a hub name, embedded.")] = None,
    data: Annotated[
        str | None, typer.Option(help="What to train on: a file, folder, pattern, run, hub data set, arithmetic.")
    ] = None,
    evaluation: Annotated[str | None, typer.Option("--eval", help="What to evaluate on, likewise.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="The rows' format; guessed if not given.")] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file of options.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder; runs/NAME if not given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Train again what is finished there.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that train a grid's cells.")] = 1,
    gpus: Annotated[
        float | None, typer.Option("--gpus-a-worker", min=0, help="GPUs of each of them: 1 if there are any; .5, 0.")
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Train a grid's cells on Ray.")] = False,
) -> None:
    """Train a reward model: from a recipe, or from --kind, --model and --data."""
    from stepward.pipeline.training.options import checked
    from stepward.pipeline.training.paths import check_places

    given = {"kind": kind, "model": model, "data.train": data, "data.eval": evaluation, "data.format": form}
    recipe = recipe_of(words or [], {name: value for name, value in given.items() if value is not None}, config)
    check_places(recipe)
    recipe = checked(recipe)
    folder = Path(out or recipe.config.get("output_dir") or Path("runs") / recipe.name)
    if recipe.grid:
        _train_grid(recipe, folder, _console(), workers=workers, gpus=gpus, ray=ray, overwrite=overwrite)
    elif ray or workers > 1:
        raise StepwardError(
            "--workers and --ray train a grid's cells, and there is no grid; give grid.FIELD=A,B",
            code="conflict",
            field="--ray" if ray else "--workers",
        )
    else:
        _train_one(recipe, folder, resume, overwrite)


def recipe_of(words: list[str], given: dict[str, str], config: Path | None) -> Any:
    """The recipe that is named or put together, with the file's options and the overrides."""
    from stepward.recipes.training import load_content, set_override, training_from
    from stepward.recipes.yaml_files import read_yaml

    named = bool(words) and "=" not in words[0]
    where = f"recipe {words[0]}" if named else "the command"
    content: dict[str, Any] = load_content(words[0]) if named else {}
    for name, value in given.items():
        set_override(content, name, value)
    if config is not None:
        for name, value in read_yaml(config, f"--config {config}").items():
            set_override(content, name, value)
    overrides = words[1:] if named else words
    if not named:
        told = {*content, *(word.split("=")[0].split(".")[0] for word in overrides)}
        missing = [f"--{name}" for name in ("kind", "model", "data") if name not in told]
        if missing:
            raise StepwardError(
                f"give {', '.join(missing)}, or a recipe's name (stepward list trainings lists them)",
                code="missing",
                field=missing[0],
            )
        content.setdefault("name", _name(content))
    return training_from(content, where, overrides)


def _name(content: dict[str, Any]) -> str:
    """A name for what has none: its kind and its model."""
    model = Path(str(content.get("model", "model"))).name
    return f"{content.get('kind', 'model')}-{''.join(c if c.isalnum() or c in '._-' else '-' for c in model)}"


def _train_one(recipe: Any, folder: Path, resume: bool, overwrite: bool) -> None:
    from stepward.pipeline.training.train import train as train_recipe

    facts = train_recipe(recipe, folder, _console(), resume=resume, overwrite=overwrite)
    if not _first_process():
        return
    loss = "" if facts["loss"] is None else f", loss {facts['loss']:.4f} over the last tenth of them"
    echo(f"done in {facts['seconds']:.0f} s: {facts['steps']:,} steps{loss}")
    echo(f"Reward model: {folder / 'model'}")


def _train_grid(recipe: Any, folder: Path, console: Console, **ways: Any) -> None:
    from stepward.pipeline.training.sweep import grid_table, train_grid

    lines = train_grid(recipe, folder, console, **ways)
    if not _first_process():
        return
    Console().print(grid_table(lines, recipe.name))
    echo(f"Figures: {folder / 'grid.json'}")


def _console() -> Console:
    return Console(quiet=not _first_process())


def _first_process() -> bool:
    """Whether this is the one that speaks, of those that torchrun or accelerate launch started."""
    return os.environ.get("RANK", "0") == "0"
