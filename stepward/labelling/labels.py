"""Labels of a solution's steps, computed from the rollouts' counts: another kind or eta samples nothing again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from stepward.errors import StepwardError
from stepward.labelling import rewards
from stepward.labelling.estimates import estimate
from stepward.labelling.prefixes import prefixes_of
from stepward.labelling.searches import last_right, witnessed_by
from stepward.records import Solution, StepLabels, StepRollouts, prefix_id

KINDS = ("hard", "soft", "er", "orm", "oracle")

Missing = Literal["refuse", "infer"]
AfterFirstError = Literal["keep", "drop", "zero"]

Oracle = Callable[[str, tuple[str, ...]], int | None]
"""Gives the index of a solution's first wrong step, or None, from its problem's id and its steps."""


def rollout_labels(
    solutions: Iterable[Solution],
    rollouts: Mapping[str, StepRollouts],
    kind: str,
    eta: float = 2.0,
    *,
    missing: Missing = "refuse",
    after_first_error: AfterFirstError = "keep",
) -> list[StepLabels]:
    """Labels every step of every solution by its prefix's counts; the last step's label is the solution's own grade.

    A prefix whose draws were all void (empty or failed) has no label, None.

    Args:
        solutions: What to label; those of a problem belong together where labels are inferred.
        rollouts: The counts by prefix id.
        kind: `hard`, `soft` or `er`.
        eta: For `er`; ER-PRM's settings are 2 and 10.
        missing: What becomes of prefixes without counts: `refuse`, or `infer` where a search left them out. Hard labels
            then are 1 on every prefix of a right solution and up to the last prefix known to succeed, whatever was
            counted before it, since what succeeds later also does from there. All else that has no counts is None.
        after_first_error: What becomes of a wrong solution's steps after its first step labelled hard 0: `keep` what
            they have, `drop` them (None), or `zero` them. It goes for all kinds, and for the grade of the last step.

    Raises:
        StepwardError: A prefix has no counts, and nothing shall be inferred: names the solution and the step. Or its
            counts can't come from the rule in its record.
    """
    solutions = list(solutions)
    witnessed = witnessed_by(prefixes_of(solutions).paths) if missing == "infer" else None
    labels = []
    for solution in solutions:
        ids = [prefix_id(solution.problem_id, solution.steps[:end]) for end in range(1, len(solution.steps))]
        counts = [rollouts.get(key) for key in ids]
        if missing == "refuse" and None in counts:
            raise StepwardError(
                f"solution {solution.id}: no rollouts for its prefix of {counts.index(None) + 1} steps; "
                "run the rollouts stage for these solutions first",
                code="missing",
                field=solution.id,
            )
        worth = _worth(ids, counts, witnessed)
        values = [_label(one, value, kind, eta) for one, value in zip(counts, worth, strict=True)]
        # Its grade, not its steps' counts: another solution may go on where this one was cut or stopped.
        values.append(reward(int(solution.correct), 1, kind, eta))
        if not solution.correct and after_first_error != "keep":
            first = worth.index(False) if False in worth else len(worth)
            values[first + 1 :] = [None if after_first_error == "drop" else 0.0] * (len(worth) - first)
        labels.append(StepLabels(solution.id, solution.problem_id, kind, tuple(values), eta if kind == "er" else None))
    return labels


def _worth(ids: Sequence[str], counts: Sequence[StepRollouts | None], witnessed: set[str] | None) -> list[bool | None]:
    """Whether each prefix ever succeeds, as far as it is known; `witnessed` is None where nothing is inferred."""
    worth = [one.right > 0 if one is not None and one.drawn else None for one in counts]
    if witnessed is None:
        return worth
    last = last_right([key in witnessed or value for key, value in zip(ids, worth, strict=True)])
    return [index <= last or value for index, value in enumerate(worth)]


def _label(counts: StepRollouts | None, worth: bool | None, kind: str, eta: float) -> float | None:
    if kind == "hard":
        return None if worth is None else float(worth)
    share = None if counts is None else estimate(counts)
    return None if share is None else _of_share(share, kind, eta)


def reward(right: int, drawn: int, kind: str, eta: float = 2.0) -> float:
    """One prefix's label of the given kind, where a fixed number of completions was drawn.

    Raises:
        StepwardError: An unknown kind.
    """
    if kind == "hard":
        return rewards.hard(right, drawn)
    return _of_share(rewards.soft(right, drawn), kind, eta)


def _of_share(share: float, kind: str, eta: float) -> float:
    if kind == "soft":
        return share
    if kind == "er":
        return rewards.entropy_regularised(share, eta)
    raise StepwardError(
        f"unknown kind of rollout label {kind!r}: expected hard, soft or er", code="unknown_name", field="kind"
    )


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
