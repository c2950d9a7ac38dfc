"""Where everything of a run lies, and how it is read back."""

import os
from functools import cache
from importlib import resources
from pathlib import Path

from stepward.errors import StepwardError
from stepward.manifest import Manifest
from stepward.records import Problem, Scores, Solution, StepLabels, StepRollouts
from stepward.store import read_shard

SPLITS = ("reward", "validation", "test")
EMBEDDED = "embedded"
ARITHMETIC = "arithmetic"
TREES = "trees"
"""Where a tree search keeps what its rollouts are counts of, a shard a unit of rollouts."""
BY = "+"
"""Stands between a unit of rollouts and the name of the completer, where the recipe names several."""


class Layout:
    """The paths and records of one run's folder.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def shard(self, stage: str, unit: str) -> Path:
        """Where a unit's shard lies."""
        return self.folder / stage / f"{unit}.parquet"

    def reward_model(self, unit: str) -> Path:
        """Where a reward model lies."""
        return self.folder / "rewards" / unit

    def other(self, name: str) -> Path:
        """The folder of another run: one beside this run's, or else the path itself."""
        # As it is written: the run's own folder may not be there yet.
        beside = Path(os.path.normpath(self.folder.parent / name))
        return beside if (beside / "manifest.json").is_file() else Path(name)

    @staticmethod
    def model(name: str) -> Path:
        """The folder of a recipe's model: the embedded generator's, or the path itself."""
        return embedded_generator() if name == EMBEDDED else Path(name)

    def problems(self, split: str) -> list[Problem]:
        """A split's problems."""
        return read_shard(self.shard("problems", split), Problem)

    def batch(self, unit: str, size: int) -> tuple[str, list[Problem]]:
        """The split and the problems of a unit `<split>-<number>`, or `<split>-<number>+<completer>`."""
        split, number = unit.partition("-")[0], batch_number(unit)
        return split, read_shard(self.shard("problems", split), Problem, slice(number * size, (number + 1) * size))

    def of_batch(self, stage: str, unit: str, size: int, each: int) -> list[Path]:
        """The finished shards of another stage that hold a unit's problems, and so little more than is needed.

        Args:
            stage: `solutions` or `rollouts`.
            unit: The unit whose problems are meant.
            size: Problems a unit of its kind.
            each: Problems a unit of `stage`.
        """
        first = batch_number(unit) * size
        wanted = {first // each + at for at in range((first % each + size - 1) // each + 1)}
        split = unit.partition("-")[0]
        units = Manifest.read(self.folder).units(stage)
        named = [name for name in units if name.startswith(f"{split}-") and batch_number(name) in wanted]
        return [self.folder / units[name]["path"] for name in sorted(named)]

    def solutions(self, split: str) -> list[Solution]:
        """A split's solutions, from every finished unit."""
        return [record for path in self._paths("solutions", f"{split}-") for record in read_shard(path, Solution)]

    def rollouts(self) -> list[StepRollouts]:
        """The counts of every prefix of the reward split."""
        return [record for path in self._paths("rollouts", "reward-") for record in read_shard(path, StepRollouts)]

    def labels(self, kind: str) -> list[StepLabels]:
        """The labels of one kind."""
        return read_shard(self.shard("labels", kind), StepLabels)

    def scores(self) -> list[Scores]:
        """Every model's scores."""
        return [record for path in self._paths("scores", "") for record in read_shard(path, Scores)]

    def _paths(self, stage: str, prefix: str) -> list[Path]:
        return Manifest.read(self.folder).paths(stage, prefix)


def parted_model(named: str) -> tuple[str, str]:
    """The run and the unit of a reward model named `RUN/KIND/seed-N`."""
    run, kind, seed = named.rsplit("/", 2)
    return run, f"{kind}/{seed}"


def batch_number(unit: str) -> int:
    """Which batch of problems a unit is of."""
    return int(unit.partition(BY)[0].rpartition("-")[2])


@cache
def embedded_generator() -> Path:
    """The folder of the generator that Stepward ships.

    Raises:
        StepwardError: This installation lacks it.
    """
    folder = Path(str(resources.files("stepward"))) / "embedded"
    if not (folder / "model.safetensors").is_file():
        raise StepwardError(
            f"{folder}: the embedded generator is missing; make it with: stepward demo-generator {folder}"
        )
    return folder
