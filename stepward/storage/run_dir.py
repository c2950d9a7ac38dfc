"""Where everything of a run lies, and how it is read back."""

import os
from functools import cache
from importlib import resources
from pathlib import Path

from stepward.errors import StepwardError
from stepward.records import Problem, Scores, Solution, StepLabels, StepRollouts
from stepward.storage.manifest import Manifest, place
from stepward.storage.parquet import read_shard

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
        """Where a unit's shard goes."""
        return self.folder / place(stage, unit)

    def finished(self, stage: str, unit: str) -> Path:
        """Where a finished unit lies.

        Raises:
            StepwardError: It is not finished, gone, or not what was written.
        """
        return Manifest.view(self.folder).where(stage, unit)

    def reward_model(self, unit: str) -> Path:
        """Where a reward model goes."""
        return self.folder / place("rewards", unit)

    def other(self, name: str) -> Path:
        """The folder of another run: one beside this run's, or else the path itself."""
        # As it is written: the run's own folder may not be there yet.
        beside = Path(os.path.normpath(self.folder.parent / name))
        return beside if beside == self.folder or (beside / "manifest.json").is_file() else Path(name)

    @staticmethod
    def model(name: str) -> Path:
        """The folder of a recipe's model: the embedded generator's, or the path itself."""
        return embedded_generator() if name == EMBEDDED else Path(name)

    def problems(self, split: str) -> list[Problem]:
        """A split's problems."""
        return read_shard(self.finished("problems", split), Problem)

    def batch(self, unit: str, size: int) -> tuple[str, list[Problem]]:
        """The split and the problems of a unit `<split>-<number>`, or `<split>-<number>+<completer>`."""
        split, number = unit.partition("-")[0], batch_number(unit)
        path = self.finished("problems", split)
        return split, read_shard(path, Problem, slice(number * size, (number + 1) * size))

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
        manifest = Manifest.view(self.folder)
        named = [
            name for name in manifest.units(stage) if name.startswith(f"{split}-") and batch_number(name) in wanted
        ]
        return [manifest.where(stage, name) for name in sorted(named)]

    def solutions(self, split: str) -> list[Solution]:
        """A split's solutions, from every finished unit."""
        return [record for path in self._paths("solutions", f"{split}-") for record in read_shard(path, Solution)]

    def rollouts(self) -> list[StepRollouts]:
        """The counts of every prefix of the reward split."""
        return [record for path in self._paths("rollouts", "reward-") for record in read_shard(path, StepRollouts)]

    def labels(self, kind: str) -> list[StepLabels]:
        """The labels of one kind."""
        return read_shard(self.finished("labels", kind), StepLabels)

    def scores(self) -> list[Scores]:
        """Every model's scores.

        Raises:
            StepwardError: A shard holds another model's.
        """
        found: list[Scores] = []
        for unit in sorted(Manifest.view(self.folder).units("scores")):
            path = self.finished("scores", unit)
            scores = read_shard(path, Scores)
            if other := next((one.model for one in scores if one.model != unit), None):
                raise StepwardError(
                    f"{path}: scores by {other}, expected {unit}'s; remove it and run its recipe again",
                    code="mismatch",
                    file=path,
                    field="model",
                )
            found += scores
        return found

    def _paths(self, stage: str, prefix: str) -> list[Path]:
        return Manifest.view(self.folder).paths(stage, prefix)


def parted_model(named: str) -> tuple[str, str]:
    """The run and the unit of a reward model named `RUN/KIND/seed-N`."""
    run, kind, seed = named.rsplit("/", 2)
    return run, f"{kind}/{seed}"


def batch_number(unit: str) -> int:
    """Which batch of problems a unit is of.

    Raises:
        StepwardError: Of none: its name has no number.
    """
    number = unit.partition(BY)[0].rpartition("-")[2]
    if not number.isdecimal():
        raise StepwardError(f"{unit}: not a batch of problems; expected a name as reward-0000", code="unreadable")
    return int(number)


@cache
def embedded_generator() -> Path:
    """The folder of the generator that Stepward ships.

    Raises:
        StepwardError: This installation lacks it.
    """
    folder = Path(str(resources.files("stepward"))) / "embedded"
    if not (folder / "model.safetensors").is_file():
        raise StepwardError(
            f"{folder}: the embedded generator is missing; make it with: python "
            f"scripts/train_demo_generator.py {folder}",
            code="file_not_found",
            file=folder,
        )
    return folder
