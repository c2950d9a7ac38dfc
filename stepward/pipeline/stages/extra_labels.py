"""Labels of a finished run's solutions from other sources than its rollouts, and all of them beside the oracle.

What is made here lies in the run's folder and its manifest, so that `RUN#judge` is a source of labels like `RUN#hard`.
"""

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepward.errors import StepwardError
from stepward.evaluation.labels.cost import LabelCost, RolloutBudget, label_costs
from stepward.evaluation.labels.noise import LabelNoise, label_noise
from stepward.generation.interface import Generator, Sampling
from stepward.labeling.filters import KIND as CONSENSUS
from stepward.labeling.filters import Filtered, consensus
from stepward.labeling.judge import KIND as JUDGE
from stepward.labeling.judge import PROMPT, Judgement, judge_labels, judge_solutions
from stepward.labeling.labels import oracle_labels
from stepward.labeling.rollouts.omegaprm import TreeState, tree_rows
from stepward.labeling.rollouts.pooling import pool
from stepward.pipeline.stages.evaluate import has_oracle, oracle_of
from stepward.pipeline.stages.labels import check_labels
from stepward.recipes.loading import load_run_recipe
from stepward.recipes.run import Recipe
from stepward.records import Solution, StepLabels, StepRollouts
from stepward.storage.files import lock_dir
from stepward.storage.manifest import Manifest
from stepward.storage.parquet import json_hash, read_shard, write_shard
from stepward.storage.run_dir import BY, TREES, Layout

JUDGEMENTS = "judgements"
NOT_BY_STEP = ("orm", "prm_outcome", "oracle", "soft", "er")
"""Kinds of labels that name no first error of their own: of whole solutions, the truth itself, and shares."""


@dataclass(frozen=True, slots=True)
class LabelTypeNoise:
    """How one kind of a run's labels errs beside the oracle's.

    Attributes:
        run: Which run.
        kind: `hard`, `judge`, `rules`, `nli`, `consensus` or another that the run has.
        tokens: Tokens that the judge wrote; None for other kinds.
        noise: The four cases.
    """

    run: str
    kind: str
    tokens: int | None
    noise: LabelNoise


def write_labels(folder: Path, kind: str, made: Filtered, **facts: Any) -> Path:
    """Writes labels of a kind into a run, in the place of those of that kind that it has.

    Raises:
        StepwardError: There are none, all are one, or another process works in the run.
    """
    with lock_dir(folder):
        return _write_labels(folder, kind, made, **facts)


def _write_labels(folder: Path, kind: str, made: Filtered, **facts: Any) -> Path:
    """The same where the run is held."""
    if not made.labels:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in made.dropped.items())
        raise StepwardError(
            f"{folder}: no {kind} labels come of it ({reasons or 'the run has no solutions'})",
            code="empty",
            file=folder,
            field=kind,
        )
    path = Layout(folder).shard("labels", kind)
    values = [value for one in made.labels for value in one.labels if value is not None]
    check_labels(kind, len(values), min(values, default=0.0), max(values, default=0.0))
    write_shard(path, made.labels, StepLabels)
    stale = Manifest.read(folder).finish(
        "labels", kind, path, solutions=len(made.labels), steps=len(values), mean=sum(values) / len(values), **facts
    )
    if stale:
        said = ", ".join(f"{stage} {name}" for stage, names in stale.items() for name in sorted(names))
        warnings.warn(f"{folder}: {kind} labels are others now; gone with the old ones: {said}", stacklevel=3)
    return path


def judge_run(
    folder: Path,
    judge: Generator,
    *,
    sampling: Sampling,
    seed: int = 0,
    votes: int = 1,
    unit: int = 200,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Judgement], Filtered]:
    """Asks a judge about every solution of a run's reward split, and writes its judgements and labels.

    A shard of judgements is written for every `unit` solutions; asked again, what is judged is not judged again. The
    shards of another judge, or of the same one asked otherwise, lie beside them.

    Args:
        folder: The run's folder.
        judge: An engine that puts the question as it stands.
        sampling: How replies are drawn.
        seed: Decides the draws.
        votes: Replies a solution.
        unit: Solutions a shard.
        progress: Told how many solutions are judged, of how many.

    Returns:
        The judgements, and the labels with how many solutions have none, and why.

    Raises:
        StepwardError: The run has no solutions, or the judge can't be asked.
    """
    solutions, layout = run_solutions(folder), Layout(folder)
    with lock_dir(folder):
        problems, manifest = layout.problems("reward"), Manifest.read(folder)
        settings = json_hash([judge.name, PROMPT, list(sampling.stop), sampling.temperature, sampling.top_p,
                           sampling.max_new_tokens, seed, votes, unit])  # fmt: skip
        judgements: list[Judgement] = []
        for start in range(0, len(solutions), unit):
            name = f"{settings}/reward-{start // unit:04d}"
            path = layout.shard(JUDGEMENTS, name)
            if not manifest.finished(JUDGEMENTS, name):
                batch = solutions[start : start + unit]
                made = judge_solutions(problems, batch, judge, sampling=sampling, seed=seed, votes=votes)
                write_shard(path, made, Judgement)
                manifest.finish(
                    JUDGEMENTS, name, path, judge=judge.name, votes=votes, solutions=len(made),
                    tokens=sum(one.tokens for one in made), unparsed=sum(one.unparsed for one in made),
                    failed=sum(one.failed for one in made),
                )  # fmt: skip
            judgements += read_shard(manifest.where(JUDGEMENTS, name), Judgement)
            progress(min(start + unit, len(solutions)), len(solutions))
        labels = judge_labels(solutions, judgements)
        _write_labels(folder, JUDGE, labels, tokens=sum(one.tokens for one in judgements), judge=judge.name)
    return judgements, labels


