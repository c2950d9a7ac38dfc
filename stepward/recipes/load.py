"""Recipes from YAML, by name or by path, with `field=value` overrides; errors name the field and the nearest one."""

import difflib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from stepward.errors import StepwardError
from stepward.recipes.schema import Recipe


def named_recipes() -> list[str]:
    """The recipes that come with Stepward."""
    folder = resources.files("stepward.recipes")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_recipe(source: str, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe and applies overrides to it.

    Args:
        source: A named recipe, or the path of a YAML file.
        overrides: `field=value` with dots between sections, such as `labels.eta=5`; the value is YAML.

    Raises:
        StepwardError: No such recipe, not YAML, an unknown field, or a value out of range; names the field.
    """
    content = _read(source)
    content.setdefault("name", Path(source).stem)
    for override in overrides:
        _override(content, override)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise StepwardError(
            f"recipe {source}: " + "; ".join(_explain(problem) for problem in error.errors())
        ) from error


def _read(source: str) -> dict[str, Any]:
    if source in named_recipes():
        text = resources.files("stepward.recipes").joinpath(f"{source}.yaml").read_text("utf-8")
    elif Path(source).suffix in (".yaml", ".yml"):
        try:
            text = Path(source).read_text("utf-8")
        except FileNotFoundError as error:
            raise StepwardError(f"recipe {source}: no such file") from error
        except (OSError, UnicodeDecodeError) as error:
            raise StepwardError(f"recipe {source}: can't be read ({error})") from error
    else:
        raise StepwardError(
            f"recipe {source}: neither a named recipe ({', '.join(named_recipes())}) nor a .yaml file"
            + nearest(source, named_recipes())
        )
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StepwardError(f"recipe {source}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise StepwardError(f"recipe {source}: expected fields with values, found {type(content).__name__}")
    return content


def _override(content: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise StepwardError(f"override {override!r}: expected field=value, such as labels.eta=5")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StepwardError(f"override {override!r}: its value is not YAML") from error
    *sections, field = path.split(".")
    place = content
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise StepwardError(f"override {override!r}: {section} is not a section")
    if _takes_several(sections, field) and not isinstance(value, list):
        # So that `labels.kinds=hard,soft` and `labels.kinds=er` need no brackets or quotes in a shell.
        value = [yaml.safe_load(part) for part in text.split(",")]
    place[field] = value


def _takes_several(sections: list[str], field: str) -> bool:
    model = _section(sections)
    known = model.model_fields.get(field) if model is not None else None
    return known is not None and get_origin(known.annotation) is tuple


def _explain(problem: Any) -> str:
    """One validation error in words, with the nearest field's name for an unknown one."""
    path = [str(part) for part in problem["loc"]]
    field = ".".join(path) or "recipe"
    if problem["type"] == "extra_forbidden":
        return f"unknown field {field}" + nearest(path[-1], _fields(path[:-1]))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{field}: {message}"
    return f"{field}: {message[0].lower() + message[1:]}, found {problem['input']!r}"


def _fields(path: list[str]) -> list[str]:
    model = _section(path)
    return [] if model is None else list(model.model_fields)


def _section(path: list[str]) -> type[BaseModel] | None:
    """The part of the schema at a path; None where the schema has no section there."""
    model: type[BaseModel] = Recipe
    for part in path:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return None
        model = annotation
    return model


def nearest(name: str, options: Sequence[str]) -> str:
    """What to say of a name that is none of the options: the nearest one, or all of them."""
    close = difflib.get_close_matches(name, options, n=1)
    return f"; did you mean {close[0]}?" if close else f"; expected one of {', '.join(options)}" if options else ""
