"""What a worker does for one unit of each stage: read what it needs from the run's folder, write one shard or model.

A unit's work depends on the recipe and the unit's name alone, so a unit that was cut short is simply done again.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from stepward.generation.interface import Generator, Sampling, Usage
from stepward.grading.graders import load_grader
from stepward.labeling.rollouts.binary_search import make_search
from stepward.labeling.rollouts.omegaprm import TreeSettings, TreeState, grow_trees, tree_rollouts
from stepward.labeling.rollouts.prefixes import prefixes_of
from stepward.labeling.rollouts.sampling import draw_rollouts, records_of
from stepward.labeling.rollouts.stopping import make_stopping
from stepward.pipeline.engines import (
    NamedEngine,
    build_sampling,
    completer_field,
    completers,
    derive_seed,
    make_engine,
    try_prefixes,
)
from stepward.pipeline.reuse.other_run import source_run
from stepward.pipeline.sampling_stats import ObservedGenerator
from stepward.pipeline.shards import TEACHER_SCORES
from stepward.pipeline.stages.inputs import needs_rollouts
from stepward.pipeline.stages.set_aside import facts_of, without_rollouts
from stepward.pipeline.workers.local import Facts
from stepward.recipes.run import Recipe
from stepward.records import Problem, Scores, Solution, StepRollouts
from stepward.solutions import EMPTY, draw_solutions
from stepward.storage.parquet import read_shard, write_shard
from stepward.storage.run_dir import BY, TREES, Layout, parted_model


def sample_solutions(unit: str, folder: Path, recipe: Recipe) -> Facts:
    """Draws and grades the solutions of one batch of problems."""
    start = time.monotonic()
    layout = Layout(folder)
    split, problems = layout.batch(unit, recipe.solutions.unit)
    generator = make_engine(recipe.generator, "generator")
    before = generator.meter.copy()
    if needs_rollouts(recipe):
        try_prefixes(recipe, [problem.question for problem in problems])
    count = getattr(recipe.solutions, split)
    found = draw_solutions(
        problems, generator, is_correct_fn(recipe.grader),
        count=count, sampling=build_sampling(recipe.generator), seed=recipe.seed,
    )  # fmt: skip
    drawn = found.solutions
    by_problem = Counter(solution.problem_id for solution in drawn)
    path = layout.shard("solutions", unit)
    write_shard(path, drawn, Solution)
    return {
        "path": path,
        "problems": len(problems),
        "draws": count * len(by_problem),
        "solutions": len(drawn),
        "right": sum(solution.copies for solution in drawn if solution.correct),
        "cut": sum(solution.copies for solution in drawn if not solution.finished),
        "empty": sum(solution.copies for solution in drawn if solution.finished and solution.steps == (EMPTY,)),
        "repeated": len(by_problem) if count > 1 else 0,
        "alike": sum(distinct == 1 for distinct in by_problem.values()) if count > 1 else 0,
        **facts_of(problems, found.failed, unit, recipe.solutions.unit),
        "work": _metered(generator.meter.since(before)),
        "seconds": round(time.monotonic() - start, 3),
    }


def sample_rollouts(unit: str, folder: Path, recipe: Recipe) -> Facts:
    """Completes the prefixes of one batch of problems with one completer, going on from what its shard holds."""
    start = time.monotonic()
    layout, asked = Layout(folder), recipe.rollouts
    name = unit.partition(BY)[2]
    _, problems = layout.batch(unit, asked.unit)
    wanted = {problem.id for problem in problems}
    shards = layout.of_batch("solutions", unit, asked.unit, recipe.solutions.unit)
    solutions = [one for shard in shards for one in read_shard(shard, Solution) if one.problem_id in wanted]
    section = completers(recipe)[name]
    completer = ObservedGenerator(make_engine(section, completer_field(recipe, name)))
    before = completer.meter.copy()
    draw = _grow_trees if asked.search == "tree" else _draw_rollouts
    named = NamedEngine(completer, name) if name else completer
    counted = draw(
        unit, layout, recipe, problems, solutions, named, build_sampling(section), derive_seed(recipe.seed, name)
    )
    path = layout.shard("rollouts", unit)
    write_shard(path, counted, StepRollouts)
    sampled = [prefix for prefix in counted if not prefix.complete]
    failed = without_rollouts(problems, counted)
    return {
        "path": path,
        "problems": len(problems),
        "prefixes": len(counted),
        "sampled": len(sampled),
        "asked": len(prefixes_of(solutions).unresolved()),
        "passed": sum(len(solution.steps) - 1 for solution in solutions),
        "completions": sum(prefix.drawn for prefix in sampled),
        "right": sum(prefix.right for prefix in sampled),
        "empty": sum(prefix.empty for prefix in sampled),
        "failed": sum(prefix.failed for prefix in sampled),
        "tokens": sum(prefix.tokens for prefix in sampled),
        **facts_of(problems, failed, unit, asked.unit),
        "work": {**_metered(completer.meter.since(before)), "seen": completer.seen()},
        "seconds": round(time.monotonic() - start, 3),
    }


def _draw_rollouts(
    unit: str, layout: Layout, recipe: Recipe, problems: list[Problem], solutions: list[Solution],
    completer: Generator, sampling: Sampling, seed: int,
) -> list[StepRollouts]:  # fmt: skip
    asked, path = recipe.rollouts, layout.shard("rollouts", unit)
    return draw_rollouts(
        problems, solutions, completer, is_correct_fn(recipe.grader),
        stopping=make_stopping(asked.stop, asked.completions, asked.error, asked.level),
        search=make_search(asked.search),
        sampling=sampling, seed=seed, before=read_shard(path, StepRollouts) if path.exists() else (),
    )  # fmt: skip


def _grow_trees(
    unit: str, layout: Layout, recipe: Recipe, problems: list[Problem], solutions: list[Solution],
    completer: Generator, sampling: Sampling, seed: int,
) -> list[StepRollouts]:  # fmt: skip
    """OmegaPRM's trees, kept whole beside the counts of their states."""
    path = layout.shard(TREES, unit)
    states = grow_trees(
        problems, solutions, completer, is_correct_fn(recipe.grader),
        settings=TreeSettings(recipe.rollouts.completions, recipe.rollouts.budget), sampling=sampling, seed=seed,
        before=read_shard(path, TreeState) if path.exists() else (),
    )  # fmt: skip
    write_shard(path, states, TreeState)
    return [*records_of(prefixes_of(solutions), {}, completer.name), *tree_rollouts(states)]


