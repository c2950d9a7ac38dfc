"""Runs a recipe's stages in order; what is done is skipped, what changed is refused.

Each stage is a list of units. Sampling, training and scoring go to workers; the rest is quick and done here. A unit is
done when the manifest says so, which is after its file is whole.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from stepward.errors import StepwardError
from stepward.grading.graders import load_grader
from stepward.labelling.labels import oracle_labels, outcome_labels, rollout_labels
from stepward.manifest import Manifest
from stepward.pipeline import tasks
from stepward.pipeline.inputs import check_models, needs_rollouts, read_inputs
from stepward.pipeline.layout import SPLITS, Layout
from stepward.pipeline.measure import evaluate_run, oracle_of
from stepward.pipeline.page import report_run
from stepward.pipeline.progress import StageProgress
from stepward.pipeline.workers import Facts, Workers
from stepward.recipes.schema import Recipe
from stepward.records import Problem, Solution, StepLabels
from stepward.store import locked, write_shard


@dataclass
class Run:
    """A recipe being run in a folder.

    Attributes:
        recipe: What to do.
        folder: Where its records go.
        manifest: What is done.
        workers: Who does it.
        console: Where progress is shown.
        worked: Seconds until the last unit that was finished this time; 0 while there is none.
    """

    recipe: Recipe
    folder: Path
    manifest: Manifest
    workers: Workers
    console: Console

    def __post_init__(self) -> None:
        self.layout = Layout(self.folder)
        self.start = time.monotonic()
        self.earlier = self.manifest.content.get("seconds", 0.0)
        self.worked = 0.0

    def remove_leftovers(self) -> None:
        """Removes what a killed run half wrote; the lock says that nobody is writing it."""
        for path in self.folder.rglob(".*.tmp"):
            path.unlink(missing_ok=True)
        for path in self.folder.glob("rewards/*/.*.partial"):
            shutil.rmtree(path)
        # A whole or half-replaced model that the manifest does not name is trained again, and must not be in the way.
        for unit in self._models():
            if not self.manifest.finished("rewards", unit):
                shutil.rmtree(self.layout.reward_model(unit), ignore_errors=True)

    def problems(self) -> None:
        """Problems by split, and published solutions where the recipe names some."""
        missing = [split for split in SPLITS if not self.manifest.finished("problems", split)]
        if self.recipe.solutions.path is not None:
            missing += [split for split in SPLITS if not self.manifest.finished("solutions", f"{split}-0000")]
        if not missing:
            return
        check_models(self.recipe)
        with self.console.status("problems: reading or making them"):
            inputs = read_inputs(self.recipe)
        for split, solutions in inputs.solutions.items():
            path = self.layout.shard("solutions", f"{split}-0000")
            write_shard(path, solutions, Solution)
            right = sum(solution.correct for solution in solutions)
            facts = {"solutions": len(solutions), "draws": len(solutions), "right": right}
            self._finish("solutions", f"{split}-0000", path, **facts)
        for split, problems in inputs.problems.items():
            path = self.layout.shard("problems", split)
            write_shard(path, problems, Problem)
            self._finish("problems", split, path, problems=len(problems), **inputs.facts)

    def solutions(self) -> None:
        """Solutions of every split, drawn by the generator."""
        if self.recipe.solutions.path is None:
            units = [unit for split in SPLITS for unit in self._batches(split, self.recipe.solutions.unit)]
            self._work("solutions", units, tasks.solve)

    def rollouts(self) -> None:
        """Completions of every prefix of the reward split, where a label needs them."""
        if needs_rollouts(self.recipe):
            self._work("rollouts", self._batches("reward", self.recipe.rollouts.unit), tasks.roll_out)

    def labels(self) -> None:
        """Labels of each kind, computed from the counts and the grades."""
        for kind in self.recipe.labels.kinds:
            if not self.manifest.finished("labels", kind):
                labels = self._label(kind)
                path = self.layout.shard("labels", kind)
                write_shard(path, labels, StepLabels)
                values = [value for one in labels for value in one.labels if value is not None]
                self._finish(
                    "labels", kind, path, solutions=len(labels), steps=len(values), mean=sum(values) / len(values)
                )

    def _label(self, kind: str) -> list[StepLabels]:
        solutions = self.layout.solutions("reward")
        if kind == "orm":
            return outcome_labels(solutions)
        if kind == "oracle":
            return oracle_labels(solutions, oracle_of(self.layout.problems("reward")))
        counts = {prefix.id: prefix for prefix in self.layout.rollouts()}
        return rollout_labels(solutions, counts, kind, self.recipe.labels.eta)

    def rewards(self) -> None:
        """A reward model for each kind and seed."""
        self._work("rewards", self._models(), tasks.train)

    def scores(self) -> None:
        """Every reward model's scores of the validation and test candidates."""
        self._work("scores", self._models(), tasks.score)

    def evaluation(self) -> None:
        """Best-of-N, voting, margins, quintiles and label quality."""
        if not self.manifest.finished("evaluation", "summary"):
            start = time.monotonic()
            total = sum(self.manifest.units("problems")[split]["problems"] for split in ("validation", "test"))
            with StageProgress(self.console, "evaluation", total, what="problems") as progress:
                evaluate_run(self.recipe, self.layout, progress.advance)
            path = self.folder / "evaluation" / "summary.json"
            self._finish("evaluation", "summary", path, seconds=round(time.monotonic() - start, 3))

    def report(self) -> None:
        """The report's page."""
        if not self.manifest.finished("report", "page"):
            with self.console.status("report: drawing the page"):
                report_run(self.recipe, self.layout)
            self._finish("report", "page", self.folder / "report.html")

    def _finish(self, stage: str, unit: str, path: Path, **facts: Any) -> None:
        """Notes a finished unit, and the seconds worked on this run: a killed one could not note them at its end."""
        self.worked = time.monotonic() - self.start
        self.manifest.content["seconds"] = round(self.earlier + self.worked, 3)
        self.manifest.finish(stage, unit, path, **facts)

    def _models(self) -> list[str]:
        return [f"{kind}/seed-{seed}" for seed in self.recipe.rewards.seeds for kind in self.recipe.labels.kinds]

    def _batches(self, split: str, size: int) -> list[str]:
        count = self.manifest.units("problems")[split]["problems"]
        return [f"{split}-{number:04d}" for number in range(-(-count // size))]

    def _work(self, stage: str, units: list[str], task: Callable[..., Facts]) -> None:
        missing = [unit for unit in units if not self.manifest.finished(stage, unit)]
        with StageProgress(self.console, stage, len(units), len(units) - len(missing)) as progress:
            for unit, facts in self.workers.run(task, missing, self.folder, self.recipe):
                self._finish(stage, unit, facts.pop("path"), **facts)
                progress.advance()


STAGES: tuple[Callable[[Run], None], ...] = (
    Run.problems,
    Run.solutions,
    Run.rollouts,
    Run.labels,
    Run.rewards,
    Run.scores,
    Run.evaluation,
    Run.report,
)


def run_recipe(
    recipe: Recipe, folder: Path, console: Console, workers: int | None = None, threads: int = 1
) -> tuple[Manifest, float]:
    """Runs a recipe in a folder, going on from what is done there.

    Args:
        recipe: What to run.
        folder: The run's folder, made if it isn't there.
        console: Where progress is shown.
        workers: Worker processes; one a core, at most 8, if not given.
        threads: torch threads a worker; more than one may change the last digit of a score.

    Returns:
        The finished run's manifest, and the seconds worked this time: 0 if everything was done before.

    Raises:
        StepwardError: Anything the user can mend; what is finished is kept.
    """
    if recipe.solutions.path is not None and "oracle" in recipe.labels.kinds:
        raise StepwardError("labels.kinds: oracle can't label published solutions; use orm, hard, soft or er")
    load_grader(recipe.grader)  # better refused now than by a worker
    count = workers or min(8, _cores())
    with locked(folder):
        _forget_unbegun(folder)
        manifest = Manifest.start(folder, recipe.decisive())
        with Workers(count, threads) as pool:
            run = Run(recipe, folder, manifest, pool, console)
            run.remove_leftovers()
            for stage in STAGES:
                stage(run)
    return manifest, run.worked


def _cores() -> int:
    """The cores this process may use; macOS only tells how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _forget_unbegun(folder: Path) -> None:
    """Lets a run in which nothing is finished start again with another recipe: a mended one."""
    path = folder / "manifest.json"
    if path.exists() and not Manifest.read(folder).finished_units():
        path.unlink()
