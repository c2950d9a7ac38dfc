"""Stepward's own records, as Parquet shards or as JSON lines that say which record they are and of which schema.

A JSON row is `{"record": "LabelledSolution", "schema": 2, ...fields}`. A Parquet row is the fields alone, as
`stepward.storage.parquet` writes them: which record it is, its columns tell, and the file's metadata say it once more.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

from stepward.formats.base import Fields, Format, WriteOptions
from stepward.formats.checks import probability, same_count
from stepward.records import (
    SCHEMA_VERSION,
    LabelledSolution,
    Preference,
    Problem,
    Scores,
    Solution,
    StepLabels,
    StepRollouts,
)  # fmt: skip
from stepward.rows import InvalidRow, SourceRow, json_type
from stepward.storage.parquet import record_maker, to_json

Checker = Callable[[Any, str], Any]

NAME = "stepward"
KINDS: tuple[type[Any], ...] = (Problem, Solution, StepRollouts, StepLabels, Scores, LabelledSolution, Preference)

_NAMED = {one.__name__: one for one in KINDS}
_NEEDED = {one: {f.name for f in dataclasses.fields(one) if f.default is dataclasses.MISSING} for one in KINDS}
_MAKERS = {one: record_maker(one) for one in KINDS}
_SCALARS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def matches(fields: Fields) -> bool:
    """Whether a row names one of our records and its schema, or has exactly one's fields."""
    return ("schema" in fields and str(fields.get("record")) in _NAMED) or _kind_of(fields) is not None


def read(row: SourceRow) -> Any:
    """The row's record, every field checked for its type."""
    if "record" in row.fields:
        wanted = _kind_named(row.fields)
        fields = {name: value for name, value in row.fields.items() if name not in ("record", "schema")}
    else:
        found = _kind_of(row.fields)
        if found is None:
            raise InvalidRow(
                "record", f"missing, and the columns are no record's; expected {', '.join(_NAMED)}", "missing"
            )
        wanted, fields = found, row.fields
    checkers = _CHECKERS[wanted]
    unknown = next((name for name in fields if name not in checkers), None)
    if unknown is not None:
        raise InvalidRow(unknown, f"{wanted.__name__} has no such field; it has {', '.join(checkers)}", "unknown_name")
    missing = next((name for name in checkers if name in _NEEDED[wanted] and name not in fields), None)
    if missing is not None:
        raise InvalidRow(missing, f"missing; {wanted.__name__} needs it", "missing")
    checked = {name: checkers[name](value, name) for name, value in fields.items()}
    record = _MAKERS[wanted](checked)
    _check(record)
    return record


def write(record: Any, choices: WriteOptions) -> list[dict[str, Any]]:
    """The record's row."""
    fields = {name: to_json(getattr(record, name)) for name in _CHECKERS[type(record)]}
    return [{"record": type(record).__name__, "schema": SCHEMA_VERSION, **fields}]


def shard(row: Fields) -> type[Any]:
    """The record type that a row, as `write` gives it, becomes in Parquet."""
    return _NAMED[row["record"]]


def _kind_named(fields: Fields) -> type[Any]:
    named = fields["record"]
    if not isinstance(named, str) or named not in _NAMED:
        raise InvalidRow("record", f"{named!r:.40} is none of {', '.join(_NAMED)}", "unknown_name")
    schema = fields.get("schema")
    if schema != SCHEMA_VERSION or isinstance(schema, bool):
        raise InvalidRow("schema", f"{schema!r:.40}; this Stepward reads schema {SCHEMA_VERSION}", "wrong_version")
    return _NAMED[named]


def _kind_of(fields: Fields) -> type[Any] | None:
    return next((one for one in KINDS if fields.keys() == _CHECKERS[one].keys()), None)


def _checker(hint: Any) -> Checker:
    """What checks a value of one type and gives it back; whole numbers become floats where floats stand."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (inner,) = (_checker(option) for option in typing.get_args(hint) if option is not type(None))
        return lambda value, name: None if value is None else inner(value, name)
    if typing.get_origin(hint) is tuple:
        each = _checker(typing.get_args(hint)[0])
        return lambda value, name: [each(one, f"{name}[{index}]") for index, one in enumerate(_list(value, name))]
    if dataclasses.is_dataclass(hint):
        parts = {name: _checker(part) for name, part in typing.get_type_hints(hint).items()}
        return lambda value, name: {
            part: check(_object(value, parts, name)[part], f"{name}.{part}") for part, check in parts.items()
        }
    return lambda value, name: value if type(value) is hint and hint is not int else _number(value, hint, name)


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRow(name, f"expected a list, found {json_type(value)}", "wrong_type")
    return value


def _object(value: Any, parts: Iterable[str], name: str) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != set(parts):
        raise InvalidRow(name, f"expected an object with {' and '.join(parts)}, found {json_type(value)}", "wrong_type")
    return value


def _number(value: Any, hint: type, name: str) -> Any:
    """A whole number, or a float that is written as one; InvalidRow for anything else."""
    if type(value) is not int or hint not in (int, float):
        raise InvalidRow(name, f"expected {_SCALARS[hint]}, found {json_type(value)}", "wrong_type")
    if abs(value) >= (2**63 if hint is int else 2**53):
        raise InvalidRow(name, "a number of more bits than it can have here; expected a smaller one", "bad_value")
    return hint(value)


def _check(record: Any) -> None:
    """InvalidRow where the record's fields contradict one another."""
    if isinstance(record, LabelledSolution | StepLabels):
        for index, label in enumerate(record.labels):
            if label is not None:
                probability(label, f"labels[{index}]")
    if isinstance(record, Scores):
        for index, score in enumerate(record.scores):
            probability(score, f"scores[{index}]")
    if isinstance(record, StepRollouts) and not 0 <= record.right <= record.drawn:
        raise InvalidRow(
            "right", f"{record.right} of {record.drawn} drawn; expected from none of them to all", "bad_value"
        )
    if isinstance(record, LabelledSolution):
        _check_solution(record)


def _check_solution(record: LabelledSolution) -> None:
    count = len(record.steps)
    same_count(count, len(record.labels), "labels")
    for index in record.neutral:
        if not 0 <= index < count or record.labels[index] is not None:
            raise InvalidRow(
                "neutral", f"step {index} of {count}, counted from 0; expected a step without a label", "bad_value"
            )
    if record.parents and len(record.parents) != count:
        raise InvalidRow(
            "parents", f"{len(record.parents)} parents for {count} steps; expected one a step, or none", "mismatch"
        )
    for index, parent in enumerate(record.parents):
        if not -1 <= parent < index:
            raise InvalidRow(
                f"parents[{index}]", f"{parent}; expected -1 or the index of a step before {index}", "bad_value"
            )


_CHECKERS = {one: {name: _checker(hint) for name, hint in typing.get_type_hints(one).items()} for one in KINDS}

FORMAT = Format(NAME, "Stepward's own records, JSON lines or Parquet", KINDS, matches, read, write, shard=shard)
