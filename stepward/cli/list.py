"""`stepward list`: what comes with Stepward, or can be named on the command line."""

from typing import Annotated

import typer

from stepward.cli.program import app, echo

listing = typer.Typer(help="List what comes with Stepward: recipes, formats, scorers ...", no_args_is_help=True)
app.add_typer(listing, name="list")


@listing.command()
def recipes() -> None:
    """List the recipes of runs."""
    from stepward.recipes.loading import load_recipe, named_recipes

    for name in named_recipes():
        echo(f"{name:<18} {load_recipe(name).about}")


@listing.command()
def trainings(
    launch: Annotated[
        str | None, typer.Option(help="Print the path of this launch configuration, for accelerate launch.")
    ] = None,
) -> None:
    """List the training recipes, and the launch configurations for several GPUs."""
    from stepward.recipes.training import launch_config, launch_configs, load_training, named_trainings

    if launch is not None:
        echo(str(launch_config(launch)))
        return
    for name in named_trainings():
        echo(f"{name:<30} {load_training(name).about}")
    echo(f"launch configurations (--launch NAME): {', '.join(launch_configs())}")


@listing.command()
def studies() -> None:
    """List the studies, with their number of runs and minutes."""
    from stepward.recipes.study.plan import load_study
    from stepward.recipes.study.schema import named_studies

    for name in named_studies():
        plan = load_study(name)
        minutes = "" if plan.study.minutes is None else f", {plan.study.minutes:g} minutes"
        echo(f"{name:<28} {plan.study.about} ({len(plan.cells)} runs{minutes})")


@listing.command()
def formats() -> None:
    """List the formats that can be read and written."""
    from stepward.formats import FORMATS

    for form in FORMATS.values():
        echo(f"{form.name:<26} {form.about}{'' if form.write else ' (read only)'}")


@listing.command()
def scorers() -> None:
    """List the kinds of published reward models that `score --scorer` takes."""
    from stepward.reward_models.hub.registry import NATIVE, SCORERS

    echo(f"{NATIVE:<14} a model that Stepward trained")
    for one in SCORERS.values():
        echo(f"{one.name:<14} {one.about}")


@listing.command()
def graders() -> None:
    """List the graders."""
    from stepward.grading.graders import GRADERS

    for name, grader in GRADERS.items():
        echo(f"{name:<18} {(grader.__doc__ or '').splitlines()[0]}")
