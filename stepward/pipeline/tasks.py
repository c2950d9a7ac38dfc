"""What a worker does for one unit of each stage: read what it needs from the run's folder, write one shard or model.

A unit's work depends on the recipe and the unit's name alone, so a unit that was cut short is simply done again.
"""

import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from stepward.errors import StepwardError
from stepward.generation.protocol import Sampling
from stepward.grading.graders import load_grader
from stepward.labelling.rollouts import draw_rollouts
from stepward.pipeline.layout import Layout
from stepward.pipeline.workers import Facts
from stepward.recipes.schema import Recipe
from stepward.records import Scores, Solution, StepRollouts
from stepward.solutions.sampling import draw_solutions
from stepward.store import write_shard


def solve(unit: str, folder: Path, recipe: Recipe) -> Facts:
    """Draws and grades the solutions of one batch of problems."""
    from stepward.generation.local import LocalGenerator

    start = time.monotonic()
    layout = Layout(folder)
    split, problems = layout.batch(unit, recipe.solutions.unit)
    generator = _engine(LocalGenerator, "generator.model", layout.model(recipe.generator.model))
    count = getattr(recipe.solutions, split)
    sampling = Sampling(recipe.generator.temperature, recipe.generator.top_p, recipe.generator.max_new_tokens)
    drawn = draw_solutions(
        problems, generator, right_by(recipe.grader), count=count, sampling=sampling, seed=recipe.seed
    )
    path = layout.shard("solutions", unit)
    write_shard(path, drawn, Solution)
    return {
        "path": path,
        "problems": len(problems),
        "draws": count * len(problems),
        "solutions": len(drawn),
        "right": sum(solution.copies for solution in drawn if solution.correct),
        "cut": sum(solution.copies for solution in drawn if not solution.finished),
        "seconds": round(time.monotonic() - start, 3),
    }


def roll_out(unit: str, folder: Path, recipe: Recipe) -> Facts:
    """Completes every distinct prefix of one batch of problems."""
    from stepward.generation.local import LocalGenerator

    start = time.monotonic()
    layout = Layout(folder)
    split, problems = layout.batch(unit, recipe.rollouts.unit)
    wanted = {problem.id for problem in problems}
    solutions = [solution for solution in layout.solutions(split) if solution.problem_id in wanted]
    own = recipe.rollouts.completer == "generator"
    model = recipe.generator.model if own else recipe.rollouts.completer
    completer = _engine(LocalGenerator, "generator.model" if own else "rollouts.completer", layout.model(model))
    sampling = Sampling(recipe.rollouts.temperature, recipe.rollouts.top_p, recipe.generator.max_new_tokens)
    counted = draw_rollouts(
        problems, solutions, completer, right_by(recipe.grader),
        completions=recipe.rollouts.completions, sampling=sampling, seed=recipe.seed,
    )  # fmt: skip
    path = layout.shard("rollouts", unit)
    write_shard(path, counted, StepRollouts)
    sampled = [prefix for prefix in counted if not prefix.complete]
    return {
        "path": path,
        "prefixes": len(counted),
        "sampled": len(sampled),
        "completions": sum(prefix.drawn for prefix in sampled),
        "right": sum(prefix.right for prefix in sampled),
        "seconds": round(time.monotonic() - start, 3),
    }


def train(unit: str, folder: Path, recipe: Recipe) -> Facts:
    """Trains one reward model: one kind, one seed."""
    from stepward.rewards.record_training import train_reward_model
    from stepward.rewards.settings import TrainingSettings

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
        "loss": report.losses[-1],
        "seconds": round(report.seconds, 3),
    }


def score(unit: str, folder: Path, recipe: Recipe) -> Facts:
    """Scores the validation and test candidates with one reward model."""
    from stepward.rewards.scorer import load_scorer

    start = time.monotonic()
    layout = Layout(folder)
    scorer = load_scorer(layout.reward_model(unit), device=None)
    scored: list[Scores] = []
    for split in ("validation", "test"):
        scored += scorer.score_solutions(layout.problems(split), layout.solutions(split), unit)
    path = layout.shard("scores", unit.replace("/", "-"))
    write_shard(path, scored, Scores)
    return {"path": path, "solutions": len(scored), "seconds": round(time.monotonic() - start, 3)}


def parse_model(unit: str) -> tuple[str, int]:
    """Kind and seed of a reward model's name, `<kind>/seed-<seed>`."""
    kind, _, seed = unit.partition("/seed-")
    return kind, int(seed)


def right_by(name: str) -> Callable[[str, str | None], bool]:
    """Whether an answer equals its reference (reference first), as the named grader says."""
    grader = load_grader(name)
    return lambda reference, answer: grader(reference, answer).equal


@lru_cache(maxsize=2)
def _engine(kind: Callable[..., Any], field: str, folder: Path) -> Any:
    """One loaded model a worker and folder: loading takes longer than a small unit. Errors name the recipe's field."""
    try:
        return kind(folder)
    except StepwardError as error:
        raise StepwardError(f"{field}: {error}") from error
