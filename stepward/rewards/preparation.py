"""Records to rows: checks that each solution has its labels, renders it, and packs each problem's solutions."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from stepward.errors import StepwardError
from stepward.records import Problem, Solution, StepLabels
from stepward.rendering import Rendered, Renderer
from stepward.rewards.packing import Row, grow, label
from stepward.rewards.settings import TrainingSettings


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a reward model is trained on.

    Attributes:
        rows: At least one, with at least one label among them.
        solutions: Distinct solutions in the rows.
        too_long: Solutions left out for their length.
        plain_tokens: Tokens of the solutions, each counted alone.
    """

    rows: list[Row]
    solutions: int
    too_long: int
    plain_tokens: int

    @property
    def labelled(self) -> int:
        """Labelled positions, counted once a solution."""
        return int(sum(row.weights.sum() for row in self.rows))

    @property
    def tokens(self) -> int:
        """Tokens of the rows."""
        return sum(len(row.tree.ids) for row in self.rows)


def prepare(
    problems: Sequence[Problem],
    solutions: Sequence[Solution],
    labels: Sequence[StepLabels],
    renderer: Renderer,
    settings: TrainingSettings,
) -> Prepared:
    """Turns records into the rows of one epoch.

    Each distinct solution counts once, however many copies were drawn.

    Args:
        problems: The solutions' problems; others are not used.
        solutions: Distinct solutions.
        labels: One `StepLabels` a solution, in any order.
        renderer: The rendering to train under.
        settings: Says how rows are packed and what happens to solutions that are too long.

    Raises:
        StepwardError: Records that don't belong together, or a label that is none; names the record.
    """
    by_solution = _labels_of(solutions, labels, settings.kind)
    questions = {problem.id: problem.question for problem in problems}
    rendered: dict[str, list[tuple[Rendered, StepLabels]]] = defaultdict(list)
    too_long = 0
    for solution in solutions:
        if solution.problem_id not in questions:
            raise StepwardError(
                f"solution {solution.id}: its problem {solution.problem_id!r} is not among the problems"
            )
        tokens = _render(renderer, questions[solution.problem_id], solution)
        if len(tokens.ids) <= settings.max_length:
            rendered[solution.problem_id].append((tokens, by_solution[solution.id]))
        elif settings.too_long == "drop":
            too_long += 1
        else:
            raise StepwardError(
                f"solution {solution.id} has {len(tokens.ids)} tokens, more than max_length {settings.max_length}: "
                "raise max_length or set too_long to drop"
            )
    rows: list[Row] = []
    for members in rendered.values():
        ids, targets = [tokens for tokens, _ in members], [steps.labels for _, steps in members]
        trees = grow(ids, settings.max_tokens, settings.share_prefixes)
        rows += [label(tree, ids, targets, every_token=settings.kind == "orm") for tree in trees]
    kept = [tokens for members in rendered.values() for tokens, _ in members]
    prepared = Prepared(rows, len(kept), too_long, sum(len(tokens.ids) for tokens in kept))
    if prepared.labelled == 0:
        raise StepwardError(
            f"nothing to train on: {len(solutions)} solutions, {too_long} of them longer than {settings.max_length} "
            "tokens, and no label among the rest. Expected at least one label that is not null."
        )
    return prepared


def _render(renderer: Renderer, question: str, solution: Solution) -> Rendered:
    try:
        return renderer.solution(question, solution.steps)
    except StepwardError as error:
        raise StepwardError(f"solution {solution.id}: {error}") from None


def _labels_of(solutions: Sequence[Solution], labels: Sequence[StepLabels], kind: str) -> dict[str, StepLabels]:
    """Each solution's labels, by the solution's id."""
    by_solution = {steps.solution_id: steps for steps in labels}
    if len(by_solution) < len(labels):
        raise StepwardError(f"solution {_twice([steps.solution_id for steps in labels])} is labelled twice")
    if len({solution.id for solution in solutions}) < len(solutions):
        raise StepwardError(f"solution {_twice([solution.id for solution in solutions])} is there twice")
    for solution in solutions:
        if solution.id not in by_solution:
            raise StepwardError(f"solution {solution.id} has no labels: label it, or leave it out")
        _check(solution, by_solution[solution.id], kind)
    if surplus := by_solution.keys() - {solution.id for solution in solutions}:
        raise StepwardError(f"labels of solution {min(surplus)}: there is no such solution")
    if len(etas := {steps.eta for steps in labels}) > 1:
        raise StepwardError(f"labels are of more than one eta: {sorted(map(str, etas))}. Train on one at a time.")
    return by_solution


def _twice(ids: list[str]) -> str:
    return Counter(ids).most_common(1)[0][0]


def _check(solution: Solution, steps: StepLabels, kind: str) -> None:
    """Raises StepwardError if the labels can't be those of the solution."""
    if steps.kind != kind:
        raise StepwardError(f"labels of solution {solution.id} are of kind {steps.kind!r}: expected {kind!r}")
    if len(steps.labels) != len(solution.steps):
        raise StepwardError(
            f"solution {solution.id} has {len(solution.steps)} steps and {len(steps.labels)} labels: "
            "expected one label a step"
        )
    for index, value in enumerate(steps.labels):
        if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
            raise StepwardError(f"solution {solution.id}, step {index + 1}: label {value!r}, expected one in [0, 1]")
    if kind == "orm" and len(set(steps.labels)) > 1:
        raise StepwardError(f"solution {solution.id}: orm labels {steps.labels} differ, expected the solution's grade")
