"""Which worker of a cluster does which unit: slow units are stolen, those of dead workers are given to others.

A stolen unit is done by two workers at once, which is harmless since each writes a file of its own and renames it into
place: whole files take each other's place. The records are the same where the engine gives the same completions again.
Where it doesn't, facts and file must still be of one worker, so the other is ended before the unit counts as done, and
if the file that then lies there is not the one that was reported, the unit is done once more. A model is a folder,
which can't take another's place at once; units that write folders are not stolen.

Nothing here knows of Ray: a crew is what can start, await and end workers.
"""

import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from stepward.errors import StepwardError
from stepward.pipeline.workers.local import Facts

SLOW = 3.0
"""A unit is stolen when it has run for this many times the median of those that ended."""

LEAST = 20.0
"""And for this many seconds: to load a model takes as long."""

ENOUGH = 3
"""Of so few units the median says little."""

RETRIES = 3
"""How many workers may die at one unit."""

TICK = 1.0
"""Seconds between two looks at who is slow."""

FileVersion = tuple[int, int]


@dataclass(frozen=True)
class TaskResult:
    """A worker is through with its unit.

    Attributes:
        worker: Which one.
        outcome: The unit's facts and the stamp of the file they name (None for a folder); or the user's mistake it met;
            or None where the worker died.
    """

    worker: int
    outcome: tuple[Facts, FileVersion | None] | StepwardError | None


class WorkerPool(Protocol):
    """Workers somewhere, by number."""

    def free(self) -> list[int]:
        """Those that can be given a unit."""
        ...

    def give(self, worker: int, unit: str) -> None:
        """Lets a free worker do a unit."""
        ...

    def wait(self, seconds: float) -> list[TaskResult]:
        """Who is through, as soon as there is someone, or nobody after these seconds. The dead are replaced."""
        ...

    def stop(self, worker: int) -> None:
        """Ends a worker in the middle of its unit, and returns when it writes no more. Another takes its place."""
        ...


class Schedule:
    """What is to be done, who does what, and for how long.

    Args:
        units: To be done, in this order.
        least: The fewest seconds after which a unit is stolen.
    """

    def __init__(self, units: Sequence[str], least: float = LEAST) -> None:
        self.least = least
        self._waiting = deque(units)
        self._running: dict[str, dict[int, float]] = {}
        self._lengths: list[float] = []
        self._deaths: Counter[str] = Counter()
        self._folders = False

    @property
    def unfinished(self) -> bool:
        """Whether something is still to be done."""
        return bool(self._waiting or self._running)

    def unit_of(self, worker: int) -> str | None:
        """What a worker does."""
        return next((unit for unit, starts in self._running.items() if worker in starts), None)

    def next(self, worker: int, now: float) -> str | None:
        """The unit that a free worker begins: one that waits, or the slowest that another does; or none."""
        unit = self._waiting.popleft() if self._waiting else self._slowest(now)
        if unit is not None:
            self._running.setdefault(unit, {})[worker] = now
        return unit

    def ended(self, unit: str, worker: int, now: float, folder: bool) -> list[int]:
        """Notes that a unit is done, and gives the other workers that do it."""
        starts = self._running.pop(unit)
        self._lengths.append(now - starts.pop(worker))
        self._folders |= folder
        return list(starts)

    def died(self, unit: str, worker: int) -> None:
        """Lets a dead worker's unit be done by another, next.

        Raises:
            StepwardError: Too many have died at it.
        """
        starts = self._running[unit]
        del starts[worker]
        self._deaths[unit] += 1
        if starts:
            return
        if self._deaths[unit] > RETRIES:
            raise StepwardError(
                f"{unit}: {self._deaths[unit]} workers died at it, one after the other: out of memory, killed, or "
                "their machines were lost; what is finished is kept, run again to go on",
                code="worker_died",
                field=unit,
            )
        self.requeue(unit)

    def requeue(self, unit: str) -> None:
        """Lets a unit be done once more, next."""
        self._running.pop(unit, None)
        self._waiting.appendleft(unit)

    def _slowest(self, now: float) -> str | None:
        if self._folders or len(self._lengths) < ENOUGH:
            return None
        limit = max(SLOW * statistics.median(self._lengths), self.least)
        alone = {unit: now - next(iter(starts.values())) for unit, starts in self._running.items() if len(starts) == 1}
        slow = [unit for unit, seconds in alone.items() if seconds >= limit]
        return max(slow, key=alone.__getitem__, default=None)


def run_schedule(
    crew: WorkerPool, schedule: Schedule, clock: Callable[[], float] = time.monotonic
) -> Iterator[tuple[str, Facts]]:
    """Has every unit done once, and gives its facts as it ends.

    Raises:
        StepwardError: A unit's own error, or too many workers died at one.
    """
    while schedule.unfinished:
        for worker in crew.free():
            unit = schedule.next(worker, clock())
            if unit is not None:
                crew.give(worker, unit)
        for ended in crew.wait(TICK):
            unit = schedule.unit_of(ended.worker)
            if unit is None:  # another was faster, and this one is stopped
                continue
            if isinstance(ended.outcome, StepwardError):
                raise ended.outcome
            if ended.outcome is None:
                schedule.died(unit, ended.worker)
                continue
            facts, stamp = ended.outcome
            others = schedule.ended(unit, ended.worker, clock(), folder=stamp is None)
            for other in others:
                crew.stop(other)
            if others and file_version(facts.get("path")) != stamp:
                schedule.requeue(unit)
            else:
                yield unit, facts


def file_version(path: Any) -> FileVersion | None:
    """What tells a file from another that took its place; None for a folder, or where there is none."""
    if not isinstance(path, Path) or not path.is_file():
        return None
    status = path.stat()
    return status.st_ino, status.st_mtime_ns
