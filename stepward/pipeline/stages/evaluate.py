"""What a run's scores and labels come to: best-of-N, voting, and labels beside the oracle's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n import io as evaluation_folder
from stepward.evaluation.best_of_n.candidates import RewardModel
from stepward.evaluation.best_of_n.evaluate import evaluate
from stepward.evaluation.calibration import reliability
from stepward.evaluation.error_detection.first_error import FirstErrorMetrics, choose_threshold, first_below, locate
from stepward.evaluation.labels.agreement import LabelQuality, label_quality
from stepward.evaluation.stats.step_intervals import auc_by_problem, f1_by_problem, interval, mean_by_problem
from stepward.labeling.filters import NO_ERROR
from stepward.labeling.labels import Oracle
from stepward.labeling.rollouts.pooling import pool
from stepward.pipeline.stages.set_aside import kept
from stepward.problems.arithmetic.checker import first_error
from stepward.recipes.run import Recipe
from stepward.records import Problem, Scores, Solution
from stepward.storage.manifest import Manifest
from stepward.storage.parquet import write_json
from stepward.storage.run_dir import ARITHMETIC, Layout

KIND_F1 = ("kind_f1_low", "kind_f1_high")
NONE = (None, None)


def step_quality(
    solutions: Mapping[str, Sequence[Solution]], scores: Mapping[str, Sequence[Scores]], oracle: Oracle, seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Measures every reward model's step scores on distinct solutions.

    Args:
        solutions: The distinct solutions, under `validation` and `test`.
        scores: Every model's scores of them, likewise.
        oracle: Says the index of a solution's first wrong step, or None.
        seed: Decides the intervals' resamples.

    Returns:
        Rows of `calibration.json`: a kind with its reliability curve, all its seeds' scores of test steps together, and
        the means over its seeds of each one's own calibration error, Brier score and AUC (None if a seed's is), the
        last two with their 95% intervals over problems and seeds.
        Rows of `first-errors.json`: a model with its threshold and what it finds, and `kind_f1_low` and `kind_f1_high`,
        the interval over problems and seeds of the mean F1 of its kind's models. A threshold can't be chosen where
        all validation solutions are right, or none is: it is None then, and what hangs on it.
    """
    first = {
        part: {one.id: _index(oracle(one.problem_id, one.steps)) for one in members}
        for part, members in solutions.items()
    }
    models = sorted({score.model for score in scores["test"]}, key=RewardModel.parse)
    given = {
        part: {model: {one.solution_id: one.scores for one in rows if one.model == model} for model in models}
        for part, rows in scores.items()
    }
    kinds = dict.fromkeys(RewardModel.parse(model).kind for model in models)
    numbers = {id_: number for number, id_ in enumerate(dict.fromkeys(one.problem_id for one in solutions["test"]))}
    problem = {one.id: numbers[one.problem_id] for one in solutions["test"]}
    curves = [
        _curve(kind, [given["test"][m] for m in models if _kind(m) == kind], first["test"], problem) for kind in kinds
    ]
    if len({error == NO_ERROR for error in first["validation"].values()}) < 2:
        return curves, [_undefined(model, first["test"]) for model in models]
    found = [_found(model, {part: given[part][model] for part in given}, first, seed) for model in models]
    for kind in kinds:
        rows = [row for row in found if row["method"] == kind]
        ends = _f1_ends([row["threshold"] for row in rows], [given["test"][m] for m in models if _kind(m) == kind],
                        first["test"], problem)  # fmt: skip
        for row in rows:
            row |= dict(zip(KIND_F1, ends, strict=True))
    return curves, found


def _index(error: int | None) -> int:
    return NO_ERROR if error is None else error


def _kind(model: str) -> str:
    return RewardModel.parse(model).kind


