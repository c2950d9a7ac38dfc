"""Studies: several runs of one recipe that together answer a question, the tables they fill, and what a paper found.

A study's file says only what differs from cell to cell. Everything in it is checked when it is read: a table that
names a cell, method or N that will not be there would otherwise be found out after hours of work.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stepward.recipes.loading import (
    misfit,
    parse_value,
    read_fields,
    recipe_value,
    set_field,
    shipped,
    split_overrides,
)
from stepward.recipes.run import Recipe

STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
OVERALL = "overall"
"""The voting and aggregation that validation chose for a method."""
WITHOUT_MODEL = ("majority", "pass")
"""Methods that need no reward model."""
FIGURES = ("parameters", "problems")
"""What a column of a curve may be placed by besides the fields of the grid: facts that a run knows when it is done."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Plain = str | int | float | bool


class Table(BaseModel):
    """Figures in rows and columns, and beside them those that were published.

    Where a row meets a column, what both select is put together with what the table itself selects.

    Attributes:
        title: What it shows.
        rows: Selections by their labels, or a list of short ones, or a field of the grid for all its values.
        columns: Likewise.
        cell: The cell that is meant where neither row nor column names one.
        method: The method, likewise.
        n: The size of the candidate sets, likewise.
        voting: How scores are used, or `overall` for what validation chose.
        aggregation: An aggregation, or None for the one that validation chose.
        plot: Whether it is drawn too: rows as `curves` over the columns, or a `heat` map.
        x: For curves: what places a column: `n`, `parameters`, `problems` or a field of the grid; None for its label.
        published: The paper's accuracies in percent by row, in the columns' order; null where it has none.
        published_columns: What the paper's columns are of, where it is not what ours are.
        note: Where the published figures stand, and how sure they are.
    """

    model_config = STRICT

    title: str
    rows: Any
    columns: Any
    cell: str | None = None
    method: str | None = None
    n: int | None = None
    voting: str = OVERALL
    aggregation: str | None = None
    plot: Literal["curves", "heat"] | None = None
    x: str | None = None
    published: dict[str, list[float | None] | float] = {}
    published_columns: list[str] = []
    note: str = ""


class HypothesisSpec(BaseModel):
    """A claim that the runs are asked about: the first of two selections is more accurate than the second.

    Attributes:
        says: The claim in words.
        better: The selection that is said to be better.
        than: The other.
        cell: The cell that is meant where they name none.
        method: The method, likewise.
        n: The size of the candidate sets, likewise.
        voting: As in a table.
        aggregation: As in a table.
    """

    model_config = STRICT

    says: str
    better: Any
    than: Any
    cell: str | None = None
    method: str | None = None
    n: int | None = None
    voting: str = OVERALL
    aggregation: str | None = None


class Study(BaseModel):
    """A complete, named study.

    Attributes:
        name: Names its folder; each cell is a run in it.
        about: What it asks, in a line.
        source: The paper, and which of its tables or figures.
        minutes: How long it took when it was last run, where that is known.
        base: `recipe`, a named one or a file (the defaults if not given), and what differs from it in all cells.
        cells: What differs from cell to cell, by the cells' names; `title` says what a cell is, `from` names a finished
            run to take from what is equal there.
        grid: For each of some fields several values: each cell is run with every combination.
        tables: What is shown.
        checks: What is tested.
    """

    model_config = STRICT

    name: Name
    about: str = ""
    source: str = ""
    minutes: float | None = None
    base: dict[str, Any] = {}
    cells: dict[Name, dict[str, Any] | None] = {}
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    tables: Annotated[dict[Name, Table], Field(min_length=1)]
    checks: list[HypothesisSpec] = []

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        if not self.cells and not self.grid:
            raise ValueError("expected cells, a grid, or both")
        return self


def named_studies() -> list[str]:
    """The studies that come with Stepward."""
    return list(shipped("studies"))


def read_study(source: str, overrides: Sequence[str] = ()) -> Study:
    """Reads a study's file and applies overrides to it.

    Args:
        source: A named study, or the path of a YAML file.
        overrides: `field=value`: a field of the study (`name`, `grid.labels.eta`), or else one of the recipe, for all
            cells that don't set it themselves; the value is YAML.

    Raises:
        StepwardError: No such study, not YAML, an unknown field, or a value out of range.
    """
    content = read_fields(source, shipped("studies"), "study")
    content.setdefault("name", Path(source).stem)
    for name, text in split_overrides(overrides, "problems.test=60"):
        _assign(content, name, text)
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise misfit(f"study {source}", error, Study) from error


def _assign(content: dict[str, Any], name: str, text: str) -> None:
    """Sets a study's field, or one of its base's recipe."""
    section, _, rest = name.partition(".")
    cell = _cell_of(content, rest) if section == "cells" else None
    if cell is not None:
        cells = content["cells"]
        cells[cell] = cells[cell] or {}
        set_field(cells[cell], rest[len(cell) + 1 :], parse_value(name, text, several=False))
        return
    if section == "grid" and rest:
        content.setdefault("grid", {})[rest] = parse_value(name, text, several=True)
    elif section in Study.model_fields or section == "recipe":
        set_field(content, "base.recipe" if name == "recipe" else name, parse_value(name, text, several=False))
    else:
        content["base"] = flatten(content.get("base") or {}) | {name: recipe_value(name, text)}


def _cell_of(content: Mapping[str, Any], path: str) -> str | None:
    """The cell that a path goes into; its name may have dots in it, as `base-0.2m` has."""
    names = [name for name in content.get("cells") or () if isinstance(name, str) and path.startswith(f"{name}.")]
    return max(names, key=len, default=None)


def flatten(content: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Fields by their dotted names, whether they were written so or in sections."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        path = f"{above}.{name}" if above else str(name)
        section = Recipe.model_fields.get(path.split(".")[0])
        inner = "." not in path and section is not None and isinstance(value, dict)
        found |= flatten(value, path) if inner else {path: value}
    return found