def _metered(meter: Usage) -> Facts:
    """What an engine did for a unit this time: less than its records hold, where the unit went on from some."""
    return {name: value for name, value in asdict(meter).items() if value and name != "completions"}


def train(unit: str, folder: Path, recipe: Recipe) -> Facts:
    """Trains one reward model: one kind, one seed."""
    from stepward.reward_models.training.from_records import train_reward_model
    from stepward.reward_models.training.settings import TrainingSettings

    kind, seed = parse_model(unit)
    layout = Layout(folder)
    settings = TrainingSettings(
        kind=kind,
        epochs=recipe.rewards.epochs,
        learning_rate=recipe.rewards.learning_rate,
        batch=recipe.rewards.batch,
        max_length=recipe.rewards.max_length,
    )
    base = recipe.generator.model if recipe.rewards.base == "generator" else recipe.rewards.base
    report = train_reward_model(
        layout.model(base), layout.problems("reward"), layout.solutions("reward"), layout.labels(kind),
        layout.reward_model(unit), settings, seed,
    )  # fmt: skip
    return {
        "path": layout.reward_model(unit),
        "solutions": report.solutions,
        "too_long": report.too_long,
        "tokens": report.tokens * report.epochs,
        "parameters": parameters_of(layout.reward_model(unit)),
        "loss": report.losses[-1],
        "seconds": round(report.seconds, 3),
    }


def judge(unit: str, folder: Path, recipe: Recipe) -> Facts:
    """Scores one batch of the solutions to be labelled with another run's reward model."""
    from stepward.reward_models.scorer import load_scorer

    start = time.monotonic()
    layout = Layout(folder)
    named = str(recipe.labels.by)
    of, model = parted_model(named)
    _, problems = layout.batch(unit, recipe.solutions.unit)
    scorer = load_scorer(Layout(layout.other(of)).finished("rewards", model))
    scored = scorer.score_solutions(problems, read_shard(layout.finished("solutions", unit), Solution), named)
    path = layout.shard(TEACHER_SCORES, unit)
    write_shard(path, scored, Scores)
    return {"path": path, "solutions": len(scored), "seconds": round(time.monotonic() - start, 3)}


def score(unit: str, folder: Path, recipe: Recipe) -> Facts:
    """Scores the validation and test candidates with one reward model."""
    from stepward.reward_models.scorer import load_scorer

    start = time.monotonic()
    layout = Layout(folder)
    scorer = load_scorer(layout.finished("rewards", unit), device=None)
    scored: list[Scores] = []
    lender = source_run(folder, recipe)
    for split in ("validation", "test"):
        if split == "validation" and lender != folder:
            # Its scores are there, and what was chosen by them shall be chosen again to the last digit.
            known = {solution.id for solution in layout.solutions(split)}
            theirs = read_shard(Layout(lender).finished("scores", unit), Scores)
            scored += [one for one in theirs if one.solution_id in known]
            continue
        scored += scorer.score_solutions(layout.problems(split), layout.solutions(split), unit)
    path = layout.shard("scores", unit)
    write_shard(path, scored, Scores)
    return {"path": path, "solutions": len(scored), "seconds": round(time.monotonic() - start, 3)}


def parameters_of(folder: Path) -> int:
    """How many numbers a saved model has."""
    count = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        count += sum(math.prod(one["shape"]) for name, one in header.items() if name != "__metadata__")
    return count


def parse_model(unit: str) -> tuple[str, int]:
    """Kind and seed of a reward model's name, `<kind>/seed-<seed>`."""
    kind, _, seed = unit.partition("/seed-")
    return kind, int(seed)


def is_correct_fn(name: str) -> Callable[[str, str | None], bool]:
    """Whether an answer equals its reference (reference first), as the named grader says."""
    grader = load_grader(name)
    return lambda reference, answer: grader(reference, answer).equal
