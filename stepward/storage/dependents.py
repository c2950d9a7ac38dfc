"""Which finished units of a run were made from a unit, at first or second hand: what is stale when that one is other.

It follows from the units' names alone, so a run that was made before this was looked at is as safe as any.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

Gone = Mapping[str, set[str]]

_NO_COUNTS = ("orm", "oracle", "prm_process", "prm_outcome", "judge", "rules", "nli")
"""Kinds of labels that come of no rollouts."""
_BY_SCORES = ("prm_process", "prm_outcome", "consensus")
"""Kinds that come of another model's scores, or may."""


def made_from(content: Mapping[str, Any], stage: str, unit: str) -> dict[str, set[str]]:
    """The finished units that were made from one, by stage.

    Args:
        content: The manifest's.
        stage: The one's stage.
        unit: Its name.
    """
    gone: defaultdict[str, set[str]] = defaultdict(set, {stage: {unit}})
    sections = content["recipe"]
    found: dict[str, set[str]] = {}
    for later, is_stale in _LATER.items():
        units = content["stages"].get(later, {"units": {}})["units"]
        stale = is_stale(gone, sections)
        found[later] = {one for one in units if (later, one) != (stage, unit) and stale(one)}
        gone[later] |= found[later]
    return {later: names for later, names in found.items() if names}


def _splits(gone: Gone) -> set[str]:
    """The splits whose problems or solutions are others."""
    return gone["problems"] | {unit.partition("-")[0] for unit in gone["solutions"]}


def _solutions(gone: Gone, recipe: Mapping[str, Any]) -> Callable[[str], bool]:
    # Published ones are read with the problems, each shard for itself.
    drawn = _of(recipe, "solutions", "path") is None
    return lambda unit: drawn and unit.partition("-")[0] in gone["problems"]


def _rollouts(gone: Gone, recipe: Mapping[str, Any]) -> Callable[[str], bool]:
    size, each = (_of(recipe, section, "unit") for section in ("solutions", "rollouts"))
    numbers = [_number(unit) for unit in gone["solutions"] if unit.startswith("reward-")]
    everything = "reward" in gone["problems"] or (bool(numbers) and not (size and each))
    wanted: set[int] = set()
    if not everything:
        for number in numbers:
            wanted.update(range(number * size // each, ((number + 1) * size - 1) // each + 1))
    return lambda unit: everything or _number(unit) in wanted


def _judged(gone: Gone, recipe: Mapping[str, Any]) -> Callable[[str], bool]:
    return lambda unit: "reward" in gone["problems"] or unit in gone["solutions"]


def _labels(gone: Gone, recipe: Mapping[str, Any]) -> Callable[[str], bool]:
    return lambda kind: (
        "reward" in _splits(gone)
        or (bool(gone["rollouts"]) and kind not in _NO_COUNTS)
        or (bool(gone["judged"]) and kind in _BY_SCORES)
        or (bool(gone["labels"] - {"consensus"}) and kind == "consensus")
    )


_LATER: dict[str, Callable[[Gone, Mapping[str, Any]], Callable[[str], bool]]] = {
    "solutions": _solutions,
    "rollouts": _rollouts,
    "judged": _judged,
    "judgements": lambda gone, recipe: lambda unit: "reward" in _splits(gone),
    "labels": _labels,
    "rewards": lambda gone, recipe: lambda unit: "reward" in _splits(gone) or unit.split("/")[0] in gone["labels"],
    "scores": lambda gone, recipe: lambda unit: bool({"validation", "test"} & _splits(gone)) or unit in gone["rewards"],
    "evaluation": lambda gone, recipe: (
        lambda unit: any(gone[stage] for stage in ("problems", "solutions", "rollouts", "scores"))
    ),
    "report": lambda gone, recipe: lambda unit: bool(gone["evaluation"]),
}
"""By stage, in their order: of what is gone so far, whether a unit was made from it."""


def _of(recipe: Mapping[str, Any], section: str, field: str) -> Any:
    found = recipe.get(section)
    return found.get(field) if isinstance(found, Mapping) else None


def _number(unit: str) -> int:
    """Which batch of problems a unit is of; -1 for none."""
    number = unit.partition("+")[0].rpartition("-")[2]
    return int(number) if number.isdecimal() else -1
