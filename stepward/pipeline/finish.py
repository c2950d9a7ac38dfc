"""The end of a run: what its scores come to, and the page that says so."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stepward.evaluation import folder as evaluation_folder
from stepward.evaluation.aggregation import aggregate
from stepward.evaluation.label_quality import LabelQuality, label_quality
from stepward.evaluation.summary import Choice, Evaluation, evaluate
from stepward.manifest import Manifest
from stepward.pipeline.layout import SPLITS, Layout
from stepward.problems.checker import first_error
from stepward.recipes.schema import Recipe
from stepward.records import Problem, Scores, Solution

if TYPE_CHECKING:
    from stepward.report.page import Example, ExampleSolution

ARITHMETIC = "arithmetic"
_EXAMPLE_PROBLEMS = 5


def oracle_of(problems: Sequence[Problem]) -> Callable[[str, tuple[str, ...]], int | None]:
    """The arithmetic world's checker, by the problem's id: the index of the first wrong step, or None."""
    questions = {problem.id: problem.question for problem in problems}

    def oracle(problem_id: str, steps: tuple[str, ...]) -> int | None:
        error = first_error(questions[problem_id], steps)
        return None if error is None else min(error.step, len(steps) - 1)

    return oracle


def evaluate_run(recipe: Recipe, layout: Layout) -> None:
    """Measures the run and writes its evaluation folder."""
    scores: dict[str, list[Scores]] = {}
    candidates = {split: layout.solutions(split) for split in ("validation", "test")}
    split_of = {solution.id: split for split, solutions in candidates.items() for solution in solutions}
    for score in layout.scores():
        scores.setdefault(split_of[score.solution_id], []).append(score)
    ns = recipe.evaluation.ns
    evaluation = evaluate(
        layout.problems("test"), candidates["test"], scores["test"],
        validation=(layout.problems("validation"), candidates["validation"], scores["validation"]),
        ns=ns, seed=recipe.seed, subsets=recipe.evaluation.subsets,
    )  # fmt: skip
    evaluation_folder.write(evaluation, _label_quality(recipe, layout), layout.folder / "evaluation")


def _label_quality(recipe: Recipe, layout: Layout) -> LabelQuality | None:
    """The rollouts' labels beside the oracle's, where both exist."""
    rollouts = layout.rollouts()
    if recipe.problems.path != ARITHMETIC or recipe.solutions.path is not None or not rollouts:
        return None
    oracle = oracle_of(layout.problems("reward"))
    return label_quality(rollouts, {prefix.id: oracle(prefix.problem_id, prefix.steps) is None for prefix in rollouts})


def report_run(recipe: Recipe, layout: Layout) -> None:
    """Draws the run's page."""
    from stepward.report.page import ReportInput, write_report

    evaluation, labels = evaluation_folder.read(layout.folder / "evaluation")
    report = ReportInput(recipe.name, evaluation, labels, _facts(recipe, layout), _examples(recipe, layout, evaluation))
    write_report(report, layout.folder / "report.html")


def _facts(recipe: Recipe, layout: Layout) -> dict[str, str]:
    manifest = Manifest.read(layout.folder)

    def total(stage: str, fact: str) -> float:
        return sum(unit.get(fact, 0) for unit in manifest.units(stage).values())

    counts = ", ".join(f"{manifest.units('problems')[split]['problems']:,} {split}" for split in SPLITS)
    facts = {
        "Problems": counts,
        "Solutions drawn": f"{total('solutions', 'draws'):,.0f}, {total('solutions', 'solutions'):,.0f} of them distinct",
        "Solutions cut at the token limit": f"{total('solutions', 'cut'):,.0f}",
    }
    if manifest.units("rollouts"):
        facts["Completions"] = (
            f"{total('rollouts', 'completions'):,.0f} from {total('rollouts', 'sampled'):,.0f} distinct prefixes"
        )
    facts["Solutions too long to train on"] = f"{total('rewards', 'too_long'):,.0f}"
    facts["Labels"] = ", ".join(recipe.labels.kinds) + (
        f" (eta {recipe.labels.eta:g})" if "er" in recipe.labels.kinds else ""
    )
    facts["Seeds"] = ", ".join(map(str, recipe.rewards.seeds))
    facts["Generator"] = recipe.generator.model
    for stage in ("solutions", "rollouts", "rewards", "scores"):
        if manifest.units(stage):
            facts[f"Worker time, {stage}"] = f"{total(stage, 'seconds'):,.0f} s"
    facts["Versions"] = ", ".join(f"{name} {version}" for name, version in manifest.content["versions"].items())
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
    right = [one for one in found if one[1].correct][:_EXAMPLE_PROBLEMS - 2]
    wrong = [one for one in found if not one[1].correct][: _EXAMPLE_PROBLEMS - len(right)]
    oracle = oracle_of(layout.problems("test")) if recipe.problems.path == ARITHMETIC and not recipe.solutions.path else None
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
    oracle: Callable[[str, tuple[str, ...]], int | None] | None,
) -> "ExampleSolution":
    from stepward.report.page import ExampleSolution

    wrong = oracle(solution.problem_id, solution.steps) if oracle else None
    return ExampleSolution(solution, {method: scores[solution.id]}, wrong)
