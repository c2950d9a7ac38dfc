"""Fields of a row, each checked for its type as it is taken, so that a fault names the field and what it holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stepward.rows import RowFault, kind


def text(fields: dict[str, Any], name: str, *, empty: bool = False) -> str:
    """The field's text, as it stands; RowFault where it is missing, no text, or (unless `empty`) white space alone."""
    value = _there(fields, name)
    if not isinstance(value, str):
        raise RowFault(name, f"expected text, found {kind(value)}", "wrong_type")
    if not empty and not value.strip():
        raise RowFault(name, "empty; expected text", "empty")
    return value


def optional_text(fields: dict[str, Any], name: str) -> str | None:
    """The field's text, or None where it is missing or null."""
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise RowFault(name, f"expected text or null, found {kind(value)}", "wrong_type")
    return value


def texts(fields: dict[str, Any], name: str, *, empty: bool = False) -> tuple[str, ...]:
    """The field's list of texts, at least one, none of them (unless `empty`) white space alone."""
    found = items(fields, name)
    if not found:
        raise RowFault(name, "empty; expected at least one step", "empty")
    for index, value in enumerate(found):
        if not isinstance(value, str):
            raise RowFault(f"{name}[{index}]", f"expected text, found {kind(value)}", "wrong_type")
        if not empty and not value.strip():
            raise RowFault(f"{name}[{index}]", "empty; expected a step's text", "empty")
    return tuple(found)


def items(fields: dict[str, Any], name: str) -> list[Any]:
    """The field's list."""
    value = _there(fields, name)
    if not isinstance(value, list):
        raise RowFault(name, f"expected a list, found {kind(value)}", "wrong_type")
    return value


def shares(fields: dict[str, Any], name: str) -> tuple[float, ...]:
    """The field's list of labels in [0, 1]: numbers, or true and false."""
    return tuple(share(value, f"{name}[{index}]") for index, value in enumerate(items(fields, name)))


def share(value: Any, name: str) -> float:
    """A label in [0, 1]: a number, or true or false."""
    if not isinstance(value, int | float):
        raise RowFault(name, f"expected a label from 0 to 1, found {kind(value)}", "wrong_type")
    if not 0 <= value <= 1:
        raise RowFault(name, f"{value} is outside 0 to 1", "bad_value")
    return float(value)


def whole(fields: dict[str, Any], name: str) -> int:
    """The field's whole number."""
    value = _there(fields, name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RowFault(name, f"expected a whole number, found {kind(value)}", "wrong_type")
    return value


def truth(fields: dict[str, Any], name: str) -> bool:
    """The field's true or false."""
    value = _there(fields, name)
    if not isinstance(value, bool):
        raise RowFault(name, f"expected true or false, found {kind(value)}", "wrong_type")
    return value


def same_count(steps: int, labels: int, name: str) -> None:
    """RowFault where there is not one label a step."""
    if steps != labels:
        raise RowFault(name, f"{labels} labels for {steps} steps; expected one a step", "mismatch")


def _there(fields: dict[str, Any], name: str) -> Any:
    if name not in fields:
        raise RowFault(name, f"missing; found {', '.join(fields) or 'no fields'}", "missing")
    return fields[name]


@contextmanager
def inside(where: str) -> Iterator[None]:
    """A fault of a field that is raised in here gets `where` in front of its name."""
    try:
        yield
    except RowFault as fault:
        raise RowFault(f"{where}.{fault.field}", fault.reason, fault.code) from None


def an_object(value: Any, where: str) -> dict[str, Any]:
    """The value, where it is an object; RowFault otherwise."""
    if not isinstance(value, dict):
        raise RowFault(where, f"expected an object, found {kind(value)}", "wrong_type")
    return value


def exactly(value: Any, names: tuple[str, ...], where: str) -> dict[str, Any]:
    """The value, where it is an object of these fields and no other, as a record has no place for others."""
    fields = an_object(value, where)
    if set(fields) != set(names):
        raise RowFault(
            where, f"found the fields {', '.join(fields)[:200] or '(none)'}; expected {', '.join(names)}", "mismatch"
        )
    return fields
