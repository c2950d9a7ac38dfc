"""What a run's page shows, gathered from its folder: figures, costs, and the test problems with their scores."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n import io as evaluation_folder
from stepward.evaluation.best_of_n.aggregation import aggregate
from stepward.evaluation.best_of_n.answer_groups import Equivalence, equivalence_fn, group_answers
from stepward.evaluation.compare import Difference, compare_runs, correct, why_unpaired
from stepward.evaluation.loaded_run import LoadedRun
from stepward.evaluation.score_files.io import is_scores, read
from stepward.grading.graders import GRADERS
from stepward.pipeline import step_figures
from stepward.pipeline.score_report import scores_report
from stepward.pipeline.stages.evaluate import has_oracle, oracle_of
from stepward.pipeline.stages.set_aside import kept, told
from stepward.pipeline.stages.soundness import doubts
from stepward.recipes.loading import load_run_recipe
from stepward.recipes.run import Recipe
from stepward.records import Solution
from stepward.storage.files import atomic_write, lock_dir
from stepward.storage.manifest import Manifest
from stepward.storage.run_dir import SPLITS, Layout

if TYPE_CHECKING:
    from stepward.report.data import ModelView, ProblemView, RunReport, StageCost

_STAGES = ("solutions", "rollouts", "rewards", "scores", "evaluation")


def report_run(recipe: Recipe, layout: Layout) -> None:
    """Draws the run's page, with its folder beside it."""
    from stepward.report.data import Report
    from stepward.report.run.page import write_report

    write_report(Report((_run(recipe, layout),)), layout.folder / "report.html")


def report_runs(
    folders: Sequence[Path], to: Path | None = None, data: Path | None = None, grader: str | None = None
) -> Path:
    """Draws one page of a run or several.

    Args:
        folders: The runs' folders, or folders of scores from elsewhere (`stepward evaluate scores --to`).
        to: The page; `report.html` in the first run's folder, or for several runs beside it, if not given.
        data: The folder of its plots and of what it loads on demand; beside the page if not given.
        grader: Which answers are one, is told by it; by each run's own if not given.

    Returns:
        The page.

    Raises:
        StepwardError: A folder is no run, is not evaluated yet, stands twice, or names a function as its grader.
    """
    from stepward.report.data import Report
    from stepward.report.run.page import write_report

    if len({folder.resolve() for folder in folders}) < len(folders):
        raise StepwardError(
            f"{', '.join(map(str, folders))}: a run stands twice; name each once", code="duplicate", field="RUN"
        )
    recipes = [None if is_scores(folder) else load_run_recipe(folder) for folder in folders]
    names = [
        folder.resolve().name if recipe is None else recipe.name
        for recipe, folder in zip(recipes, folders, strict=True)
    ]
    # Runs of one name are told apart by their folders.
    shown = [name if names.count(name) == 1 else str(folder) for name, folder in zip(names, folders, strict=True)]
    runs = tuple(
        scores_report(folder, name) if recipe is None else _run(_graded(recipe, folder, grader), Layout(folder), name)
        for recipe, folder, name in zip(recipes, folders, shown, strict=True)
    )
    several = len(folders) > 1
    path = to or (folders[0].parent / "report.html" if several else folders[0] / "report.html")
    differences: tuple[Difference, ...] = ()
    same = False
    if several:
        measured = [read(folder, run.name) for folder, run in zip(folders, runs, strict=True)]
        differences = _differences(measured, next((one.seed for one in recipes if one is not None), 0))
        same = not any(why_unpaired(measured[0], other) for other in measured[1:])
    with ExitStack() as held:
        for folder in _written_into(path, data):
            held.enter_context(lock_dir(folder))
        write_report(Report(runs, differences, same), path, data)
    return path


