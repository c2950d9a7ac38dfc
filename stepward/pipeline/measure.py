"""What a run's scores and labels come to: best-of-N, voting, and labels beside the oracle's."""

from collections.abc import Callable, Sequence
from pathlib import Path

from stepward.errors import StepwardError
from stepward.evaluation import folder as evaluation_folder
from stepward.evaluation.label_quality import LabelQuality, label_quality
from stepward.evaluation.summary import evaluate
from stepward.labelling.labels import Oracle
from stepward.labelling.pooling import pool
from stepward.manifest import Manifest
from stepward.pipeline.layout import ARITHMETIC, Layout
from stepward.pipeline.set_aside import kept
from stepward.pipeline.step_quality import step_quality
from stepward.problems.checker import first_error
from stepward.recipes.schema import Recipe
from stepward.records import Problem, Scores
from stepward.store import write_json


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
