"""What a run starts from: its models' folders, and problems: of the arithmetic world, of a file, or with solutions."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepward.answer_extraction import reference_fault
from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.evaluate import selection_n
from stepward.pipeline.engines import GENERATOR, completers
from stepward.problems.arithmetic import dataset as arithmetic
from stepward.problems.files import read_problems
from stepward.problems.splits import assign_splits
from stepward.recipes.run import Recipe
from stepward.records import Problem, Solution
from stepward.solutions import read_published_solutions
from stepward.storage.run_dir import ARITHMETIC, SPLITS, Layout

ROLLOUT_KINDS = ("hard", "soft", "er")

_NEEDED = {
    "config.json": ("config.json",),
    "weights in safetensors": ("*.safetensors",),
    "tokenizer (tokenizer.json or the like)": ("tokenizer.json", "tokenizer.model", "vocab.*", "spiece.model"),
}
"""What a model's folder has to hold, and the names it goes by."""


@dataclass(frozen=True)
class Inputs:
    """Problems by split, published solutions by split where there are any, and what to note of them."""

    problems: dict[str, list[Problem]]
    solutions: dict[str, list[Solution]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def read_inputs(recipe: Recipe) -> Inputs:
    """Reads or makes the problems of every split; of a run with another's reward models, those that are tested.

    Such a run's problems are cut as if the others were wanted too, so that two runs of one file cut it in one way.

    Raises:
        StepwardError: A file is missing or broken, or has too few problems; names the file and the row.
    """
    inputs = _read_inputs(recipe)
    if recipe.rewards.of is None:
        return inputs
    solutions = {"reward": [], "test": inputs.solutions["test"]} if inputs.solutions else {}
    return Inputs({"reward": [], "test": inputs.problems["test"]}, solutions, inputs.facts)


def _read_inputs(recipe: Recipe) -> Inputs:
    sizes = {split: getattr(recipe.problems, split) for split in SPLITS}
    if recipe.solutions.path is not None:
        return _published(recipe, recipe.solutions.path, sizes)
    draws = {split: getattr(recipe.solutions, split) for split in SPLITS}
    _check_candidates(recipe, draws, "the recipe")
    if recipe.problems.path == ARITHMETIC:
        world = recipe.problems
        return Inputs(
            {
                split: arithmetic.problems(split, size, recipe.seed, world.levels, world.tricky)
                for split, size in sizes.items()
            }
        )
    # Other graders take references that are no mathematics; only an empty one can't be graded against.
    fault = reference_fault if recipe.grader == "math" else lambda reference: None
    problems = read_problems(
        Path(recipe.problems.path), question=recipe.problems.question, reference=recipe.problems.reference, fault=fault
    )
    return Inputs(assign_splits(problems, sizes, recipe.seed, recipe.problems.path))


def needs_rollouts(recipe: Recipe) -> bool:
    """Whether any of the recipe's labels is computed from rollouts."""
    return recipe.rewards.of is None and bool(set(recipe.labels.kinds) & set(ROLLOUT_KINDS))


def check_models(recipe: Recipe, training: bool = True) -> None:
    """Looks into the folder of every model the recipe needs, so that none is missed after an hour's work.

    Args:
        recipe: What will be run.
        training: Whether reward models will be trained, and so need a model to start from.

    Raises:
        StepwardError: A folder is missing, or lacks what every model has; names the recipe's field.
    """
    used = {"generator.model": recipe.generator} if recipe.solutions.path is None else {}
    if needs_rollouts(recipe):
        first, *others = completers(recipe).items()
        own = recipe.rollouts.completer == GENERATOR
        used |= {"generator.model" if own else "rollouts.completer": first[1]}
        used |= {f"rollouts.also.{name}.model": section for name, section in others}
    names = {field_name: section.model for field_name, section in used.items() if section.engine != "server"}
    if training and recipe.rewards.of is None:
        names |= _base(recipe)
    for field_name, name in names.items():
        folder = Layout.model(name)
        if not folder.is_dir():
            raise StepwardError(
                f"{field_name}: {folder}: no such folder; expected a local model's, or embedded",
                code="file_not_found",
                file=folder,
                field=field_name,
            )
        for what, patterns in _NEEDED.items():
            if not any(path for pattern in patterns for path in folder.glob(pattern)):
                raise StepwardError(
                    f"{field_name}: {folder}: no {what} in it; save the whole model there",
                    code="missing",
                    file=folder,
                    field=field_name,
                )


def _base(recipe: Recipe) -> dict[str, str]:
    """The model that reward models start from, by the field that names it."""
    if recipe.rewards.base != GENERATOR:
        return {"rewards.base": recipe.rewards.base}
    if recipe.generator.engine == "server":
        raise StepwardError(
            "rewards.base: generator is a server's model here; expected a local model's folder",
            code="conflict",
            field="rewards.base",
        )
    return {"generator.model": recipe.generator.model}


def _published(recipe: Recipe, path: str, sizes: dict[str, int]) -> Inputs:
    published = read_published_solutions(Path(path), grader=recipe.grader)
    problems = assign_splits(published.problems, sizes, recipe.seed, path)
    split_of = {problem.id: split for split, members in problems.items() for problem in members}
    solutions: dict[str, list[Solution]] = {split: [] for split in SPLITS}
    for solution in published.solutions:
        if solution.problem_id in split_of:
            solutions[split_of[solution.problem_id]].append(solution)
    counts = {split: Counter(solution.problem_id for solution in members) for split, members in solutions.items()}
    _check_candidates(recipe, {split: min(count.values(), default=0) for split, count in counts.items()}, path)
    facts = {"published": len(published.solutions), "grades_that_differ_from_the_published": len(published.mismatches)}
    return Inputs(problems, solutions, facts)


def _check_candidates(recipe: Recipe, fewest: dict[str, int], source: str) -> None:
    """Best-of-N needs N candidates of every problem; better said before training than after it."""
    ns = recipe.evaluation.ns
    for split, needed in (("validation", selection_n(ns)), ("test", max(ns))):
        if split == "validation" and recipe.rewards.of is not None:
            continue  # they are another run's
        if fewest[split] < needed:
            raise StepwardError(
                f"evaluation.ns: needs {needed} solutions of every {split} problem, but {source} gives "
                f"{fewest[split]}; lower the largest N or raise solutions.{split}",
                code="too_few",
                field="evaluation.ns",
            )
