"""Starting a run from what other runs have finished, unit by unit, wherever all that decides a unit is equal.

What decides a unit is worked out from the recipe and from the problems on the disc: a mark, equal for equal units. So
two runs share what they can and no more: runs with more and fewer problems the batches that both have, runs with
another eta everything but labels and what comes of them. Files are linked where the disc allows it, since no stage
ever writes into a file that is there: it puts a new one in its place.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from stepward.errors import StepwardError
from stepward.pipeline import shards as units
from stepward.pipeline.engines import GENERATOR, completers
from stepward.pipeline.stages.inputs import ROLLOUT_KINDS
from stepward.pipeline.stages.labels import right_from
from stepward.recipes.loading import load_run_recipe
from stepward.recipes.run import BY_MODEL, Recipe
from stepward.storage.files import atomic_write, write_error
from stepward.storage.manifest import Manifest, place
from stepward.storage.parquet import json_hash
from stepward.storage.run_dir import BY, SPLITS, TREES, Layout, batch_number, parted_model

STAGES = ("solutions", "rollouts", units.TEACHER_SCORES, "labels", "rewards", "scores")
"""What is taken; problems are needed to know what is equal, and figures are quick."""

_CANT_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)
"""Another disc, or one without links."""


class Fingerprints:
    """What decides each unit of a run whose problems are there.

    Args:
        folder: The run's folder.
        recipe: The run's recipe; the manifest's if not given.
    """

    def __init__(self, folder: Path, recipe: Recipe | None = None) -> None:
        self.layout, self.manifest = Layout(folder), Manifest.read(folder)
        self.recipe = recipe or load_run_recipe(folder)
        self._known: dict[tuple[str, str], str] = {}

    @cached_property
    def sizes(self) -> dict[str, int]:
        """How many problems each split has."""
        return {split: self.manifest.units("problems")[split]["problems"] for split in SPLITS}

    @cached_property
    def rows(self) -> dict[str, list[str]]:
        """A mark of each problem, by split."""
        return {split: [json_hash(asdict(one)) for one in self.layout.problems(split)] for split in SPLITS}

    @property
    def ready(self) -> bool:
        """Whether the problems are there."""
        return all(self.manifest.finished("problems", split) for split in SPLITS)

    def wanted(self, stage: str) -> list[str]:
        """The units that the run has of a stage."""
        if stage == "solutions" and self.recipe.solutions.path is not None:
            return []  # published ones are there with the problems
        by_stage = {
            "solutions": lambda: units.solution_units(self.recipe, self.sizes),
            "rollouts": lambda: units.rollout_units(self.recipe, self.sizes),
            units.TEACHER_SCORES: lambda: units.judged_units(self.recipe, self.sizes),
            "labels": lambda: units.label_units(self.recipe),
            # Another run's reward models are asked for by its name.
            "rewards": lambda: units.model_units(self.recipe) if self.recipe.rewards.of is None else [],
            "scores": lambda: units.model_units(self.recipe),
        }
        return by_stage[stage]()

    def fingerprint(self, stage: str, unit: str) -> str:
        """The mark of a unit: equal marks, equal records."""
        if (stage, unit) not in self._known:
            deciding = getattr(self, f"_{stage}")(unit)
            self._known[stage, unit] = json_hash([stage, self.manifest.content["versions"], deciding])
        return self._known[stage, unit]

    def _solutions(self, unit: str) -> list[Any]:
        recipe, split = self.recipe, unit.split("-")[0]
        if recipe.solutions.path is not None or (recipe.rewards.of is not None and split == "validation"):
            return [hashlib.sha256(self.layout.shard("solutions", unit).read_bytes()).hexdigest()]
        problems = self._batch(split, unit, recipe.solutions.unit)
        generator = recipe.generator.model_dump(mode="json")
        return [recipe.seed, recipe.grader, generator, getattr(recipe.solutions, split), problems]

    def _rollouts(self, unit: str) -> list[Any]:
        recipe, name = self.recipe, unit.partition(BY)[2]
        completer = completers(recipe)[name].model_dump(mode="json")
        settings = recipe.rollouts.model_dump(mode="json", exclude={"also"})
        problems = self._batch("reward", unit, recipe.rollouts.unit)
        sizes = (recipe.rollouts.unit, recipe.solutions.unit, self.sizes["reward"])
        solutions = [self.fingerprint("solutions", one) for one in units.overlapping(unit, *sizes)]
        return [recipe.seed, recipe.grader, name, completer, settings, problems, solutions]

    def _judged(self, unit: str) -> list[Any]:
        return [self._judge, self.fingerprint("solutions", unit)]

    def _labels(self, kind: str) -> list[Any]:
        recipe = self.recipe
        deciding: list[Any] = [kind, self._every("reward")]
        if kind in ROLLOUT_KINDS:
            counts = [self.fingerprint("rollouts", unit) for unit in units.rollout_units(recipe, self.sizes)]
            deciding += [counts, recipe.labels.after_first_error, recipe.labels.eta if kind == "er" else None]
        if kind in BY_MODEL:
            deciding += [self._judge, right_from(self.layout, recipe), recipe.labels.after_first_error]
        return deciding

    def _rewards(self, unit: str) -> list[Any]:
        recipe = self.recipe
        if recipe.rewards.of is not None:
            return [Fingerprints(self.layout.other(recipe.rewards.of)).fingerprint("rewards", unit)]
        base = recipe.generator.model if recipe.rewards.base == GENERATOR else recipe.rewards.base
        settings = recipe.rewards.model_dump(mode="json", exclude={"seeds", "base", "of"})
        return [unit, base, settings, self.rows["reward"], self.fingerprint("labels", unit.split("/")[0])]

    def _scores(self, unit: str) -> list[Any]:
        problems = [self.rows[split] for split in ("validation", "test")]
        return [self.fingerprint("rewards", unit), problems, self._every("validation"), self._every("test")]

    @cached_property
    def _judge(self) -> str:
        """The mark of the reward model that labels."""
        run, model = parted_model(str(self.recipe.labels.by))
        return Fingerprints(self.layout.other(run)).fingerprint("rewards", model)

    def _batch(self, split: str, unit: str, size: int) -> list[str]:
        number = batch_number(unit)
        return self.rows[split][number * size : (number + 1) * size]

    def _every(self, split: str) -> list[str]:
        """The marks of a split's solutions."""
        if self.recipe.rewards.of is not None and split == "validation":
            names = sorted(unit for unit in self.manifest.units("solutions") if unit.startswith(f"{split}-"))
        else:
            names = units.batches(split, self.sizes[split], self.recipe.solutions.unit)
        return [self.fingerprint("solutions", unit) for unit in names]


