"""Who does which unit, with workers that only pretend: slow ones are overtaken, the dead ones' units done by others."""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from raising import refused

from stepward.errors import StepwardError
from stepward.pipeline.workers.scheduler import RETRIES, Schedule, TaskResult, file_version, run_schedule


@dataclass
class Pretended:
    """A crew in which time passes only while it is waited for.

    Attributes:
        folder: Where units are written, as `<unit>.txt`.
        workers: How many.
        lengths: Seconds of each unit, by how often it was begun; 1 where it isn't named.
        deaths: Which beginnings of a unit end with the worker's death.
        late: Units whose second worker writes as it is stopped.
        refused: Units that meet a user's mistake.
    """

    folder: Path
    workers: int = 2
    lengths: dict[tuple[str, int], float] = field(default_factory=dict)
    deaths: set[tuple[str, int]] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.now = 0.0
        self.doing: dict[int, tuple[str, int, float]] = {}
        self.begun: dict[str, int] = {}
        self.stopped: list[str] = []

    def clock(self) -> float:
        return self.now

    def free(self) -> list[int]:
        return [worker for worker in range(self.workers) if worker not in self.doing]

    def give(self, worker: int, unit: str) -> None:
        assert worker not in self.doing
        time = self.begun[unit] = self.begun.get(unit, 0) + 1
        self.doing[worker] = (unit, time, self.now + self.lengths.get((unit, time), 1.0))

    def wait(self, seconds: float) -> list[TaskResult]:
        assert self.doing, "someone waits for nobody"
        self.now = max(self.now, min(self.now + seconds, min(end for _, _, end in self.doing.values())))
        through = [worker for worker, (_, _, end) in self.doing.items() if end <= self.now]
        return [TaskResult(worker, self.outcome(*self.doing.pop(worker)[:2])) for worker in through]

    def outcome(self, unit: str, time: int) -> Any:
        if (unit, time) in self.deaths:
            return None
        return StepwardError(f"{unit}: mend it", code="bad_value") if unit in self.refused else self.written(unit)

    def written(self, unit: str) -> Any:
        path, other = self.folder / f"{unit}.txt", self.folder / f"{unit}.{self.now}.{len(self.stopped)}"
        other.write_text(unit)
        other.replace(path)
        return {"path": path, "begun": self.begun[unit]}, file_version(path)

    def stop(self, worker: int) -> None:
        unit, _, _ = self.doing.pop(worker)
        self.stopped.append(unit)
        if unit in self.late:
            self.late.remove(unit)
            self.written(unit)


def done(crew: Pretended, units: list[str], least: float = 0.0) -> list[tuple[str, dict[str, Any]]]:
    return list(run_schedule(crew, Schedule(units, least), crew.clock))


UNITS = [f"u{number}" for number in range(8)]


def test_every_unit_is_done_once_in_the_order_given(tmp_path: Path) -> None:
    crew = Pretended(tmp_path)
    assert [unit for unit, _ in done(crew, UNITS)] == UNITS
    assert crew.begun == dict.fromkeys(UNITS, 1) and crew.now == 4.0 and not crew.stopped
    assert done(crew, []) == []


def test_a_slow_unit_is_done_by_a_free_worker_too_and_the_first_to_end_counts(tmp_path: Path) -> None:
    crew = Pretended(tmp_path, lengths={("u1", 1): 1000.0})
    found = done(crew, UNITS)
    assert sorted(unit for unit, _ in found) == UNITS and found[-1][0] == "u1" and found[-1][1]["begun"] == 2
    assert crew.stopped == ["u1"] and crew.now < 20


def test_the_first_worker_may_still_be_the_faster_one(tmp_path: Path) -> None:
    crew = Pretended(tmp_path, lengths={("u1", 1): 12.0, ("u1", 2): 1000.0})
    assert dict(done(crew, UNITS)).keys() == set(UNITS)
    assert crew.stopped == ["u1"] and crew.now == 12.0


def test_units_are_not_stolen_early_nor_while_others_wait_nor_twice(tmp_path: Path) -> None:
    slow = Pretended(tmp_path, lengths={("u1", 1): 12.0})
    done(slow, UNITS, least=20.0)
    assert slow.begun["u1"] == 1, "20 s had not passed"
    two = Pretended(tmp_path, lengths={("u1", 1): 3.5})
    done(two, UNITS)
    assert two.begun["u1"] == 1, "others waited until it ended"
    many = Pretended(tmp_path, workers=6, lengths={("u1", 1): 90.0, ("u1", 2): 90.0})
    done(many, UNITS)
    assert many.begun["u1"] == 2, "two do it, not six"


def test_units_that_write_folders_are_not_stolen(tmp_path: Path) -> None:
    class Folders(Pretended):
        def written(self, unit: str) -> Any:
            (tmp_path / unit).mkdir()
            return {"path": tmp_path / unit}, file_version(tmp_path / unit)

    crew = Folders(tmp_path, lengths={("u1", 1): 100.0})
    assert len(done(crew, UNITS)) == len(UNITS) and crew.begun["u1"] == 1


def test_facts_are_of_the_worker_whose_file_lies_there(tmp_path: Path) -> None:
    crew = Pretended(tmp_path, lengths={("u1", 1): 1000.0}, late={"u1"})
    found = dict(done(crew, UNITS))
    assert len(found) == len(UNITS) and found["u1"]["begun"] == 3, "done once more: the stopped worker wrote last"


def test_a_dead_workers_unit_is_done_by_another_and_nothing_twice(tmp_path: Path) -> None:
    crew = Pretended(tmp_path, deaths={("u2", 1), ("u2", 2), ("u5", 1)})
    found = done(crew, UNITS)
    assert sorted(unit for unit, _ in found) == UNITS
    assert crew.begun == dict.fromkeys(UNITS, 1) | {"u2": 3, "u5": 2}


def test_a_unit_at_which_workers_die_again_and_again_is_named(tmp_path: Path) -> None:
    crew = Pretended(tmp_path, deaths={("u2", time) for time in range(1, 9)})
    with refused("worker_died", field="u2", names=(RETRIES + 1,)):
        done(crew, UNITS)
    assert crew.begun["u2"] == RETRIES + 1


def test_when_one_of_two_at_a_stolen_unit_dies_it_can_be_stolen_again(tmp_path: Path) -> None:
    crew = Pretended(tmp_path, lengths={("u1", 1): 12.0, ("u1", 2): 20.0}, deaths={("u1", 1)})
    found = dict(done(crew, UNITS))
    assert found.keys() == set(UNITS) and crew.begun["u1"] == 3


def test_a_users_mistake_arrives_as_it_is(tmp_path: Path) -> None:
    with refused("bad_value", names=("u3",)):
        done(Pretended(tmp_path, refused={"u3"}), UNITS)


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_each_unit_counts_once(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    units = [f"u{number}" for number in range(random.randint(1, 30))]
    crew = Pretended(
        tmp_path,
        workers=random.randint(1, 6),
        lengths={(unit, time): random.choice([0.5, 1, 2, 40]) for unit in units for time in (1, 2, 3)},
        deaths={(unit, random.randint(1, 3)) for unit in units if random.random() < 0.3},
        late={unit for unit in units if random.random() < 0.3},
    )
    found = done(crew, units)
    assert sorted(unit for unit, _ in found) == sorted(units)
    assert all((tmp_path / f"{unit}.txt").read_text() == unit for unit in units)
