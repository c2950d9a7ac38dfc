"""Labels of a run's solutions, batch by batch, so that a run of any size is labelled in the memory of one batch."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stepward.errors import StepwardError
from stepward.labelling.filters import (
    RIGHT_ABOVE,
    Filtered,
    certain,
    drawn_enough,
    thresholded,
    until_first_error,
)
from stepward.labelling.labels import Missing, oracle_labels, outcome_labels, rollout_labels
from stepward.labelling.model_labels import model_labels
from stepward.labelling.pooling import pool
from stepward.manifest import Manifest
from stepward.pipeline.judges import right_from
from stepward.pipeline.layout import Layout
from stepward.pipeline.measure import oracle_of
from stepward.pipeline.units import JUDGED
from stepward.recipes.schema import BY_MODEL, Recipe
from stepward.records import Scores, Solution, StepLabels, StepRollouts
from stepward.store import read_shard

Labelled = tuple[list[Solution], list[StepLabels]]


def labels_by_batch(recipe: Recipe, layout: Layout, kind: str, eta: float | None = None) -> Iterator[Labelled]:
    """The reward split's solutions and their labels, a pair of lists for each shard.

    Args:
        recipe: The run's.
        layout: Where it lies.
        kind: One of `labels.kinds`.
        eta: For `er`; the recipe's if not given.

    Raises:
        StepwardError: A prefix has no counts that should have some.
    """
    for unit, path in _shards(layout):
        solutions = read_shard(path, Solution)
        if kind == "orm":
            yield solutions, outcome_labels(solutions)
        elif kind in BY_MODEL:
            scores = {one.solution_id: one.scores for one in read_shard(layout.shard(JUDGED, unit), Scores)}
            threshold, after = right_from(layout, recipe), recipe.labels.after_first_error
            yield solutions, model_labels(solutions, scores, kind, threshold, after)
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


@dataclass
class Filters:
    """Which of a run's rollout labels are taken away, batch by batch; none as it stands.

    Attributes:
        drawn: Those of fewer completions than this.
        width: Those whose share of right completions is known to no narrower an interval than this.
        level: The interval's level.
        above: A step is right if its label is above this; the labels become hard where it is given.
        wrong_up_to: A step is wrong if its label is at most this, and between the two it has no label.
        first_error: Whether what follows the first wrong step is taken away.
        dropped: How many labels were taken away so far, by reason.
    """

    drawn: int | None = None
    width: float | None = None
    level: float = 0.95
    above: float | None = None
    wrong_up_to: float | None = None
    first_error: bool = False
    dropped: Counter[str] = field(default_factory=Counter)

    def of(self, recipe: Recipe, layout: Layout, batches: Iterable[Labelled]) -> Iterator[Labelled]:
        """The batches with what is left of their labels.

        Raises:
            StepwardError: A threshold, a width or a level that can't be.
        """
        for (unit, _), (solutions, labels) in zip(_shards(layout), batches, strict=True):
            counts = counts_of(recipe, layout, unit) if self.drawn is not None or self.width is not None else {}
            if self.drawn is not None:
                labels = self._left(drawn_enough(solutions, labels, counts, self.drawn))
            if self.width is not None:
                labels = self._left(certain(solutions, labels, counts, self.width, self.level))
            if self.above is not None:
                labels = self._left(thresholded(labels, self.above, self.wrong_up_to))
            if self.first_error:
                labels = self._left(until_first_error(labels, RIGHT_ABOVE if self.above is not None else 0.0))
            yield solutions, labels

    def _left(self, found: Filtered) -> list[StepLabels]:
        self.dropped.update(found.dropped)
        return found.labels


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

    def check(self, kind: str) -> None:
        """Refuses labels by a reward model that are all one: no other can learn from them.

        Raises:
            StepwardError: They are.
        """
        if kind in BY_MODEL and self.sum in (0, self.counts["steps"]):
            value = "1: every step is right" if self.sum else "0: nothing is right"
            raise StepwardError(
                f"labels {kind}: all {self.counts['steps']:,} are {value} by labels.right_from; give another number, "
                "or labels.right_from=chosen"
            )

    def facts(self) -> dict[str, float | int]:
        """Solutions, labelled steps and their mean, and the steps that have no label."""
        steps = self.counts["steps"]
        mean = {"mean": self.sum / steps} if steps else {}
        return {"solutions": self.counts["solutions"], "steps": steps, **mean, "without": self.counts["without"]}
