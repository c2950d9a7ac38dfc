"""What a run starts from: the arithmetic world's problems, a problems file, or published solutions with theirs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepward.pipeline.layout import SPLITS
from stepward.problems import arithmetic
from stepward.problems.files import read_problems
from stepward.problems.splits import cut
from stepward.recipes.schema import Recipe
from stepward.records import Problem, Solution
from stepward.solutions.published import read_published_solutions


@dataclass(frozen=True)
class Inputs:
    """Problems by split, published solutions by split where there are any, and what to note of them."""

    problems: dict[str, list[Problem]]
    solutions: dict[str, list[Solution]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def read_inputs(recipe: Recipe) -> Inputs:
    """Reads or makes the problems of every split.

    Raises:
        StepwardError: A file is missing or broken, or has too few problems; names the file and the row.
    """
    sizes = {split: getattr(recipe.problems, split) for split in SPLITS}
    if recipe.solutions.path is not None:
        return _published(recipe, recipe.solutions.path, sizes)
    if recipe.problems.path == "arithmetic":
        levels = recipe.problems.levels
        return Inputs({name: arithmetic.problems(name, size, recipe.seed, levels) for name, size in sizes.items()})
    problems = read_problems(
        Path(recipe.problems.path), question=recipe.problems.question, reference=recipe.problems.reference
    )
    return Inputs(cut(problems, sizes, recipe.seed, recipe.problems.path))


def _published(recipe: Recipe, path: str, sizes: dict[str, int]) -> Inputs:
    published = read_published_solutions(Path(path))
    problems = cut(published.problems, sizes, recipe.seed, path)
    split_of = {problem.id: split for split, members in problems.items() for problem in members}
    solutions: dict[str, list[Solution]] = {split: [] for split in SPLITS}
    for solution in published.solutions:
        if solution.problem_id in split_of:
            solutions[split_of[solution.problem_id]].append(solution)
    facts = {"published": len(published.solutions), "grades_that_differ_from_the_published": len(published.mismatches)}
    return Inputs(problems, solutions, facts)
