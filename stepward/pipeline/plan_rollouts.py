"""What solutions and rollouts of a recipe will take, from a measured sample of its own problems.

The sample is drawn for real, by the recipe's engine, search and stopping rule, in a folder that is thrown away. Counts
are per problem, so their spread over problems gives an interval for the whole; a total is the mean times the problems.
"""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stepward.errors import StepwardError
from stepward.pipeline.engines import completers, make_engine
from stepward.pipeline.stages import tasks
from stepward.pipeline.stages.inputs import check_models, needs_rollouts, read_inputs
from stepward.pipeline.workers.local import Facts
from stepward.recipes.run import Recipe
from stepward.records import Problem, Solution
from stepward.storage.manifest import Manifest
from stepward.storage.parquet import write_shard
from stepward.storage.run_dir import BY, Layout

_NORMAL = 1.96
"""Standard errors each way of a 95% interval."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A total over all problems, with the ends of its 95% interval."""

    total: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """What a labelling run takes.

    Attributes:
        sampled: Problems that were measured.
        problems: Problems whose solutions are labelled.
        amounts: `solutions` (distinct), `prefixes` (drawn from), `completions`, `generated` (their tokens).
        computed: Positions that models decode, by completer; equal to the tokens where an engine can't tell.
        prefilled: Tokens of prefixes that models read, by completer.
        seconds: Of one worker on this machine, measured and scaled.
        bytes: Of the shards of solutions and rollouts.
        cost: Money, as the engine's prices have it; 0 without prices.
    """

    sampled: int
    problems: int
    amounts: dict[str, Amount]
    computed: dict[str, float]
    prefilled: dict[str, float]
    seconds: float
    bytes: float
    cost: float


def plan_rollouts(recipe: Recipe, sample: int = 20) -> RolloutPlan:
    """Draws a sample of the recipe's rollouts and scales it.

    Args:
        recipe: A run's recipe.
        sample: Problems to measure, at least 2.

    Raises:
        StepwardError: The recipe draws no rollouts, or its problems, models or servers can't be used.
    """
    if not needs_rollouts(recipe):
        raise StepwardError(
            "labels.kinds: none of hard, soft and er is among them, so no rollouts are drawn",
            code="conflict",
            field="labels.kinds",
        )
    check_models(recipe, training=False)
    inputs = read_inputs(recipe)
    problems = inputs.problems["reward"]
    chosen = problems[: max(2, sample)]
    with tempfile.TemporaryDirectory(prefix="stepward-plan-") as name:
        return _measured(recipe, Path(name), chosen, len(problems), inputs.solutions.get("reward"))


def _measured(
    recipe: Recipe, folder: Path, chosen: Sequence[Problem], problems: int, published: Sequence[Solution] | None
) -> RolloutPlan:
    whole = {"unit": len(chosen)}
    recipe = recipe.model_copy(
        update={
            "solutions": recipe.solutions.model_copy(update=whole),
            "rollouts": recipe.rollouts.model_copy(update=whole),
        }
    )
    layout, manifest = Layout(folder), Manifest.start(folder, recipe.fingerprint_fields())
    write_shard(layout.shard("problems", "reward"), list(chosen), Problem)
    manifest.finish("problems", "reward", layout.shard("problems", "reward"), problems=len(chosen))
    scale = problems / len(chosen)
    seconds = cost = 0.0
    if published is None:
        make_engine(recipe.generator, "generator")  # loading it is not part of the work
        facts, seconds = _timed(tasks.sample_solutions, "reward-0000", folder, recipe)
        cost = facts["work"].get("cost", 0.0)
        manifest.finish("solutions", "reward-0000", facts["path"])
    else:
        _keep(layout, manifest, published, {problem.id for problem in chosen})
    computed: dict[str, float] = {}
    prefilled: dict[str, float] = {}
    for name, section in completers(recipe).items():
        make_engine(section, "rollouts")
        unit = f"reward-0000{BY}{name}" if name else "reward-0000"
        facts, more = _timed(tasks.sample_rollouts, unit, folder, recipe)
        manifest.finish("rollouts", unit, facts["path"])
        work = facts["work"]
        seconds, cost = seconds + more, cost + work.get("cost", 0.0)
        computed[section.model] = scale * (work.get("computed") or work.get("generated", 0))
        prefilled[section.model] = scale * work.get("prefilled", 0)
    size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    amounts = _amounts(layout, chosen, problems)
    return RolloutPlan(len(chosen), problems, amounts, computed, prefilled, seconds * scale, size * scale, cost * scale)


def _keep(layout: Layout, manifest: Manifest, solutions: Sequence[Solution], wanted: set[str]) -> None:
    """Puts the sampled problems' published solutions where sampled ones would lie."""
    path = layout.shard("solutions", "reward-0000")
    write_shard(path, [one for one in solutions if one.problem_id in wanted], Solution)
    manifest.finish("solutions", "reward-0000", path)


def _timed(task: Callable[..., Facts], unit: str, folder: Path, recipe: Recipe) -> tuple[Facts, float]:
    start = time.perf_counter()
    facts = task(unit, folder, recipe)
    return facts, time.perf_counter() - start


def _amounts(layout: Layout, chosen: Sequence[Problem], problems: int) -> dict[str, Amount]:
    rows = {problem.id: np.zeros(4) for problem in chosen}
    for solution in layout.solutions("reward"):
        rows[solution.problem_id] += (1, 0, 0, 0)
    for prefix in layout.rollouts():
        if not prefix.complete:
            rows[prefix.problem_id] += (0, 1, prefix.draws, prefix.tokens)
    table = np.stack(list(rows.values()))
    mean, error = table.mean(0), table.std(0, ddof=1) / math.sqrt(len(table))
    names = ("solutions", "prefixes", "completions", "generated")
    return {
        name: Amount(*(problems * max(0.0, mean[at] + side * error[at]) for side in (0, -_NORMAL, _NORMAL)))
        for at, name in enumerate(names)
    }