def _f1_ends(
    thresholds: Sequence[float],
    of_seeds: Sequence[Mapping[str, Sequence[float]]],
    first: Mapping[str, int],
    problem: Mapping[str, int],
) -> tuple[float, float] | tuple[None, None]:
    """The interval of the mean first-error F1 of a kind's models, whose thresholds are held fixed."""
    ids = sorted(first)
    truth, owners = np.array([first[id_] for id_ in ids]), np.array([problem[id_] for id_ in ids])
    erring = truth != NO_ERROR
    if erring.all() or not erring.any():
        return None, None
    hits = [
        first_below([given[id_] for id_ in ids], at) == truth for at, given in zip(thresholds, of_seeds, strict=True)
    ]
    return interval([f1_by_problem(one, erring, owners, int(owners.max()) + 1) for one in hits])


def _curve(
    kind: str, of_seeds: Sequence[Mapping[str, Sequence[float]]], first: Mapping[str, int], problem: Mapping[str, int]
) -> dict[str, Any]:
    values: list[list[float]] = []
    targets: list[list[float]] = []
    owners = [np.array([problem[solution] for solution, steps in given.items() for _ in steps]) for given in of_seeds]
    for given in of_seeds:
        values.append([score for steps in given.values() for score in steps])
        targets.append(
            [
                float(first[solution] == NO_ERROR or at < first[solution])
                for solution, steps in given.items()
                for at in range(len(steps))
            ]
        )
    # Scores of several models are those of none: the curve shows where they all lie, the figures are each model's own.
    curve = reliability(np.concatenate(values), np.concatenate(targets))
    own = [reliability(*pair) for pair in zip(values, targets, strict=True)]
    areas = [one.auc for one in own if one.auc is not None]
    steps = [(np.array(score), np.array(right), at) for score, right, at in zip(values, targets, owners, strict=True)]
    size = len(set(problem.values()))
    brier = interval([mean_by_problem((score - right) ** 2, at, size) for score, right, at in steps])
    known = len(areas) == len(own)
    area = interval([auc_by_problem(score, right > 0, at, size) for score, right, at in steps]) if known else NONE
    return {
        "method": kind, "seeds": len(of_seeds), "bins": asdict(curve)["bins"],
        "ece": float(np.mean([one.ece for one in own])),
        "brier": float(np.mean([one.brier for one in own])), "brier_low": brier[0], "brier_high": brier[1],
        "auc": float(np.mean(areas)) if known else None, "auc_low": area[0], "auc_high": area[1],
    }  # fmt: skip


def _found(
    model: str,
    given: Mapping[str, Mapping[str, Sequence[float]]],
    first: Mapping[str, Mapping[str, int]],
    seed: int,
) -> dict[str, Any]:
    ids = {part: sorted(members) for part, members in first.items()}
    truth = {part: np.array([first[part][id_] for id_ in ids[part]], dtype=np.int64) for part in ids}
    scored = {part: [given[part][id_] for id_ in ids[part]] for part in ids}
    threshold, on_validation = choose_threshold(scored["validation"], truth["validation"].tolist())
    located = asdict(locate("test", first_below(scored["test"], threshold), truth["test"], seed))
    named = RewardModel.parse(model)
    return {
        "method": named.kind, "seed": named.seed, "threshold": threshold, "validation_f1": on_validation, **located,
    }  # fmt: skip


def _undefined(model: str, first: Mapping[str, int]) -> dict[str, Any]:
    """The row of a model without a threshold: how many solutions there are, and None for the rest."""
    named = RewardModel.parse(model)
    erring = sum(error != NO_ERROR for error in first.values())
    counts = {"part": "test", "rows": len(first), "rows_with_error": erring, "rows_without_error": len(first) - erring}
    located = dict.fromkeys([*(field.name for field in fields(FirstErrorMetrics)), *KIND_F1]) | counts
    return {"method": named.kind, "seed": named.seed, "threshold": None, "validation_f1": None, **located}


def has_oracle(recipe: Recipe) -> bool:
    """Whether the run's steps can be checked exactly: only solutions sampled in the arithmetic world can."""
    return recipe.problems.path == ARITHMETIC and recipe.solutions.path is None


