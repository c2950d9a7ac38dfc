"""Runs a recipe's stages in order; what is done is skipped, what changed is refused.

Each stage is a list of units. Sampling, training and scoring go to workers; the rest is quick and done here. A unit is
done when the manifest says so, which is after its file is whole.
"""

import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from math import lcm
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from stepward.errors import StepwardError
from stepward.grading.graders import load_grader
from stepward.pipeline import shards as units
from stepward.pipeline.progress import StageProgress
from stepward.pipeline.report_data import report_run
from stepward.pipeline.reuse.extend import extend_run, start_run
from stepward.pipeline.reuse.fingerprints import ShardCache, reuse_finished
from stepward.pipeline.reuse.other_run import link_reward_models, link_validation
from stepward.pipeline.sampling_stats import SamplingStats
from stepward.pipeline.stages import tasks
from stepward.pipeline.stages.evaluate import evaluate_run, is_evaluated
from stepward.pipeline.stages.inputs import check_models, read_inputs
from stepward.pipeline.stages.labels import LabelCounter, check_teacher, labels_by_batch
from stepward.pipeline.stages.set_aside import check_failures, kept, write_list
from stepward.pipeline.stages.soundness import check_drawn, doubts
from stepward.pipeline.workers.local import Facts, Pool, Workers
from stepward.pipeline.workers.ray_pool import RayConfig
from stepward.pipeline.workers.ray_tasks import RayWorkers
from stepward.recipes.loading import load_recipe
from stepward.recipes.run import Recipe
from stepward.records import Problem, Solution, StepLabels
from stepward.storage.files import lock_dir, remove_made
from stepward.storage.manifest import Manifest
from stepward.storage.parquet import read_shard, write_batches, write_shard
from stepward.storage.run_dir import SPLITS, Layout, batch_number

NAMES = ("problems", "solutions", "rollouts", "labels", "rewards", "scores", "evaluation", "report")
"""A run's stages, in their order."""


@dataclass(frozen=True)
class RunOptions:
    """How a recipe is run this time: nothing here changes a record.

    Attributes:
        workers: Worker processes; one a GPU, or a core where there is none, at most 8, if not given.
        threads: torch threads a worker; more than one may change the last digit of a score.
        until: The last stage to do.
        part: Of how many machines this is which, from 1: it does that share of the solutions and rollouts, and stops
            before what needs all of them; `merge` joins the parts.
        grow: Whether a finished run may be gone on from with more completions, or one completer more.
        ray: The address of a Ray cluster whose machines do the work, `auto` or `local` (docs/clusters.md); None: this
            machine's own processes do.
        gpus: GPUs of each worker; a part of one lets workers share it, 0 keeps them on the CPU. If not given, 1 where
            this machine has any, and 0 of Ray's.
    """

    workers: int | None = None
    threads: int = 1
    until: str | None = None
    part: tuple[int, int] | None = None
    grow: bool = False
    ray: str | None = None
    gpus: float | None = None

    def __post_init__(self) -> None:
        """Raises StepwardError for a stage or part that there isn't."""
        if self.until is not None and self.until not in NAMES:
            raise StepwardError(
                f"--until {self.until}: expected one of {', '.join(NAMES)}", code="unknown_name", field="--until"
            )
        if self.part is not None and not 1 <= self.part[0] <= self.part[1]:
            raise StepwardError(
                f"--part {self.part[0]}/{self.part[1]}: expected I/N with I from 1 to N, such as 2/4",
                code="bad_value",
                field="--part",
            )
        if self.part is not None and self.until not in ("problems", "solutions", "rollouts", None):
            raise StepwardError(
                f"--until {self.until}: a part ends with the rollouts; merge the parts, then go on",
                code="conflict",
                field="--until",
            )

    def pool(self, folder: Path) -> Workers | RayWorkers:
        """Who works on a run in that folder."""
        if self.ray is None:
            return Workers(self.workers, self.threads, self.gpus)
        return RayWorkers(RayConfig(folder, self.ray, self.workers, self.threads, self.gpus or 0.0))

    def stages(self) -> list[str]:
        """The stages to do, in order."""
        last = self.until or ("rollouts" if self.part else "report")
        return list(NAMES)[: list(NAMES).index(last) + 1]


_OF_A_MODEL = (".safetensors", ".json", ".jinja", ".txt", ".model", ".md", ".bin", ".tmp")
"""Endings of what a reward model's folder holds."""


