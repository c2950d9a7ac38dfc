"""What a manifest may hold: a damaged or a stranger's one is refused in words before anything is done with it."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Required

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from stepward.errors import StepwardError

_STAGE = re.compile(r"[a-z_]{1,40}")
_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,200}(?:/[A-Za-z0-9][A-Za-z0-9._+-]{0,200})?")
_DEEPEST = 30
"""Most levels of a recipe; what compares and hashes recipes calls itself level by level."""

Count = Annotated[int, Field(ge=0, le=2**53)]
Amount = Annotated[float, Field(ge=0, le=1e15)]


# Dictionaries and not models: of 40,000 units these are looked through in a tenth of a second.
_STRICT = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class _Work(TypedDict, total=False):
    """What an engine did for a unit."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]
    prefilled: Amount
    generated: Amount
    untold: Count


class _Failed(TypedDict, total=False):
    """A problem that was set aside."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]
    problem: Required[str]
    row: Required[Count]
    code: Required[str]
    reason: Required[str]
    draws: Count
    failed: Count


class _Facts(TypedDict, total=False):
    """A finished unit; of what else is known of it, that which is counted with."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]
    path: Required[str]
    sha256: str
    seconds: Amount
    work: _Work
    problems: Count
    solutions: Count
    draws: Count
    right: Count
    cut: Count
    alike: Count
    repeated: Count
    prefixes: Count
    sampled: Count
    asked: Count
    passed: Count
    completions: Count
    empty: Count
    failed: Count
    tokens: Count
    too_long: Count
    parameters: Count
    steps: Count
    without: Count
    mean: float | None
    loss: float | None
    metrics: dict[str, Any]
    set_aside: list[_Failed]


class _Stage(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    units: dict[str, _Facts]


class _Content(TypedDict, total=False):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    recipe: Required[dict[str, Any]]
    recipe_hash: Required[str]
    versions: Required[dict[str, str]]
    stages: Required[dict[str, _Stage]]
    seconds: Amount
    taken: dict[str, dict[str, str]]
    lost: dict[str, dict[str, _Facts]]
    grown_from: list[str]


_MANIFEST = TypeAdapter(_Content)


def check_unit(stage: str, unit: str) -> None:
    """Refuses a name that no unit of a run can have.

    Raises:
        StepwardError: Such a name, which could lead out of the run's folder.
    """
    if not (_STAGE.fullmatch(stage) and _UNIT.fullmatch(unit)):
        raise StepwardError(
            f"{stage[:200]!r}, {unit[:200]!r}: not the stage and the name of a unit of work", code="unsafe_path"
        )


def check_content(path: Path, content: Any, format: int, place: Callable[[str, str], str]) -> None:
    """Refuses what is no manifest of this format.

    Args:
        path: The manifest.
        content: Its JSON.
        format: The format that is read.
        place: Where a unit of a stage lies.

    Raises:
        StepwardError: It is of another format, a field is missing or of another type, or a unit lies elsewhere; names
            the field.
    """
    found = content.get("format") if isinstance(content, dict) else None
    if type(found) is not int or found != format:
        older = type(found) is int and 0 < found < format
        why = "an earlier Stepward made this run; start it again under another name" if older else "not a manifest"
        raise StepwardError(
            f"{path}: {why}: expected format {format}, found {str(found)[:40]}", code="wrong_version", file=path,
            field="format",
        )  # fmt: skip
    try:
        _MANIFEST.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise _damaged(path, ".".join(map(str, first["loc"])), first["msg"]) from None
    if _is_deep(content["recipe"]):
        raise _damaged(path, "recipe", f"more than {_DEEPEST} levels")
    for stage, each in content["stages"].items():
        for unit, facts in each["units"].items():
            try:
                expected = place(stage, unit)
            except StepwardError as error:
                raise StepwardError(f"{path}: {error}", code=error.code, file=path, field=f"stages.{stage}") from None
            if facts["path"] != expected:
                raise StepwardError(
                    f"{path}: stages.{stage}.units.{unit}.path: expected {expected}, found {facts['path'][:200]!r}",
                    code="unsafe_path",
                    file=path,
                    field=f"stages.{stage}.units.{unit}.path",
                )
            if stage == "problems" and "problems" not in facts:
                raise _damaged(path, f"stages.problems.units.{unit}.problems", "missing")


def _damaged(path: Path, field: str, what: str) -> StepwardError:
    return StepwardError(
        f"{path}: {field[:200]}: {what[:1].lower() + what[1:]}; the file is damaged: copy the whole folder anew, or "
        "start the run again under another name",
        code="unreadable",
        file=path,
        field=field,
    )


def _is_deep(value: Any) -> bool:
    """Whether JSON has too many levels, told level by level."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, Mapping | list)
            for inner in (one.values() if isinstance(one, Mapping) else one)
        ]
        if not level:
            return False
    return True
