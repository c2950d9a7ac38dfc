"""Labels of a solution's steps, computed from the rollouts' counts: another kind or eta samples nothing again."""

from collections.abc import Callable, Iterable, Mapping

from stepward.errors import StepwardError
from stepward.labelling import rewards
from stepward.records import Solution, StepLabels, StepRollouts, prefix_id

KINDS = ("hard", "soft", "er", "orm", "oracle")

Oracle = Callable[[str, tuple[str, ...]], int | None]
"""Gives the index of a solution's first wrong step, or None, from its problem's id and its steps."""


def rollout_labels(
    solutions: Iterable[Solution], rollouts: Mapping[str, StepRollouts], kind: str, eta: float = 2.0
) -> list[StepLabels]:
    """Labels every step of every solution by its prefix's counts; the last step's label is the solution's own grade.

    Args:
        solutions: What to label.
        rollouts: The counts by prefix id.
        kind: `hard`, `soft` or `er`.
        eta: For `er`; ER-PRM's settings are 2 and 10.

    Raises:
        StepwardError: A prefix has no counts; names the solution and the step.
    """
    labels = []
    for solution in solutions:
        values = []
        for end in range(1, len(solution.steps)):
            counts = rollouts.get(prefix_id(solution.problem_id, solution.steps[:end]))
            if counts is None:
                raise StepwardError(
                    f"solution {solution.id}: no rollouts for its prefix of {end} steps; "
                    "run the rollouts stage for these solutions first"
                )
            values.append(reward(counts.right, counts.drawn, kind, eta))
        # Its grade, not its steps' counts: another solution may go on where this one was cut or stopped.
        values.append(reward(int(solution.correct), 1, kind, eta))
        labels.append(StepLabels(solution.id, solution.problem_id, kind, tuple(values), eta if kind == "er" else None))
    return labels


def reward(right: int, drawn: int, kind: str, eta: float = 2.0) -> float:
    """One prefix's label of the given kind.

    Raises:
        StepwardError: An unknown kind.
    """
    if kind == "hard":
        return rewards.hard(right, drawn)
    if kind == "soft":
        return rewards.soft(right, drawn)
    if kind == "er":
        return rewards.entropy_regularised(rewards.soft(right, drawn), eta)
    raise StepwardError(f"unknown kind of rollout label {kind!r}: expected hard, soft or er")


def outcome_labels(solutions: Iterable[Solution]) -> list[StepLabels]:
    """Labels for an ORM: every step carries its solution's grade."""
    return [
        StepLabels(solution.id, solution.problem_id, "orm", (float(solution.correct),) * len(solution.steps))
        for solution in solutions
    ]


def oracle_labels(solutions: Iterable[Solution], oracle: Oracle) -> list[StepLabels]:
    """Labels by an exact checker: 1 before the first wrong step, 0 from it on; the last step's is the grade.

    A checker takes a solution that stops too early for a prefix, and finds no error; its grade says that it is wrong.
    """
    labels = []
    for solution in solutions:
        wrong = oracle(solution.problem_id, solution.steps)
        first = len(solution.steps) if wrong is None else wrong
        values = [float(index < first) for index in range(len(solution.steps))]
        if not solution.correct:
            values[-1] = 0.0
        labels.append(StepLabels(solution.id, solution.problem_id, "oracle", tuple(values)))
    return labels