def consensus_run(folder: Path, one: str, other: str, above: float) -> Filtered:
    """Writes the labels of the solutions on whose first error two kinds of a run's labels agree.

    Args:
        folder: The run's folder.
        one: The first kind, such as `hard`.
        other: The second, such as `judge`.
        above: A step is right, for both, if its label is above this.

    Raises:
        StepwardError: The run lacks one of them, or they agree nowhere.
    """
    with lock_dir(folder):
        manifest = Manifest.read(folder)
        kept = consensus(_labels(manifest, one), _labels(manifest, other), one_above=above, other_above=above)
        _write_labels(folder, CONSENSUS, kept, of=[one, other])
    return kept


def _labels(manifest: Manifest, kind: str) -> list[StepLabels]:
    if not manifest.finished("labels", kind):
        known = ", ".join(sorted(manifest.units("labels"))) or "none"
        raise StepwardError(
            f"{manifest.folder}: no labels of kind {kind!r}; it has {known}",
            code="unfinished",
            file=manifest.folder,
            field=kind,
        )
    return read_shard(manifest.where("labels", kind), StepLabels)


def compare_labels(folder: Path) -> tuple[list[LabelCost], list[LabelTypeNoise]]:
    """Cost and quality of a run's rollouts, one completer and way after the other, and how its kinds of labels err.

    Args:
        folder: The run's folder; its problems are of the arithmetic world.

    Raises:
        StepwardError: It is no run, there is no oracle for it, or it has neither rollouts nor labels.
    """
    manifest = Manifest.read(folder)
    recipe = load_run_recipe(folder)
    if not has_oracle(recipe):
        raise StepwardError(
            f"{folder}: no oracle for its problems; only a run of the arithmetic world can be compared",
            code="unsupported",
            file=folder,
        )
    layout = Layout(folder)
    oracle = oracle_of(layout.problems("reward"))
    solutions = layout.solutions("reward")
    costs = []
    for way, rollouts in _ways(manifest, recipe):
        known = {one.problem_id for one in rollouts}
        drawn_for = [solution for solution in solutions if solution.problem_id in known]
        costs += label_costs(way, drawn_for, rollouts, oracle)
    noise = _noise(manifest, oracle_labels(solutions, oracle))
    if not costs and not noise:
        raise StepwardError(
            f"{folder}: neither rollouts nor labels of single steps in it; run its recipe further",
            code="unfinished",
            file=folder,
        )
    return costs, noise


def _ways(manifest: Manifest, recipe: Recipe) -> list[tuple[RolloutBudget, list[StepRollouts]]]:
    """The run's rollouts by completer, and those of all completers pooled where there are several."""
    name = manifest.folder.resolve().name
    units: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for unit, facts in sorted(manifest.units("rollouts").items()):
        units[unit.partition(BY)[2]][unit] = facts
    found = []
    for completer, each in units.items():
        rollouts = [one for unit in each for one in read_shard(manifest.where("rollouts", unit), StepRollouts)]
        prefilled = sum(facts.get("work", {}).get("prefilled", 0) for facts in each.values()) or None
        shown = completer or next((one.completer for one in rollouts), "")
        found.append((RolloutBudget(name, shown, recipe.rollouts.search, prefilled), rollouts))
    if len(found) > 1:
        together = pool(one for _, rollouts in found for one in rollouts)
        found.append((RolloutBudget(name, "pooled", recipe.rollouts.search), together))
    return found


def _noise(manifest: Manifest, truth: Sequence[StepLabels]) -> list[LabelTypeNoise]:
    found = []
    for kind, facts in sorted(manifest.units("labels").items()):
        if kind not in NOT_BY_STEP and manifest.finished("labels", kind):
            noise = label_noise(_labels(manifest, kind), truth)
            found.append(LabelTypeNoise(manifest.folder.resolve().name, kind, facts.get("tokens"), noise))
    return found


def run_trees(folder: Path) -> Iterator[dict[str, Any]]:
    """The trees that a run's search grew, a row a problem and completer in OmegaPRM's published form.

    Raises:
        StepwardError: It is no run, or grew none.
    """
    manifest, layout = Manifest.read(folder), Layout(folder)
    recipe = load_run_recipe(folder)
    units = sorted(manifest.units("rollouts")) if recipe.rollouts.search == "tree" else []
    if not units:
        raise StepwardError(
            f"{folder}: no trees in it; run its recipe with rollouts.search=tree",
            code="unfinished",
            file=folder,
            field="rollouts.search",
        )
    for unit in units:
        _, problems = layout.batch(unit, recipe.rollouts.unit)
        shards = layout.of_batch("solutions", unit, recipe.rollouts.unit, recipe.solutions.unit)
        known = {problem.id for problem in problems}
        solutions = [one for shard in shards for one in read_shard(shard, Solution) if one.problem_id in known]
        yield from tree_rows(problems, solutions, read_shard(layout.shard(TREES, unit), TreeState))


def run_solutions(folder: Path) -> list[Solution]:
    """The solutions of a run's reward split.

    Raises:
        StepwardError: It is no run, or has none.
    """
    Manifest.read(folder)
    solutions = Layout(folder).solutions("reward")
    if not solutions:
        raise StepwardError(f"{folder}: no solutions in it; run its recipe first", code="unfinished", file=folder)
    return solutions
