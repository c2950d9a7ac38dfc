"""Recipes from YAML, by name or by path, with `field=value` overrides; errors name the field and the nearest one.

What reading any kind of recipe needs is here; `load_recipe` reads that of a run, stepward.recipes.training that of a
training.
"""

import difflib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from stepward.credentials import redacted
from stepward.errors import Code, StepwardError
from stepward.recipes.run import Recipe
from stepward.recipes.yaml_files import parse_yaml, read_yaml
from stepward.storage.manifest import Manifest


def named_recipes() -> list[str]:
    """The recipes that come with Stepward."""
    return list(shipped())


def load_recipe(source: str, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe and applies overrides to it.

    Args:
        source: A named recipe, or the path of a YAML file.
        overrides: `field=value` with dots between sections, such as `labels.eta=5`; the value is YAML.

    Raises:
        StepwardError: No such recipe, not YAML, an unknown field, or a value out of range; names the field.
    """
    content = read_fields(source, shipped(), "recipe")
    content.setdefault("name", Path(source).stem)
    for path, text in split_overrides(overrides, "labels.eta=5"):
        set_field(content, path, recipe_value(path, text))
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise misfit(f"recipe {source}", error, Recipe) from error


def load_run_recipe(folder: Path) -> Recipe:
    """The recipe of a run, as its manifest keeps it.

    Raises:
        StepwardError: The folder is no run, or its recipe is none that this version reads; names the field.
    """
    content = Manifest.read(folder).content.get("recipe")
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise misfit(f"{folder}: another version's recipe", error, Recipe, code="wrong_version", file=folder) from error


def shipped(folder: str = "") -> dict[str, Path]:
    """The YAML files that come with Stepward, by name: those of runs, or of another folder beside them."""
    place = Path(str(resources.files("stepward.recipes"))) / folder
    return {path.stem: path for path in sorted(place.glob("*.yaml"))}


def read_fields(source: str, named: dict[str, Path], what: str) -> dict[str, Any]:
    """The fields of a recipe.

    Args:
        source: One of the names, or the path of a YAML file.
        named: The files of the named ones.
        what: What the named ones are called.

    Raises:
        StepwardError: There is none such; or as `read_yaml`.
    """
    where = f"recipe {source}"
    if source not in named and Path(source).suffix not in (".yaml", ".yml"):
        raise StepwardError(
            f"{where}: neither a named {what} ({', '.join(named)}) nor a .yaml file{did_you_mean(source, list(named))}",
            code="unknown_name", field=source,
        )  # fmt: skip
    return read_yaml(named.get(source, Path(source)), where)


def split_overrides(overrides: Sequence[str], example: str) -> list[tuple[str, str]]:
    """The fields and the texts of the values of several `field=value`; of a field given twice, the later one.

    Raises:
        StepwardError: One is none; gives the example.
    """
    found: dict[str, str] = {}
    for override in overrides:
        field, equals, text = override.partition("=")
        if not equals or not field:
            raise StepwardError(
                f"override {override!r}: expected field=value, such as {example}", code="bad_value", field=field or None
            )
        found[field] = text
    return list(found.items())


def parse_value(field: str, text: str, several: bool) -> Any:
    """The value of an override.

    Args:
        field: Whose value it is, for messages.
        text: YAML; of a field that takes several, such as `labels.kinds=hard,soft`, they need no brackets in a shell.
        several: Whether the field takes several.

    Raises:
        StepwardError: It is not YAML.
    """
    listed = several and not text.lstrip().startswith("[")
    where = f"override {field}={text}"
    values = [parse_yaml(part, where) for part in (text.split(",") if listed else [text])]
    return values if listed else values[0]


def set_field(content: dict[str, Any], path: str, value: Any) -> None:
    """Sets a field by its dotted path; sections that are not there yet are made.

    Raises:
        StepwardError: A part of the path is no section.
    """
    *sections, field = path.split(".")
    place = content
    for section in sections:
        if place.get(section) is None:
            place[section] = {}
        place = place[section]
        if not isinstance(place, dict):
            raise StepwardError(f"override {path}: {section} is not a section", code="wrong_type", field=path)
    place[field] = value


def misfit(
    where: str, error: ValidationError, schema: type[BaseModel], code: Code | None = None, file: Path | None = None
) -> StepwardError:
    """The error of fields that don't fit a schema: each in words, with the nearest field's name for an unknown one.

    Args:
        where: What to call the fields.
        error: What a validation found.
        schema: What they were to be.
        code: What kind of thing is wrong; that of the first field if not given.
        file: The file or folder that they are from.
    """
    problems = error.errors()
    first = problems[0]
    said = "; ".join(_explained(problem, schema) for problem in problems)
    field = ".".join(str(part) for part in first["loc"]) or None
    return StepwardError(f"{where}: {said}", code=code or _code_of(first["type"]), file=file, field=field)


def _code_of(kind: str) -> Code:
    """The code of a kind of pydantic's errors."""
    known: dict[str, Code] = {
        "extra_forbidden": "unknown_name", "missing": "missing", "value_error": "bad_value",
        "finite_number": "not_finite", "too_short": "empty", "literal_error": "unknown_name",
    }  # fmt: skip
    typed = kind == "invalid_key" or kind.endswith(("_type", "_parsing", "_from_float"))
    return known.get(kind, "wrong_type" if typed else "bad_value")


def did_you_mean(name: str, options: Sequence[str]) -> str:
    """What to say of a name that is none of the options: the nearest one, or all of them."""
    close = difflib.get_close_matches(name, options, n=1)
    return f"; did you mean {close[0]}?" if close else f"; expected one of {', '.join(options)}" if options else ""


def _explained(problem: Any, schema: type[BaseModel]) -> str:
    path = [str(part) for part in problem["loc"]]
    field = ".".join(path) or "recipe"
    if problem["type"] == "extra_forbidden":
        section = _section(schema, path[:-1])
        return f"unknown field {field}" + did_you_mean(path[-1], list(section.model_fields) if section else [])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] in ("value_error", "missing"):
        return f"{field}: {message}"
    # Where a key is named, the key itself may stand.
    found = "something else" if path[-1:] == ["key"] else redacted(repr(problem["input"]))
    return f"{field}: {message[0].lower() + message[1:]}, found {found}"


def recipe_value(path: str, text: str) -> Any:
    """The value of an override of a recipe's field; its schema says whether it takes several.

    Raises:
        StepwardError: It is not YAML.
    """
    *sections, field = path.split(".")
    model = _section(Recipe, sections)
    known = model.model_fields.get(field) if model is not None else None
    return parse_value(path, text, several=known is not None and get_origin(known.annotation) is tuple)


def _section(schema: type[BaseModel], path: list[str]) -> type[BaseModel] | None:
    """The part of a schema at a path; None where the schema has no section there."""
    model = schema
    for part in path:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        # A section may be left out: `Recipe | None`.
        kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
        sections = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not sections:
            return None
        model = sections[0]
    return model
