"""Fields of a row, each checked for its type as it is taken, so that a fault names the field and what it holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stepward.rows import InvalidRow, json_type


def text(fields: dict[str, Any], name: str, *, empty: bool = False) -> str:
    """The field's text as it is; InvalidRow where it is missing, not a string, or (unless `empty`) only white space."""
    value = _there(fields, name)
    if not isinstance(value, str):
        raise InvalidRow(name, f"expected text, found {json_type(value)}", "wrong_type")
    if not empty and not value.strip():
        raise InvalidRow(name, "empty; expected text", "empty")
    return value


def optional_text(fields: dict[str, Any], name: str) -> str | None:
    """The field's text, or None where it is missing or null."""
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRow(name, f"expected text or null, found {json_type(value)}", "wrong_type")
    return value


def texts(fields: dict[str, Any], name: str, *, empty: bool = False) -> tuple[str, ...]:
    """The field's list of texts, at least one, none of them (unless `empty`) white space alone."""
    found = items(fields, name)
    if not found:
        raise InvalidRow(name, "empty; expected at least one step", "empty")
    for index, value in enumerate(found):
        if not isinstance(value, str):
            raise InvalidRow(f"{name}[{index}]", f"expected text, found {json_type(value)}", "wrong_type")
        if not empty and not value.strip():
            raise InvalidRow(f"{name}[{index}]", "empty; expected a step's text", "empty")
    return tuple(found)


def items(fields: dict[str, Any], name: str) -> list[Any]:
    """The field's list."""
    value = _there(fields, name)
    if not isinstance(value, list):
        raise InvalidRow(name, f"expected a list, found {json_type(value)}", "wrong_type")
    return value


def probabilities(fields: dict[str, Any], name: str) -> tuple[float, ...]:
    """The field's list of labels in [0, 1]: numbers, or true and false."""
    return tuple(probability(value, f"{name}[{index}]") for index, value in enumerate(items(fields, name)))


def probability(value: Any, name: str) -> float:
    """A label in [0, 1]: a number, or true or false."""
    if not isinstance(value, int | float):
        raise InvalidRow(name, f"expected a label from 0 to 1, found {json_type(value)}", "wrong_type")
    if not 0 <= value <= 1:
        raise InvalidRow(name, f"{value} is outside 0 to 1", "bad_value")
    return float(value)


def integer(fields: dict[str, Any], name: str) -> int:
    """The field's whole number."""
    value = _there(fields, name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidRow(name, f"expected a whole number, found {json_type(value)}", "wrong_type")
    return value


def boolean(fields: dict[str, Any], name: str) -> bool:
    """The field's true or false."""
    value = _there(fields, name)
    if not isinstance(value, bool):
        raise InvalidRow(name, f"expected true or false, found {json_type(value)}", "wrong_type")
    return value


def same_count(steps: int, labels: int, name: str) -> None:
    """InvalidRow where there is not one label a step."""
    if steps != labels:
        raise InvalidRow(name, f"{labels} labels for {steps} steps; expected one a step", "mismatch")


def _there(fields: dict[str, Any], name: str) -> Any:
    if name not in fields:
        raise InvalidRow(name, f"missing; found {', '.join(fields) or 'no fields'}", "missing")
    return fields[name]


@contextmanager
def inside(where: str) -> Iterator[None]:
    """A fault of a field that is raised in here gets `where` in front of its name."""
    try:
        yield
    except InvalidRow as fault:
        raise InvalidRow(f"{where}.{fault.field}", fault.reason, fault.code) from None


def an_object(value: Any, where: str) -> dict[str, Any]:
    """The value, where it is an object; InvalidRow otherwise."""
    if not isinstance(value, dict):
        raise InvalidRow(where, f"expected an object, found {json_type(value)}", "wrong_type")
    return value


def exactly(value: Any, names: tuple[str, ...], where: str) -> dict[str, Any]:
    """The value, where it is an object of these fields and no other, as a record has no place for others."""
    fields = an_object(value, where)
    if set(fields) != set(names):
        raise InvalidRow(
            where, f"found the fields {', '.join(fields)[:200] or '(none)'}; expected {', '.join(names)}", "mismatch"
        )
    return fields