class ShardCache:
    """Finished units of several runs, by their marks."""

    def __init__(self) -> None:
        self._folders: list[Path] = []
        self._units: dict[str, tuple[Manifest, str]] = {}

    def add(self, folder: Path) -> None:
        """Puts a run there; it is read when something is looked for."""
        if folder not in self._folders:
            self._folders.append(folder)

    def find(self, stage: str, mark: str) -> tuple[Manifest, str] | None:
        """The run that has finished a unit of that mark, and the unit's name there."""
        for folder in self._folders:
            self._read(folder)
        self._folders.clear()
        manifest, unit = self._units.get(mark, (None, ""))
        return (manifest, unit) if manifest is not None and manifest.finished(stage, unit) else None

    def _read(self, folder: Path) -> None:
        marks = Fingerprints(folder)
        if not marks.ready:
            return
        for stage in STAGES:
            done = marks.manifest.units(stage)
            for unit in marks.wanted(stage):
                if unit in done:
                    self._units.setdefault(marks.fingerprint(stage, unit), (marks.manifest, unit))


def reuse_finished(manifest: Manifest, recipe: Recipe, shelf: ShardCache, stages: Sequence[str]) -> dict[str, int]:
    """Takes what others have finished into a run whose problems are there.

    Args:
        manifest: The run's.
        recipe: The run's.
        shelf: What others have.
        stages: The stages that the run is to do.

    Returns:
        How many units were taken, by stage.
    """
    marks, taken = Fingerprints(manifest.folder, recipe), {}
    asked = {*stages} | ({units.TEACHER_SCORES} if "labels" in stages else set())
    for stage in (one for one in STAGES if one in asked):
        missing = [unit for unit in marks.wanted(stage) if not manifest.finished(stage, unit)]
        found = {unit: shelf.find(stage, marks.fingerprint(stage, unit)) for unit in missing}
        taken[stage] = link_shards(manifest, stage, {unit: one for unit, one in found.items() if one is not None})
    return {stage: count for stage, count in taken.items() if count}


def link_shards(manifest: Manifest, stage: str, found: dict[str, tuple[Manifest, str]]) -> int:
    """Links other runs' units into a run, and notes them as done, and as taken.

    Args:
        manifest: The run's.
        stage: Their stage.
        found: By the unit's name here, whose it is and its name there.

    Returns:
        How many.
    """
    manifest.save()  # before the first link: a folder with shards and no manifest is taken for somebody's
    for unit, (theirs, name) in found.items():
        facts = theirs.units(stage)[name]
        target = manifest.folder / place(stage, unit)
        link(theirs.where(stage, name), target)
        trees = Layout(theirs.folder).shard(TREES, name)
        if stage == "rollouts" and trees.is_file():
            link(trees, Layout(manifest.folder).shard(TREES, unit))
        manifest.note(stage, unit, {**facts, "path": place(stage, unit)})
        where = os.path.relpath(theirs.folder.resolve(), manifest.folder.resolve())
        manifest.content.setdefault("taken", {}).setdefault(stage, {})[unit] = where
    if found:
        # Once for all: units whose files are there and are not noted are only taken again.
        manifest.save()
    return len(found)


def link(source: Path, target: Path) -> None:
    """Links a file or a folder's files, or copies them where links can't be; whole or not at all.

    Raises:
        StepwardError: The source is gone, or the target can't be written.
    """
    if not source.exists():
        raise StepwardError(
            f"{source}: missing, though its run's manifest names it; run that run again",
            code="file_not_found",
            file=source,
        )
    if source.is_file():
        _link_file(source, target)
        return
    partial = target.parent / f".{target.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    for path in sorted(source.rglob("*")):
        if path.is_file():
            _link_file(path, partial / path.relative_to(source))
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def _link_file(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.link.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        os.link(source, temporary)
        temporary.replace(target)
        # Two names of one file: such a rename does nothing, and leaves both.
        temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in _CANT_LINK:
            raise write_error(target, error) from error
        with source.open("rb") as read, atomic_write(target) as file:
            shutil.copyfileobj(read, file)
