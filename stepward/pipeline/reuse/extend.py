"""A run that begins, or goes on with more completions or completers: what was drawn is kept, the rest is drawn.

A unit of rollouts goes on from the counts in its shard, so growing is only to forget that the units are done.
"""

from pathlib import Path
from typing import Any

from stepward.errors import StepwardError
from stepward.recipes.loading import load_run_recipe
from stepward.recipes.run import Recipe
from stepward.storage.files import refuse_filled
from stepward.storage.manifest import Manifest, differences

EXTENDABLE_FIELDS = ("rollouts.completions", "rollouts.budget")
"""Fields that may be raised."""

_AFTER = ("labels", "rewards", "scores", "evaluation", "report")


def start_run(folder: Path, recipe: Recipe) -> Manifest:
    """The manifest of a run that begins, or goes on.

    Raises:
        StepwardError: The folder is no run's and not empty, or another recipe's run has finished something in it.
    """
    if not (folder / "manifest.json").exists():
        refuse_filled(folder)
    return Manifest.start(folder, recipe.fingerprint_fields(), unbegun=True)


def extend_run(folder: Path, recipe: Recipe) -> Manifest:
    """The manifest of a run that goes on with a larger recipe.

    Nothing that was drawn is lost: shards stay until the larger ones take their place. Labels, models and figures
    belong to the smaller run and are made again.

    Raises:
        StepwardError: There is no such run, or the recipe is another than a larger one; says which fields differ.
    """
    manifest = Manifest.read(folder)
    before = load_run_recipe(folder)
    _check(folder, before, recipe)
    if before.fingerprint_fields() == recipe.fingerprint_fields():
        return manifest
    manifest.content.setdefault("grown_from", []).append(manifest.content["recipe_hash"])
    manifest.replace_recipe(recipe.fingerprint_fields())
    units = manifest.units("rollouts")
    if any(_field(before, field) != _field(recipe, field) for field in EXTENDABLE_FIELDS):
        units.clear()
    # Where only completers were added, theirs are the units that are not there.
    for stage in _AFTER:
        manifest.units(stage).clear()
    manifest.save()
    return manifest


def _check(folder: Path, before: Recipe, after: Recipe) -> None:
    """Raises StepwardError where a recipe is not only larger than another."""
    old, new = before.fingerprint_fields(), after.fingerprint_fields()
    wrong = []
    for field in EXTENDABLE_FIELDS:
        was, shall = _field(before, field), _field(after, field)
        if shall < was:
            wrong.append(f"{field} falls from {was} to {shall}")
    # A completer of the same name must be the same; that there is one more is growth.
    lost = [name for name, section in old["rollouts"]["also"].items() if new["rollouts"]["also"].get(name) != section]
    wrong += [f"rollouts.also.{name} is gone or changed" for name in lost]
    wrong += differences(_without(old), _without(new))
    if wrong:
        raise StepwardError(
            f"{folder}: --grow takes the same recipe with {', '.join(EXTENDABLE_FIELDS)} raised or rollouts.also "
            f"added to; but: {'; '.join(wrong)}",
            code="changed",
            file=folder,
            field="--grow",
        )


def _field(recipe: Recipe, field: str) -> int:
    """The value of one of `EXTENDABLE_FIELDS`."""
    section, name = field.split(".")
    return int(getattr(getattr(recipe, section), name))


def _without(recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe without what may grow."""
    grows = {field.partition(".")[2] for field in EXTENDABLE_FIELDS} | {"also"}
    return {**recipe, "rollouts": {name: value for name, value in recipe["rollouts"].items() if name not in grows}}
