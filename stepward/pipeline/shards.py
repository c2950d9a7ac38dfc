"""The names of a run's units of work, by stage: what a recipe and the numbers of its problems ask for."""

from collections.abc import Mapping

from stepward.pipeline.engines import completers
from stepward.pipeline.stages.inputs import needs_rollouts
from stepward.recipes.run import BY_MODEL, Recipe
from stepward.storage.run_dir import BY, SPLITS

TEACHER_SCORES = "judged"
"""Where the scores lie that another run's reward model gives the solutions it labels, a shard a shard of solutions."""


def batches(split: str, problems: int, size: int) -> list[str]:
    """The batches of a split's problems, so many a batch."""
    return [f"{split}-{number:04d}" for number in range(-(-problems // size))]


def overlapping(unit: str, size: int, each: int, problems: int) -> list[str]:
    """The batches of `each` problems that hold those of a unit of `size`, of so many problems in all."""
    split, number = unit.partition(BY)[0].rsplit("-", 1)
    first, end = int(number) * size, min((int(number) + 1) * size, problems)
    return [f"{split}-{at:04d}" for at in range(first // each, -(-end // each))]


def solution_units(recipe: Recipe, problems: Mapping[str, int]) -> list[str]:
    """Batches of solutions to be drawn, by split; of a run with another's reward models, those that are tested."""
    splits = SPLITS if recipe.rewards.of is None else ("test",)
    return [unit for split in splits for unit in batches(split, problems[split], recipe.solutions.unit)]


def rollout_units(recipe: Recipe, problems: Mapping[str, int]) -> list[str]:
    """Batches of rollouts, one completer after the other: a worker holds one model at a time."""
    if not needs_rollouts(recipe):
        return []
    units = batches("reward", problems["reward"], recipe.rollouts.unit)
    return [f"{unit}{BY}{name}" if name else unit for name in completers(recipe) for unit in units]


def judged_units(recipe: Recipe, problems: Mapping[str, int]) -> list[str]:
    """Batches of solutions that another run's reward model judges."""
    return batches("reward", problems["reward"], recipe.solutions.unit) if asks_model(recipe) else []


def asks_model(recipe: Recipe) -> bool:
    """Whether another run's reward model labels this run's solutions."""
    return recipe.rewards.of is None and bool(set(BY_MODEL) & set(recipe.labels.kinds))


def label_units(recipe: Recipe) -> list[str]:
    """The kinds of labels that are made."""
    return [] if recipe.rewards.of is not None else list(recipe.labels.kinds)


def model_units(recipe: Recipe) -> list[str]:
    """The reward models, a kind and seed each."""
    return [f"{kind}/seed-{seed}" for seed in recipe.rewards.seeds for kind in recipe.labels.kinds]