@dataclass
class Run:
    """A recipe being run in a folder.

    Attributes:
        recipe: What to do.
        folder: Where its records go.
        manifest: What is done.
        workers: Who does it.
        console: Where progress is shown.
        part: Which share of the solutions and rollouts to do, of how many; None: all of them.
        training: Whether it shall come to reward models this time.
        worked: Seconds until the last unit that was finished this time; 0 while there is none.
    """

    recipe: Recipe
    folder: Path
    manifest: Manifest
    workers: Pool
    console: Console
    part: tuple[int, int] | None = None
    training: bool = True

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
            shutil.rmtree(path, ignore_errors=True)
        self._remove_models()

    def _remove_models(self) -> None:
        """Removes a whole or half-replaced model that the manifest does not name: it is in the way of a new one."""
        for unit in units.model_units(self.recipe):
            if not self.manifest.finished("rewards", unit):
                remove_made(self.layout.reward_model(unit), _OF_A_MODEL)

    def problems(self) -> None:
        """Problems by split, and solutions that nobody draws: published ones, or another run's validation ones."""
        done = all(self.manifest.finished("problems", split) for split in SPLITS)
        if self.recipe.solutions.path is not None or self.recipe.rewards.of is not None:
            done = done and all(self.manifest.finished("solutions", unit) for unit in self.manifest.units("solutions"))
            done = done and not self.manifest.lost("solutions")
        if done:
            return
        check_models(self.recipe, self.training)
        check_teacher(self.folder, self.recipe)
        with self.console.status("problems: reading or making them"):
            inputs = read_inputs(self.recipe)
        if self.recipe.rewards.of is not None:
            link_validation(self.manifest, self.recipe, inputs.problems["test"])
        self.manifest.save()  # before the first shard: a folder with shards and no manifest is taken for somebody's
        for split, problems in inputs.problems.items():
            if inputs.solutions:
                self._publish(split, problems, inputs.solutions[split])
            if self.manifest.finished("problems", split):
                continue
            # After the solutions, so that these are there where the problems are.
            path = self.layout.shard("problems", split)
            self.manifest.reopen("problems", [split])
            write_shard(path, problems, Problem)
            self._finish("problems", split, path, problems=len(problems), **inputs.facts)

    def _publish(self, split: str, problems: list[Problem], solutions: list[Solution]) -> None:
        """Writes published solutions as sampled ones would lie: so many problems a shard, in the problems' order."""
        size = self.recipe.solutions.unit
        of: dict[str, list[Solution]] = {problem.id: [] for problem in problems}
        for solution in solutions:
            of[solution.problem_id].append(solution)
        for number, start in enumerate(range(0, len(problems), size)):
            members = [one for problem in problems[start : start + size] for one in of[problem.id]]
            unit = f"{split}-{number:04d}"
            path = self.layout.shard("solutions", unit)
            # Where the problems were lost, what is published may be others by now.
            if self.manifest.finished("solutions", unit) and (
                self.manifest.finished("problems", split) or read_shard(path, Solution) == members
            ):
                continue
            if not path.exists():
                self.manifest.reopen("solutions", [unit])
            write_shard(path, members, Solution)
            facts = {"solutions": len(members), "draws": len(members), "right": sum(one.correct for one in members)}
            self._finish("solutions", unit, path, **facts)

    def solutions(self) -> None:
        """Solutions of every split, drawn by the generator."""
        if self.recipe.solutions.path is None:
            wanted = units.solution_units(self.recipe, self._sizes())
            self._work("solutions", self._own(wanted, self.recipe.solutions.unit), tasks.sample_solutions)
        self._check("solutions")

    def rollouts(self) -> None:
        """Completions of every prefix of the reward split, where a label needs them."""
        wanted = units.rollout_units(self.recipe, self._sizes())
        if wanted:
            wanted = self._own(wanted, self.recipe.rollouts.unit)
            self._work("rollouts", wanted, tasks.sample_rollouts, self.recipe.rollouts.completions)
            self._check("rollouts")

    def labels(self) -> None:
        """Labels of each kind, computed from the counts and the grades, or from another run's reward model's scores."""
        if judged := units.judged_units(self.recipe, self._sizes()):
            self._work(units.TEACHER_SCORES, judged, tasks.judge)
        for kind in units.label_units(self.recipe):
            if not self.manifest.finished("labels", kind):
                told = LabelCounter(kind)
                path = self.layout.shard("labels", kind)
                write_batches(path, told.of(labels_by_batch(self.recipe, self.layout, kind)), StepLabels)
                self._finish("labels", kind, path, **told.facts())
        self._say_doubts("labels")

    def rewards(self) -> None:
        """A reward model for each kind and seed, trained or another run's."""
        if self.recipe.rewards.of is not None:
            link_reward_models(self.manifest, self.recipe)
        else:
            self._remove_models()
            self._work("rewards", units.model_units(self.recipe), tasks.train)

    def scores(self) -> None:
        """Every reward model's scores of the validation and test candidates."""
        self._work("scores", units.model_units(self.recipe), tasks.score)

    def evaluation(self) -> None:
        """Best-of-N, voting, margins, slices and label quality; done again where an older Stepward did it."""
        if not is_evaluated(self.manifest, self._warn):
            start = time.monotonic()
            total = sum(len(kept(self.manifest, split)) for split in ("validation", "test"))
            with StageProgress(self.console, "evaluation", total, what="problems") as progress:
                evaluate_run(self.recipe, self.layout, progress.advance)
            path = self.layout.shard("evaluation", "summary")
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
        self.manifest.content.get("taken", {}).get(stage, {}).pop(unit, None)
        stale = self.manifest.finish(stage, unit, path, **facts)
        if stale:
            other = {("labels", kind) for kind in stale.get("labels", set()).difference(self.recipe.labels.kinds)}
            other |= {("judgements", name) for name in stale.get("judgements", ())}
            own = {later: [one for one in names if (later, one) not in other] for later, names in stale.items()}
            said = ", ".join(f"{len(names):,} {later}" for later, names in own.items() if names) or "nothing"
            self._warn(f"{stage} {unit}: not what it was before; what was made from it is made again: {said}")
            if other:
                names = ", ".join(f"{later} {name}" for later, name in sorted(other))
                self._warn(f"gone with it, to be made again by their own commands: {names}")

    def _own(self, units: list[str], size: int) -> list[str]:
        """The units of this run's part, each of so many problems: in every stage those of the same problems."""
        if self.part is None:
            return units
        share, of = self.part
        block = lcm(self.recipe.solutions.unit, self.recipe.rollouts.unit)
        return [unit for unit in units if batch_number(unit) * size // block % of == share - 1]

    def _sizes(self) -> dict[str, int]:
        """How many problems each split has."""
        return {split: self.manifest.units("problems")[split]["problems"] for split in SPLITS}

    def _work(self, stage: str, units: list[str], task: Callable[..., Facts], most: int | None = None) -> None:
        missing = [unit for unit in units if not self.manifest.finished(stage, unit)]
        self.manifest.reopen(stage, missing)
        drawing = SamplingStats(most)
        done = len(units) - len(missing)
        with StageProgress(self.console, stage, len(units), done, more=drawing.sentence) as progress:
            for unit, facts in self.workers.run(task, missing, self.folder, self.recipe):
                drawing.add(facts)
                self._finish(stage, unit, facts.pop("path"), **facts)
                progress.advance()
                if "set_aside" in facts:
                    check_failures(self.manifest, self.recipe, stage, self._sizes())

    def _check(self, stage: str) -> None:
        """Whether what was drawn can mean anything, now that all of it is there; also of a run that goes on."""
        check_failures(self.manifest, self.recipe, stage, self._sizes())
        write_list(self.manifest)
        check_drawn(self.manifest, self.recipe, stage, self.training, whole=self.part is None)
        self._say_doubts(stage)

    def _say_doubts(self, stage: str) -> None:
        for doubt in doubts(self.manifest, self.recipe, (stage,)):
            self._warn(str(doubt))

    def _warn(self, what: str) -> None:
        self.console.print(f"[yellow]warning:[/] {escape(what)}", highlight=False, soft_wrap=True)


STAGES: dict[str, Callable[[Run], None]] = {name: getattr(Run, name) for name in NAMES}
"""In their order, by name."""


def run_recipe(
    recipe: Recipe | str,
    folder: Path | str | None = None,
    console: Console | None = None,
    ways: RunOptions | None = None,
    *,
    pool: Pool | None = None,
    shelf: ShardCache | None = None,
) -> tuple[Manifest, float]:
    """Runs a recipe in a folder, going on from what is done there.

    Args:
        recipe: What to run: a recipe, the name of one that comes with Stepward, or the path of a YAML file.
        folder: The run's folder, made if it isn't there; `runs/<name>` if not given.
        console: Where progress is shown; standard output if not given.
        ways: By how many workers, and how far.
        pool: Workers that several runs share; its own, as `ways` says, if not given.
        shelf: Finished units of other runs, which are taken where this run's would be equal.

    Returns:
        The run's manifest, and the seconds worked this time: 0 if everything was done before.

    Raises:
        StepwardError: Anything the user can mend; what is finished is kept.
    """
    recipe = load_recipe(recipe) if isinstance(recipe, str) else recipe
    folder = Path("runs") / recipe.name if folder is None else Path(folder)
    console, ways = console or Console(), ways or RunOptions()
    if recipe.solutions.path is not None and "oracle" in recipe.labels.kinds:
        raise StepwardError(
            "labels.kinds: oracle can't label published solutions; use orm, hard, soft or er",
            code="conflict",
            field="labels.kinds",
        )
    load_grader(recipe.grader)  # better refused now than by a worker
    with lock_dir(folder):
        manifest = extend_run(folder, recipe) if ways.grow else start_run(folder, recipe)
        with ways.pool(folder) if pool is None else nullcontext(pool) as crew:
            run = Run(recipe, folder, manifest, crew, console, ways.part, "rewards" in ways.stages())
            run.remove_leftovers()
            for stage in ways.stages():
                STAGES[stage](run)
                if stage == "problems" and shelf is not None:
                    reuse_finished(manifest, recipe, shelf, ways.stages())
    return manifest, run.worked
