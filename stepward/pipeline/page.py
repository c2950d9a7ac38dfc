"""What a run's page shows: its figures, what else to know of it, and a few solutions with their scores."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from stepward.evaluation import folder as evaluation_folder
from stepward.evaluation.aggregation import aggregate
from stepward.evaluation.summary import Choice, Evaluation
from stepward.labelling.labels import Oracle
from stepward.manifest import Manifest
from stepward.pipeline.layout import SPLITS, Layout
from stepward.pipeline.measure import has_oracle, oracle_of
from stepward.recipes.schema import Recipe
from stepward.records import Solution
from stepward.store import atomic

if TYPE_CHECKING:
    from stepward.report.page import Example, ExampleSolution

_EXAMPLE_PROBLEMS = 5


def report_run(recipe: Recipe, layout: Layout) -> None:
    """Draws the run's page."""
    from stepward.report.page import ReportInput, write_report

    evaluation, labels = evaluation_folder.read(layout.folder / "evaluation")
    facts = _facts(recipe, Manifest.read(layout.folder))
    report = ReportInput(recipe.name, evaluation, labels, facts, _examples(recipe, layout, evaluation))
    write_report(report, layout.folder / "report.html")


def draw_picture(layout: Layout, path: Path) -> None:
    """Writes a run's best-of-N curves as an SVG file."""
    from stepward.report.plots import best_of_n_curves

    evaluation, _ = evaluation_folder.read(layout.folder / "evaluation")
    with atomic(path) as file:
        file.write(best_of_n_curves(evaluation, "best").encode("utf-8"))


def _facts(recipe: Recipe, manifest: Manifest) -> dict[str, str]:
    """What else to know of the run: its sizes, models, times and versions."""

    def total(stage: str, fact: str) -> float:
        return sum(float(unit.get(fact, 0)) for unit in manifest.units(stage).values())

    sizes = manifest.units("problems")
    drawn, distinct = total("solutions", "draws"), total("solutions", "solutions")
    facts = {
        "Problems": ", ".join(f"{sizes[split]['problems']:,} {split}" for split in SPLITS),
        "Solutions drawn": f"{drawn:,.0f}, {distinct:,.0f} of them distinct",
        "Solutions cut at the token limit": f"{total('solutions', 'cut'):,.0f}",
    }
    if manifest.units("rollouts"):
        completions, prefixes = total("rollouts", "completions"), total("rollouts", "sampled")
        facts["Completions"] = f"{completions:,.0f} from {prefixes:,.0f} distinct prefixes"
    too_long = max(unit["too_long"] for unit in manifest.units("rewards").values())
    eta = f" (eta {recipe.labels.eta:g})" if "er" in recipe.labels.kinds else ""
    facts |= {
        "Solutions too long to train on": f"{too_long:,}",
        "Labels": ", ".join(recipe.labels.kinds) + eta,
        "Seeds": ", ".join(map(str, recipe.rewards.seeds)),
        "Generator": recipe.solutions.path or recipe.generator.model,
    }
    for stage in ("solutions", "rollouts", "rewards", "scores"):
        if total(stage, "seconds"):
            facts[f"Worker time, {stage}"] = f"{total(stage, 'seconds'):,.0f} s"
    versions = manifest.content["versions"].items()
    facts["Versions"] = ", ".join(f"{name} {version}" for name, version in versions)
    facts["Recipe hash"] = manifest.content["recipe_hash"]
    return facts


def _examples(recipe: Recipe, layout: Layout, evaluation: Evaluation) -> list["Example"]:
    """For a few test problems, the reward model's favourite beside the majority's: where they differ first."""
    from stepward.report.page import Example

    method = next((kind for kind in ("er", "hard", "soft", "oracle", "orm") if kind in evaluation.methods), None)
    if method is None:
        return []
    choice = evaluation.choice(method, "best")
    model = f"{method}/seed-{recipe.rewards.seeds[0]}"
    scores = {score.solution_id: score.scores for score in layout.scores() if score.model == model}
    by_problem: dict[str, list[Solution]] = {}
    for solution in layout.solutions("test"):
        by_problem.setdefault(solution.problem_id, []).append(solution)
    found = []
    for problem in layout.problems("test"):
        favourite, usual = _pair(by_problem[problem.id], scores, choice)
        if favourite.id != usual.id:
            found.append((problem, favourite, usual))
    # Both kinds of disagreement are shown: where the reward model is right, and where it is not.
    found.sort(key=lambda one: (one[1].correct == one[2].correct, one[0].id))
    right = [one for one in found if one[1].correct][: _EXAMPLE_PROBLEMS - 2]
    wrong = [one for one in found if not one[1].correct][: _EXAMPLE_PROBLEMS - len(right)]
    oracle = oracle_of(layout.problems("test")) if has_oracle(recipe) else None
    return [
        Example(problem, [_shown(solution, scores, method, oracle) for solution in (favourite, usual)])
        for problem, favourite, usual in right + wrong
    ]


def _pair(solutions: list[Solution], scores: dict[str, tuple[float, ...]], choice: Choice) -> tuple[Solution, Solution]:
    """The solution the reward model likes best, and the most drawn one with the most common answer."""
    favourite = max(solutions, key=lambda one: (aggregate(choice.aggregation, scores[one.id]), one.id))
    votes: Counter[str | None] = Counter()
    for solution in solutions:
        votes[solution.answer] += solution.copies
    answer = max(votes, key=lambda one: (one is not None, votes[one], one or ""))
    usual = max((one for one in solutions if one.answer == answer), key=lambda one: (one.copies, one.id))
    return favourite, usual


def _shown(
    solution: Solution,
    scores: dict[str, tuple[float, ...]],
    method: str,
    oracle: Oracle | None,
) -> "ExampleSolution":
    from stepward.report.page import ExampleSolution

    wrong = oracle(solution.problem_id, solution.steps) if oracle else None
    return ExampleSolution(solution, {method: scores[solution.id]}, wrong)
