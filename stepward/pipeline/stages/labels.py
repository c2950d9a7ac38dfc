"""Labels of a run's solutions, batch by batch, so that a run of any size is labelled in the memory of one batch."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from stepward.errors import StepwardError
from stepward.labeling.filters import (
    RIGHT_ABOVE,
    Filtered,
    binarize,
    filter_by_count,
    filter_by_interval,
    truncate_after_first_error,
)
from stepward.labeling.labels import Missing, compute_labels, model_labels, oracle_labels, outcome_labels
from stepward.labeling.rollouts.pooling import pool
from stepward.pipeline import shards as units
from stepward.pipeline.shards import TEACHER_SCORES
from stepward.pipeline.stages.evaluate import oracle_of
from stepward.pipeline.stages.set_aside import unlabelled
from stepward.recipes.run import BY_MODEL, Recipe
from stepward.records import Scores, Solution, StepLabels, StepRollouts
from stepward.storage.manifest import Manifest
from stepward.storage.parquet import read_json, read_shard
from stepward.storage.run_dir import Layout, parted_model


def check_teacher(folder: Path, recipe: Recipe) -> None:
    """Makes sure that the reward model that is to label is there, before solutions are drawn for it.

    Raises:
        StepwardError: It is not; names the field.
    """
    if units.asks_model(recipe):
        run, model = parted_model(str(recipe.labels.by))
        judge = Manifest.read(Layout(folder).other(run))
        if not judge.finished("rewards", model):
            known = ", ".join(sorted(judge.units("rewards"))) or "none"
            raise StepwardError(
                f"labels.by: {judge.folder} has no reward model {model}; it has {known}",
                code="unknown_name",
                file=judge.folder,
                field="labels.by",
            )
        right_from(Layout(folder), recipe)


def right_from(layout: Layout, recipe: Recipe) -> float:
    """The score from which a step is right for the reward model that labels.

    Raises:
        StepwardError: It is to be the one that the model's own run chose, which chose none.
    """
    asked = recipe.labels.right_from
    if asked != "chosen":
        return asked
    run, model = parted_model(str(recipe.labels.by))
    path = layout.other(run) / "evaluation" / "first-errors.json"
    if path.is_file():
        Manifest.view(layout.other(run)).where("evaluation", "summary")
    rows = read_json(path) if path.is_file() else []
    for row in rows:
        if f"{row['method']}/seed-{row['seed']}" == model and row["threshold"]:
            return float(row["threshold"])
    raise StepwardError(
        f"labels.right_from: chosen, but {path} has no threshold of {model}: that run has no checker, is not evaluated "
        "yet, or has right or wrong validation solutions alone; give a number",
        code="missing",
        file=path,
        field="labels.right_from",
    )


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
    aside = unlabelled(Manifest.read(layout.folder))
    for unit, path in _shards(layout):
        solutions = read_shard(path, Solution)
        if kind == "orm":
            yield solutions, outcome_labels(solutions)
        elif kind in BY_MODEL:
            scores = {one.solution_id: one.scores for one in read_shard(layout.finished(TEACHER_SCORES, unit), Scores)}
            threshold, after = right_from(layout, recipe), recipe.labels.after_first_error
            yield solutions, model_labels(solutions, scores, kind, threshold, after)
        elif kind == "oracle":
            _, problems = layout.batch(unit, recipe.solutions.unit)
            yield solutions, oracle_labels(solutions, oracle_of(problems))
        else:
            # A search leaves out what it can infer.
            missing: Missing = "refuse" if recipe.rollouts.search == "every" else "infer"
            counts = counts_of(recipe, layout, unit)
            labels = compute_labels(
                solutions, counts, kind, recipe.labels.eta if eta is None else eta,
                missing=missing, after_first_error=recipe.labels.after_first_error,
            )  # fmt: skip
            yield solutions, [_without(one) if one.problem_id in aside else one for one in labels]


def _without(labels: StepLabels) -> StepLabels:
    return replace(labels, labels=(None,) * len(labels.labels))


def counts_of(recipe: Recipe, layout: Layout, unit: str) -> dict[str, StepRollouts]:
    """The counts of the prefixes of one batch of solutions, by prefix, all completers' together."""
    shards = layout.of_batch("rollouts", unit, recipe.solutions.unit, recipe.rollouts.unit)
    return {one.id: one for one in pool(record for path in shards for record in read_shard(path, StepRollouts))}


def _shards(layout: Layout) -> list[tuple[str, Path]]:
    """The reward split's shards of solutions by their units."""
    manifest = Manifest.view(layout.folder)
    named = sorted(unit for unit in manifest.units("solutions") if unit.startswith("reward-"))
    return [(unit, manifest.where("solutions", unit)) for unit in named]


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
                labels = self._left(filter_by_count(solutions, labels, counts, self.drawn))
            if self.width is not None:
                labels = self._left(filter_by_interval(solutions, labels, counts, self.width, self.level))
            if self.above is not None:
                labels = self._left(binarize(labels, self.above, self.wrong_up_to))
            if self.first_error:
                labels = self._left(truncate_after_first_error(labels, RIGHT_ABOVE if self.above is not None else 0.0))
            yield solutions, labels

    def _left(self, found: Filtered) -> list[StepLabels]:
        self.dropped.update(found.dropped)
        return found.labels


class LabelCounter:
    """Counts labels on their way to the disc, and refuses those from which nothing can be learned.

    Args:
        kind: Which kind they are.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.counts: Counter[str] = Counter()
        self.sum, self.low, self.high = 0.0, math.inf, -math.inf

    def of(self, batches: Iterable[Labelled]) -> Iterator[list[StepLabels]]:
        """The batches' labels.

        Raises:
            StepwardError: At their end, with the code `degenerate`: there is none, or all are one. What is being
                written from them is then not kept.
        """
        for _, batch in batches:
            for one in batch:
                values = [value for value in one.labels if value is not None]
                self.sum += sum(values)
                self.low, self.high = min((self.low, *values)), max((self.high, *values))
                self.counts.update(solutions=1, steps=len(values), without=len(one.labels) - len(values))
            yield batch
        check_labels(self.kind, self.counts["steps"], self.low, self.high)

    def facts(self) -> dict[str, float | int]:
        """Solutions, labelled steps and their mean, and the steps that have no label."""
        steps = self.counts["steps"]
        mean = {"mean": self.sum / steps} if steps else {}
        return {"solutions": self.counts["solutions"], "steps": steps, **mean, "without": self.counts["without"]}


def check_labels(kind: str, steps: int, low: float, high: float) -> None:
    """Refuses labels that are all one: a model that learns from them says the same of everything.

    Args:
        kind: Which kind they are.
        steps: How many there are.
        low: The lowest.
        high: The highest.

    Raises:
        StepwardError: With the code `degenerate`: there is none, or all are one.
    """
    if steps and low < high:
        return
    found = f"all {steps:,} are {low:g}" if steps else "no step has one"
    mend = (
        "give another labels.right_from, or labels.right_from=chosen"
        if kind in BY_MODEL
        else "look at the solutions and rollouts they come from: the problems may be too easy or too hard for the "
        "generator, or every answer is misread"
    )
    raise StepwardError(
        f"labels {kind}: {found}: nothing can be learned from them; {mend}", code="degenerate", field=f"labels.{kind}"
    )