def _graded(recipe: Recipe, folder: Path, grader: str | None) -> Recipe:
    """A folder's recipe with a grader that may be called.

    Raises:
        StepwardError: The folder, which may be a stranger's, names a function, and none is given.
    """
    if grader is None and recipe.grader not in GRADERS:
        raise StepwardError(
            f"{folder}: its answers were graded by {recipe.grader!r}, and code that a folder names is not run: give "
            f"--grader MODULE:FUNCTION if you know it, or one of {', '.join(GRADERS)}",
            code="untrusted_code",
            file=folder / "manifest.json",
            field="--grader",
        )
    return recipe if grader is None else recipe.model_copy(update={"grader": grader})


def _written_into(path: Path, data: Path | None) -> set[Path]:
    """The folders of runs, or of scores, in which a page and its folder go."""
    above = {parent for one in (path, data) if one is not None for parent in one.resolve().parents}
    return {folder for folder in above if (folder / "manifest.json").is_file() or is_scores(folder)}


def draw_picture(layout: Layout, path: Path) -> None:
    """Writes a run's best-of-N curves as an SVG file.

    Raises:
        StepwardError: The file is named as another kind of picture, or the run is not evaluated yet.
    """
    from stepward.report.plots.run import best_of_n_curves

    check_picture(path)
    Manifest.read(layout.folder).where("evaluation", "summary")
    evaluation, _ = evaluation_folder.read(layout.folder / "evaluation")
    with atomic_write(path) as file:
        file.write(best_of_n_curves(evaluation, "best").encode("utf-8"))


def check_picture(path: Path) -> None:
    """Refuses a picture's name that says it is something else than SVG."""
    if path.suffix.lower() != ".svg":
        raise StepwardError(
            f"--picture {path}: the picture is SVG; give a name that ends in .svg",
            code="bad_value",
            file=path,
            field="--picture",
        )


def _run(recipe: Recipe, layout: Layout, name: str | None = None) -> "RunReport":
    from stepward.report.data import RunReport, models_of

    folder = layout.folder / "evaluation"
    manifest = Manifest.read(layout.folder)
    manifest.where("evaluation", "summary")
    evaluation, labels = evaluation_folder.read(folder)
    models = models_of(evaluation)
    return RunReport(
        name=name or recipe.name,
        evaluation=evaluation,
        labels=labels,
        facts=_facts(recipe, manifest),
        about=recipe.about,
        recipe=recipe.fingerprint_fields(),
        parameters=_parameters(manifest),
        calibration=step_figures.calibration(folder),
        calibration_intervals=step_figures.intervals(folder),
        errors=step_figures.errors(folder),
        costs=_costs(manifest),
        models=models,
        views=partial(_views, recipe, layout, models),
        oracle=has_oracle(recipe),
    )


def _total(units: Mapping[str, Mapping[str, Any]], fact: str) -> float:
    return sum(float(unit.get(fact, 0)) for unit in units.values())


def _facts(recipe: Recipe, manifest: Manifest) -> dict[str, str]:
    """What else to know of the run: its sizes, models and versions."""
    sizes, solutions = manifest.units("problems"), manifest.units("solutions")
    facts = {"Problems": ", ".join(f"{sizes[split]['problems']:,} {split}" for split in SPLITS if split in sizes)}
    facts["Solutions cut at the token limit"] = f"{_total(solutions, 'cut'):,.0f}"
    too_long = max((unit.get("too_long", 0) for unit in manifest.units("rewards").values()), default=0)
    eta = f" (eta {recipe.labels.eta:g})" if "er" in recipe.labels.kinds else ""
    facts |= {
        "Solutions too long to train on": f"{too_long:,}",
        "Labels": ", ".join(recipe.labels.kinds) + eta,
        "Seeds": ", ".join(map(str, recipe.rewards.seeds)),
        "Generator": recipe.solutions.path or recipe.generator.model,
    }
    if aside := told(manifest):
        facts["Set aside"] = "; ".join(aside)
    if doubted := doubts(manifest, recipe):
        facts["Warnings"] = "; ".join(map(str, doubted))
    facts["Versions"] = ", ".join(f"{name} {version}" for name, version in manifest.content["versions"].items())
    facts["Recipe hash"] = manifest.content["recipe_hash"]
    return facts


