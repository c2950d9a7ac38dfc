"""Labels of a run's solutions, batch by batch, so that a run of any size is labelled in the memory of one batch."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from stepward.labelling.labels import Missing, oracle_labels, outcome_labels, rollout_labels
from stepward.labelling.pooling import pool
from stepward.manifest import Manifest
from stepward.pipeline.layout import Layout
from stepward.pipeline.measure import oracle_of
from stepward.recipes.schema import Recipe
from stepward.records import Solution, StepLabels, StepRollouts
from stepward.store import read_shard

Labelled = tuple[list[Solution], list[StepLabels]]


def labels_by_batch(recipe: Recipe, layout: Layout, kind: str, eta: float | None = None) -> Iterator[Labelled]:
    """The reward split's solutions and their labels, a pair of lists for each shard.

    Args:
        recipe: The run's.
        layout: Where it lies.
        kind: `orm`, `hard`, `soft`, `er` or `oracle`.
        eta: For `er`; the recipe's if not given.

    Raises:
        StepwardError: A prefix has no counts that should have some.
    """
    for unit, path in _shards(layout):
        solutions = read_shard(path, Solution)
        if kind == "orm":
            yield solutions, outcome_labels(solutions)
        elif kind == "oracle":
            _, problems = layout.batch(unit, recipe.solutions.unit)
            yield solutions, oracle_labels(solutions, oracle_of(problems))
        else:
            # A search leaves out what it can infer.
            missing: Missing = "refuse" if recipe.rollouts.search == "every" else "infer"
            counts = counts_of(recipe, layout, unit)
            yield solutions, rollout_labels(
                solutions, counts, kind, recipe.labels.eta if eta is None else eta,
                missing=missing, after_first_error=recipe.labels.after_first_error,
            )  # fmt: skip


def counts_of(recipe: Recipe, layout: Layout, unit: str) -> dict[str, StepRollouts]:
    """The counts of the prefixes of one batch of solutions, by prefix, all completers' together."""
    shards = layout.of_batch("rollouts", unit, recipe.solutions.unit, recipe.rollouts.unit)
    return {one.id: one for one in pool(record for path in shards for record in read_shard(path, StepRollouts))}


def _shards(layout: Layout) -> list[tuple[str, Path]]:
    """The reward split's shards of solutions by their units."""
    units = Manifest.read(layout.folder).units("solutions")
    return [(unit, layout.folder / units[unit]["path"]) for unit in sorted(units) if unit.startswith("reward-")]


class Told:
    """Counts labels on their way to the disc."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.sum = 0.0

    def of(self, batches: Iterable[Labelled]) -> Iterator[list[StepLabels]]:
        """The batches' labels."""
        for _, batch in batches:
            for one in batch:
                values = [value for value in one.labels if value is not None]
                self.sum += sum(values)
                self.counts.update(solutions=1, steps=len(values), without=len(one.labels) - len(values))
            yield batch

    def facts(self) -> dict[str, float | int]:
        """Solutions, labelled steps and their mean, and the steps that have no label."""
        steps = self.counts["steps"]
        mean = {"mean": self.sum / steps} if steps else {}
        return {"solutions": self.counts["solutions"], "steps": steps, **mean, "without": self.counts["without"]}
