"""Which parts problems fall into: by level, subject, number of steps and length."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from stepward.evaluation.candidates import Candidates

MOST_PARTS = 5


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of a problem; None where it is not.

    Attributes:
        level: Difficulty as the source states it.
        subject: What it is about, likewise.
        steps: The candidates' median number of steps.
        length: Their median length in characters.
    """

    level: int | str | None = None
    subject: str | None = None
    steps: int | None = None
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Slicing:
    """One way to part the problems.

    Attributes:
        name: `level`, `subject`, `steps` or `length`.
        by: What it goes by, in words.
        parts: The problems of each part, by their indices.
    """

    name: str
    by: str
    parts: dict[str, list[int]]


def traits_of(candidates: Sequence[Candidates]) -> list[Traits]:
    """What is known of a run's problems."""
    return [
        Traits(
            one.problem.level,
            one.problem.subject,
            _median(one, lambda steps: len(steps)),
            _median(one, lambda steps: sum(map(len, steps))),
        )
        for one in candidates
    ]


def slicings(traits: Sequence[Traits]) -> list[Slicing]:
    """The ways in which problems differ; one that leaves them all in one part is left out.

    Args:
        traits: What is known of each problem.
    """
    found = [
        Slicing("level", "the source's level", _named([one.level for one in traits])),
        Slicing("subject", "the source's subject", _named([one.subject for one in traits])),
        Slicing("steps", "the candidates' median number of steps", _ranges([one.steps for one in traits])),
        Slicing("length", "the candidates' median length in characters", _ranges([one.length for one in traits])),
    ]
    return [one for one in found if len(one.parts) > 1]


def _median(one: Candidates, size: Callable[[tuple[str, ...]], int]) -> int:
    sizes = np.array([size(solution.steps) for solution in one.solutions])
    return lower_median(sizes, one.copies)


def lower_median(sizes: np.ndarray, copies: np.ndarray) -> int:
    """The lower median of a problem's draws.

    Args:
        sizes: Of each candidate [candidate].
        copies: How many draws it stands for [candidate].
    """
    order = np.argsort(sizes, kind="stable")
    return int(sizes[order][np.searchsorted(np.cumsum(copies[order]), (copies.sum() + 1) // 2)])


def _named(values: Sequence[int | str | None]) -> dict[str, list[int]]:
    """A part for each value as it is shown: numbers by size, then texts, and `none` for those without last."""
    parts: dict[str, list[int]] = {}
    for value in sorted({one for one in values if one is not None}, key=lambda one: (isinstance(one, str), one)):
        parts.setdefault(str(value), [])
    for index, found in enumerate(values):
        parts.setdefault("none" if found is None else str(found), []).append(index)
    return parts


def _ranges(values: Sequence[int | None]) -> dict[str, list[int]]:
    """At most five parts of about as many problems, in which equal values stay together; none if one is not known."""
    sizes = [value for value in values if value is not None]
    if len(sizes) < len(values):
        return {}
    order = np.sort(np.asarray(sizes))
    bounds = sorted({int(part[0]) for part in np.array_split(order, min(MOST_PARTS, len(order)))})
    place = np.searchsorted(bounds, sizes, side="right") - 1
    parts = {}
    for number in range(len(bounds)):
        members = np.flatnonzero(place == number).tolist()
        low, high = min(sizes[index] for index in members), max(sizes[index] for index in members)
        parts[str(low) if low == high else f"{low} to {high}"] = members
    return parts
