"""Objects inside a row: a fault in one of them names the whole way to it, as in `label.steps[2].chosen_completion`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stepward.rows import RowFault, kind


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
