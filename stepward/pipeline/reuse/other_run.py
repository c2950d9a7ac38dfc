"""A run that uses another run's reward models (`rewards.of`): other problems or another generator, nothing trained.

It has the other run's validation problems with their solutions and scores, so that the voting and aggregation that it
uses are those that were chosen there, and nothing of its own chooses again.
"""

from collections.abc import Sequence
from pathlib import Path

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.evaluate import selection_n
from stepward.pipeline import shards as units
from stepward.pipeline.reuse.fingerprints import link_shards
from stepward.recipes.loading import load_run_recipe
from stepward.recipes.run import Recipe
from stepward.records import Problem
from stepward.storage.manifest import Manifest
from stepward.storage.run_dir import Layout


def source_run(folder: Path, recipe: Recipe) -> Path:
    """The folder of the run that trained the reward models a run uses: its own, or another's.

    Raises:
        StepwardError: There is no such run, or it comes back to itself.
    """
    seen = [folder]
    while recipe.rewards.of is not None:
        folder = Layout(folder).other(recipe.rewards.of)
        if any(folder.resolve() == one.resolve() for one in seen):
            raise StepwardError(
                f"rewards.of: {folder} borrows from itself; expected a run that trains its own",
                code="conflict",
                file=folder,
                field="rewards.of",
            )
        seen.append(folder)
        recipe = load_run_recipe(folder)
    return folder


def link_validation(manifest: Manifest, recipe: Recipe, test: Sequence[Problem]) -> None:
    """Takes the lender's validation problems and their solutions.

    Args:
        manifest: Of the run that borrows.
        recipe: Likewise.
        test: Its test problems.

    Raises:
        StepwardError: The lender is no run, has not finished what is needed, chose in another way, or trained on a
            question that is tested.
    """
    lender = _lender(manifest.folder, recipe)
    _check_choice(lender.folder, recipe, load_run_recipe(lender.folder))
    _check_questions(lender.folder, test)
    found = {"problems": ["validation"]}
    found["solutions"] = sorted(unit for unit in lender.units("solutions") if unit.startswith("validation-"))
    for stage, names in found.items():
        missing = {unit: (lender, unit) for unit in names if not manifest.finished(stage, unit)}
        link_shards(manifest, stage, missing)


def link_reward_models(manifest: Manifest, recipe: Recipe) -> None:
    """Takes the lender's reward models.

    Raises:
        StepwardError: The lender lacks one.
    """
    lender = _lender(manifest.folder, recipe)
    wanted = units.model_units(recipe)
    link_shards(manifest, "rewards", {one: (lender, one) for one in wanted if not manifest.finished("rewards", one)})


def _lender(folder: Path, recipe: Recipe) -> Manifest:
    """The lender's manifest; everything that is needed of it is there."""
    lender = Manifest.read(source_run(folder, recipe))
    wanted = units.model_units(recipe)
    for stage, names in (("problems", ["validation"]), ("rewards", wanted), ("scores", wanted)):
        missing = [unit for unit in names if not lender.finished(stage, unit)]
        if missing:
            known = ", ".join(sorted(lender.units(stage))) or "none"
            raise StepwardError(
                f"rewards.of: {lender.folder} has no {stage} of {', '.join(missing)}; expected a finished run with "
                f"these labels.kinds and rewards.seeds; it has {known}",
                code="unfinished",
                file=lender.folder,
                field="rewards.of",
            )
    return lender


def _check_choice(lender: Path, recipe: Recipe, theirs: Recipe) -> None:
    """What is chosen on validation must be chosen as it was."""
    for field, mine, other in (
        ("seed", recipe.seed, theirs.seed),
        ("grader", recipe.grader, theirs.grader),
        ("rewards.seeds", recipe.rewards.seeds, theirs.rewards.seeds),
        ("evaluation.subsets", recipe.evaluation.subsets, theirs.evaluation.subsets),
        ("evaluation.ns", _choosing(recipe), _choosing(theirs)),
    ):
        if mine != other:
            raise StepwardError(
                f"rewards.of: {lender} chose its aggregations with {field} {other}, and this recipe has {mine}; "
                "expected the same, so that they are used as they were chosen",
                code="mismatch",
                file=lender,
                field=field,
            )


def _choosing(recipe: Recipe) -> str:
    return f"{selection_n(recipe.evaluation.ns)} (the N of choice)"


def _check_questions(lender: Path, test: Sequence[Problem]) -> None:
    trained = {one.question for one in Layout(lender).problems("reward")}
    for problem in test:
        if problem.question in trained:
            raise StepwardError(
                f"rewards.of: test problem {problem.id} is among those whose solutions trained {lender}'s reward "
                "models; test on others",
                code="conflict",
                file=lender,
                field="rewards.of",
            )
