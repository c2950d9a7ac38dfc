"""What a manifest may hold: a damaged or a stranger's one is refused in words before anything is done with it."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepward.errors import StepwardError

_STAGE = re.compile(r"[a-z_]{1,40}")
_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,200}(?:/[A-Za-z0-9][A-Za-z0-9._+-]{0,200})?")
_DEEPEST = 30
"""Most levels of a recipe; what compares and hashes recipes calls itself level by level."""

Count = Annotated[int, Field(ge=0, le=2**53)]
Amount = Annotated[float, Field(ge=0, le=1e15)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Work(_Part):
    """What an engine did for a unit."""

    prefilled: Amount = 0
    generated: Amount = 0


class _Failed(_Part):
    """A problem that was set aside."""

    problem: str
    row: Count
    code: str
    reason: str
    draws: Count = 0
    failed: Count = 0


class _Facts(_Part):
    """A finished unit; of what else is known of it, that which is counted with."""

    path: str
    sha256: str | None = None
    seconds: Amount = 0.0
    work: _Work = _Work()
    problems: Count = 0
    solutions: Count = 0
    draws: Count = 0
    right: Count = 0
    cut: Count = 0
    prefixes: Count = 0
    sampled: Count = 0
    asked: Count = 0
    passed: Count = 0
    completions: Count = 0
    empty: Count = 0
    failed: Count = 0
    tokens: Count = 0
    too_long: Count = 0
    parameters: Count = 0
    steps: Count = 0
    without: Count = 0
    mean: float | None = None
    loss: float | None = None
    metrics: dict[str, Any] = {}
    set_aside: list[_Failed] = []


class _Stage(_Part):
    units: dict[str, _Facts]


class _Content(_Part):
    recipe: dict[str, Any]
    recipe_hash: str
    versions: dict[str, str]
    stages: dict[str, _Stage]
    seconds: Amount = 0.0
    taken: dict[str, dict[str, str]] = {}
    grown_from: list[str] = []


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
        _Content.model_validate(content)
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
