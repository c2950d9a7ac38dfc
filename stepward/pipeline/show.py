"""A problem with its solutions, steps, labels and scores side by side, for the terminal."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stepward.errors import StepwardError
from stepward.pipeline.stages.evaluate import oracle_of
from stepward.records import Problem, Solution
from stepward.storage.manifest import Manifest
from stepward.storage.run_dir import ARITHMETIC, SPLITS, Layout


def show_problem(folder: Path, split: str, problem_id: str | None, most: int) -> list[RenderableType]:
    """Draws one problem of a run.

    Args:
        folder: The run's folder.
        split: `reward` (with labels), `validation` or `test` (with scores).
        problem_id: Which problem; the split's first one if None.
        most: How many solutions, the most drawn first.

    Raises:
        StepwardError: No run, no such split, no such problem.
    """
    manifest = Manifest.read(folder)
    layout = Layout(folder)
    if split not in SPLITS:
        raise StepwardError(
            f"no split {split!r}: expected one of {', '.join(SPLITS)}", code="unknown_name", field="--split"
        )
    if not manifest.finished("problems", split):
        raise StepwardError(
            f"{folder}: its problems are not there yet; run its recipe first", code="unfinished", file=folder
        )
    problems = layout.problems(split)
    found = [problem for problem in problems if problem_id in (None, problem.id)]
    if not found:
        raise StepwardError(
            f"{folder}: no problem {problem_id!r} in split {split}; the first is {problems[0].id}",
            code="unknown_name",
            file=folder,
            field="--problem",
        )
    problem = found[0]
    solutions = [solution for solution in layout.solutions(split) if solution.problem_id == problem.id]
    solutions.sort(key=lambda solution: (-solution.copies, solution.id))
    columns = _columns(manifest, layout, split)
    oracle = oracle_of(problems) if problems[0].source.startswith(f"{ARITHMETIC}/") else None
    parts: list[RenderableType] = [_heading(problem, len(solutions))]
    for solution in solutions[:most]:
        wrong = oracle(problem.id, solution.steps) if oracle else None
        parts.append(_solution(solution, columns, wrong, judged=oracle is not None))
    return parts


def _columns(manifest: Manifest, layout: Layout, split: str) -> dict[str, dict[str, tuple[float | None, ...]]]:
    """By column, the values of each solution's steps: labels of the reward split, scores of the others."""
    if split == "reward":
        kinds = sorted(manifest.units("labels"))
        return {kind: {one.solution_id: one.labels for one in layout.labels(kind)} for kind in kinds}
    columns: dict[str, dict[str, tuple[float | None, ...]]] = {}
    seeds = sorted({unit.partition("/")[2] for unit in manifest.units("scores")})[:1]
    for score in layout.scores():
        kind, _, seed = score.model.partition("/")
        if seed in seeds:
            columns.setdefault(kind, {})[score.solution_id] = score.scores
    return columns


def _heading(problem: Problem, distinct: int) -> RenderableType:
    about = Text(f"reference {problem.reference}, level {problem.level}, {distinct} distinct solutions", style="dim")
    return Panel(Group(Text(problem.question), about), title=Text(problem.id))


def _solution(
    solution: Solution, columns: dict[str, dict[str, tuple[float | None, ...]]], wrong: int | None, judged: bool
) -> RenderableType:
    grade = Text("right", style="green") if solution.correct else Text("wrong", style="red")
    title = Text.assemble(f"drawn {solution.copies} x, answer {solution.answer}, ", grade)
    table = Table(title=title, title_justify="left", pad_edge=False)
    table.add_column("step")
    if judged:
        table.add_column("oracle")
    for name in columns:
        table.add_column(name, justify="right")
    for index, step in enumerate(solution.steps):
        verdict = "wrong here" if index == wrong else "" if wrong is None or index < wrong else "after it"
        cells = [Text(step)] + ([Text(verdict, style="red")] if judged else [])
        values = [by_solution.get(solution.id) for by_solution in columns.values()]
        table.add_row(*cells, *(_value(steps[index] if steps else None) for steps in values))
    return table


def _value(value: float | None) -> Text:
    if value is None:
        return Text("-", style="dim")
    return Text(f"{value:.2f}", style="green" if value >= 0.66 else "yellow" if value >= 0.33 else "red")