def _costs(manifest: Manifest) -> "tuple[StageCost, ...]":
    """Worker time by stage, and what it made."""
    from stepward.report.data import StageCost

    def made(stage: str) -> str:
        units = manifest.units(stage)
        told = {
            "solutions": f"{_total(units, 'draws'):,.0f} drawn, {_total(units, 'solutions'):,.0f} of them distinct",
            "rollouts": f"{_total(units, 'completions'):,.0f} completions of {_total(units, 'sampled'):,.0f} prefixes",
            "rewards": f"{len(units)} models, {_total(units, 'tokens'):,.0f} tokens in all",
            "scores": f"{_total(units, 'solutions'):,.0f} solutions scored",
        }.get(stage, "")
        tokens = _total(units, "tokens") if stage != "rewards" else 0
        return f"{told}, {tokens:,.0f} tokens" if tokens else told

    shown = [stage for stage in _STAGES if manifest.units(stage)]
    return tuple(StageCost(stage, _total(manifest.units(stage), "seconds"), made(stage)) for stage in shown)


def _parameters(manifest: Manifest) -> int | None:
    """How many parameters a reward model of the run has; None where there is none."""
    return next((facts["parameters"] for facts in manifest.units("rewards").values() if "parameters" in facts), None)


def _views(recipe: Recipe, layout: Layout, models: "Sequence[ModelView]") -> "list[ProblemView]":
    """The test problems with their candidates, scored by the models and judged by the oracle where there is one."""
    from stepward.report.data import Candidate, ProblemView

    problems = kept(Manifest.read(layout.folder), "test")
    names = [f"{model.method}/seed-{recipe.rewards.seeds[0]}" for model in models]
    scores: dict[str, dict[str, tuple[float, ...]]] = {name: {} for name in names}
    for score in layout.scores():
        if score.model in scores:
            scores[score.model][score.solution_id] = score.scores
    oracle = oracle_of(problems) if has_oracle(recipe) else None
    by_problem: dict[str, list[Solution]] = {problem.id: [] for problem in problems}
    for solution in layout.solutions("test"):
        by_problem[solution.problem_id].append(solution)

    def candidate(solution: Solution, group: int) -> Candidate:
        given = tuple(scores[name][solution.id] for name in names)
        totals = tuple(aggregate(model.aggregation, one) for model, one in zip(models, given, strict=True))
        return Candidate(
            solution, group, given, totals, oracle(solution.problem_id, solution.steps) if oracle else None
        )

    same, views = equivalence_fn(recipe.grader), []
    for problem in problems:
        solutions = sorted(by_problem[problem.id], key=lambda one: one.id)
        groups = _groups(solutions, same)
        views.append(ProblemView(problem, [candidate(*one) for one in zip(solutions, groups, strict=True)]))
    return views


def _groups(solutions: Sequence[Solution], same: Equivalence) -> list[int]:
    """Which of one problem's solutions give the same answer, as the majority of the figures counts them."""
    correct = np.array([one.correct for one in solutions], dtype=np.bool_)
    copies = np.array([one.copies for one in solutions], dtype=np.int64)
    return [int(group) for group in group_answers([one.answer for one in solutions], correct, copies, same)]


def _differences(measured: Sequence[LoadedRun], seed: int) -> tuple[Difference, ...]:
    """Every other run against the first, method by method; none where they have no N in common.

    Their p are corrected for all of them.
    """
    found: list[Difference] = []
    first_ns = {row.n for row in measured[0].rows}
    for other in measured[1:]:
        if first_ns & {row.n for row in other.rows}:
            pairs = compare_runs([other, measured[0]], seed=seed).pairs
            found += [one for pair in pairs for one in pair.differences if one.first.method != "pass"]
    return tuple(correct(found))
