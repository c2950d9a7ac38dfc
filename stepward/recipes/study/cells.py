"""The runs of a study: every cell with every combination of the grid's values, each a recipe of its own."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stepward.errors import StepwardError
from stepward.recipes.loading import misfit, read_fields, set_field, shipped
from stepward.recipes.run import Recipe
from stepward.recipes.study.schema import Study, flatten


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
        name: Its name, and its folder's.
        recipe: What is run.
        title: What it is, in words.
        of: The name under `cells` that it is of; empty where there is only a grid.
        values: Its values of the grid's fields.
        source: A finished run to take from, as the study's file names it; None for the study's other cells alone.
    """

    name: str
    recipe: Recipe
    title: str
    of: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None


def cells_of(study: Study) -> list[Cell]:
    """Every run: each cell with every combination of the grid's values."""
    base = flatten(study.base)
    start = _start(base.pop("recipe", None))
    found: dict[str, Cell] = {}
    for of, said in (study.cells or {"": None}).items():
        own = dict(said or {})
        title, source = own.pop("title", None), own.pop("from", None)
        for chosen in itertools.product(*study.grid.values()):
            values = dict(zip(study.grid, chosen, strict=True))
            name = "_".join(filter(None, (of, *(f"{one.split('.')[-1]}-{value_text(v)}" for one, v in values.items()))))
            if name in found:
                raise StepwardError(
                    f"grid: two cells would be called {name}; put them under cells, with names",
                    code="duplicate",
                    field="grid",
                )
            fields = base | flatten(own) | values
            recipe = _recipe(f"cells.{of}" if of else "base", start, name, str(title or study.about), fields)
            label = ", ".join(filter(None, (title or of, *(f"{one}={value_text(v)}" for one, v in values.items()))))
            found[name] = Cell(name, recipe, label, of, values, None if source is None else str(source))
    return list(found.values())


def _start(source: Any) -> dict[str, Any]:
    """The fields of the recipe that a study starts from."""
    return read_fields(str(source), shipped(), "recipe") if source is not None else {}


def _recipe(where: str, start: Mapping[str, Any], name: str, about: str, fields: Mapping[str, Any]) -> Recipe:
    content: dict[str, Any] = {}
    for path, value in (flatten(start) | dict(fields) | {"name": name, "about": about}).items():
        try:
            set_field(content, path, value)
        except StepwardError as error:
            said = str(error).removeprefix("override ")
            raise StepwardError(f"{where}: {said}", code=error.code, field=error.field) from error
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise misfit(where, error, Recipe) from error


def value_text(value: Any) -> str:
    """A value as it stands in a run's name: a number as short as it can be, of a path the last part."""
    text = f"{value:g}" if isinstance(value, float) else Path(str(value)).name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)


def check_order(study: Study, cells: Sequence[Cell]) -> None:
    """Runs that a cell names stand before it, so that they are finished when it begins."""
    before: set[str] = set()
    names = {cell.name for cell in cells} | set(study.cells)
    for cell in cells:
        by = cell.recipe.labels.by
        for what, named in (
            ("from", cell.source),
            ("rewards.of", cell.recipe.rewards.of),
            ("labels.by", by and by.split("/")[0]),
        ):
            if named in names and named not in before:
                raise StepwardError(
                    f"cells.{cell.of or cell.name}: {what}: {named} is no run that stands before it; expected a cell "
                    "above it with one run, or a folder",
                    code="unfinished", field=f"cells.{cell.of or cell.name}",
                )  # fmt: skip
        before.add(cell.name)