def oracle_of(problems: Sequence[Problem]) -> Oracle:
    """The arithmetic world's checker, by the problem's id: the index of the first wrong step, or None."""
    questions = {problem.id: problem.question for problem in problems}

    def oracle(problem_id: str, steps: tuple[str, ...]) -> int | None:
        try:
            error = first_error(questions[problem_id], steps)
        except (KeyError, ValueError) as wrong:
            raise StepwardError(
                f"problem {problem_id}: no problem of the arithmetic world, though its run's recipe says so ({wrong})",
                code="mismatch",
                field="problems.path",
            ) from wrong
        return None if error is None else min(error.step, len(steps) - 1)

    return oracle


def evaluate_run(recipe: Recipe, layout: Layout, progress: Callable[[], None] = lambda: None) -> None:
    """Measures the run and writes its evaluation folder; `progress` is called after each problem."""
    candidates = {split: layout.solutions(split) for split in ("validation", "test")}
    split_of = {solution.id: split for split, solutions in candidates.items() for solution in solutions}
    scores: dict[str, list[Scores]] = {split: [] for split in candidates}
    for score in layout.scores():
        if score.solution_id not in split_of:
            raise StepwardError(
                f"scores of solution {score.solution_id} by {score.model}: neither a validation nor a test solution",
                code="mismatch",
                field="solution_id",
            )
        scores[split_of[score.solution_id]].append(score)
    manifest = Manifest.read(layout.folder)
    evaluation = evaluate(
        kept(manifest, "test"), candidates["test"], scores["test"],
        validation=(kept(manifest, "validation"), candidates["validation"], scores["validation"]),
        ns=recipe.evaluation.ns, seed=recipe.seed, subsets=recipe.evaluation.subsets, grader=recipe.grader,
        progress=progress,
    )  # fmt: skip
    folder = layout.folder / "evaluation"
    evaluation_folder.write(evaluation, _label_quality(recipe, layout), folder)
    if has_oracle(recipe):
        oracle = oracle_of([*layout.problems("validation"), *layout.problems("test")])
        curves, found = step_quality(candidates, scores, oracle, recipe.seed)
        write_json(folder / "calibration.json", curves)
        write_json(folder / "first-errors.json", found)


def is_evaluated(manifest: Manifest, tell: Callable[[str], None]) -> bool:
    """Whether a run's figures are there, whole and as they were written, and the shards that are shown beside them too.

    Args:
        manifest: The run's.
        tell: Told where the figures are not what was written.

    Raises:
        StepwardError: Such a shard is damaged, or another.
    """
    folder = manifest.folder / "evaluation"
    if not (manifest.finished("evaluation", "summary") and _is_whole(folder)):
        return False
    for stage in ("problems", "solutions", "scores"):
        manifest.paths(stage)
    try:
        manifest.where("evaluation", "summary")
    except StepwardError as error:
        tell(f"{error.file}: not what was written there; the run is evaluated again")
        return False
    return True


def _is_whole(evaluation: Path) -> bool:
    """Whether an evaluation has all that is read of it: an older Stepward wrote fewer files, and fewer fields."""
    try:
        evaluation_folder.read(evaluation)
    except StepwardError:
        return False
    return (evaluation / "accuracies.parquet").is_file()


def _label_quality(recipe: Recipe, layout: Layout) -> LabelQuality | None:
    """The rollouts' labels beside the oracle's, where both exist."""
    # How labels get better with K is told by counts of a fixed number of completions; others stopped by what they saw.
    rollouts = [one for one in pool(layout.rollouts()) if one.complete or (one.drawn and one.rule.startswith("all("))]
    if not has_oracle(recipe) or all(one.complete for one in rollouts):
        return None
    oracle = oracle_of(layout.problems("reward"))
    return label_quality(rollouts, {prefix.id: oracle(prefix.problem_id, prefix.steps) is None for prefix in rollouts})
