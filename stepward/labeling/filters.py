"""Filters of step labels: each takes labels, takes some of them away, and says how many and why.

A label that is taken away becomes None, so that the solution's steps stay whole; a solution that has none left is
dropped by `labelled` alone. No filter touches what it was given.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from stepward.errors import StepwardError
from stepward.formats.first_error import labels_from
from stepward.labeling.rollouts.confidence import confidence_sequence
from stepward.records import Solution, StepLabels, StepRollouts, prefix_id

NO_ERROR = -1
"""Stands for the index of the first wrong step where no step is wrong, as in ProcessBench."""

RIGHT_ABOVE = 0.5
"""A step is right if its label is above this. For the share of right completions, 0 is the better choice."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """What a filter leaves.

    Attributes:
        labels: The labels, in their order.
        dropped: How many labels, or solutions, were taken away, by reason.
    """

    labels: list[StepLabels]
    dropped: dict[str, int] = field(default_factory=dict)


def first_error(labels: Iterable[float | None], above: float = RIGHT_ABOVE) -> int | None:
    """The index of the first wrong step, or `NO_ERROR`; None where a step without a label stands before the answer.

    Args:
        labels: A label in [0, 1] a step, or None.
        above: A step is right if its label is above this.
    """
    for index, label in enumerate(labels):
        if label is None:
            return None
        if label <= above:
            return index
    return NO_ERROR


def labels_up_to(error: int, steps: int) -> tuple[float | None, ...]:
    """A label a step from the first wrong one's index, or `NO_ERROR`: 1 before it, 0 at it, None after it."""
    return labels_from(None if error == NO_ERROR else error, steps, "first_error")


def truncate_after_first_error(labels: Iterable[StepLabels], above: float = RIGHT_ABOVE) -> Filtered:
    """Takes away what follows the first wrong step: whether such a step is right is not well asked.

    Args:
        labels: Of any kind.
        above: A step is right if its label is above this.
    """
    reason = "after the first error"
    dropped: Counter[str] = Counter()
    kept = []
    for one in labels:
        wrong = next((at for at, label in enumerate(one.labels) if label is not None and label <= above), None)
        end = len(one.labels) if wrong is None else wrong + 1
        dropped[reason] += sum(label is not None for label in one.labels[end:])
        kept.append(replace(one, labels=one.labels[:end] + (None,) * (len(one.labels) - end)))
    return Filtered(kept, _found(dropped))


def binarize(labels: Iterable[StepLabels], above: float = RIGHT_ABOVE, wrong_up_to: float | None = None) -> Filtered:
    """Makes labels hard: 1 above a threshold, else 0; those between two thresholds are taken away.

    Args:
        labels: Of any kind; what comes back is of kind `hard`.
        above: A step is right if its label is above this.
        wrong_up_to: A step is wrong if its label is at most this; `above` if not given.

    Raises:
        StepwardError: The thresholds don't lie in [0, 1) in their order.
    """
    low = above if wrong_up_to is None else wrong_up_to
    if not 0 <= low <= above < 1:
        raise StepwardError(
            f"thresholds {low:g} and {above:g}: expected 0 <= wrong_up_to <= above < 1", code="bad_value", field="above"
        )
    dropped: Counter[str] = Counter()
    kept = []
    for one in labels:
        hard = [None if label is None or low < label <= above else float(label > above) for label in one.labels]
        dropped["between the thresholds"] += hard.count(None) - one.labels.count(None)
        kept.append(replace(one, kind="hard", labels=tuple(hard), eta=None))
    return Filtered(kept, _found(dropped))


def filter_by_count(
    solutions: Iterable[Solution], labels: Iterable[StepLabels], rollouts: Mapping[str, StepRollouts], least: int
) -> Filtered:
    """Takes away labels that rest on fewer than `least` completions; the grade of a whole solution always stays.

    Args:
        solutions: The labels' solutions.
        labels: Made from the rollouts.
        rollouts: The counts by prefix id.
        least: The fewest completions.

    Raises:
        StepwardError: Labels of a solution that is not given, or more or fewer than it has steps.
    """
    return _by_counts(solutions, labels, rollouts, f"fewer than {least} completions", lambda one: one.drawn >= least)


def filter_by_interval(
    solutions: Iterable[Solution],
    labels: Iterable[StepLabels],
    rollouts: Mapping[str, StepRollouts],
    width: float,
    level: float = 0.95,
) -> Filtered:
    """Takes away labels whose share of right completions is not known well enough.

    The share's interval must be no wider than `width`. It is that of `stepward.labeling.rollouts.confidence`, which
    holds whatever ended drawing.

    Args:
        solutions: The labels' solutions.
        labels: Made from the rollouts.
        rollouts: The counts by prefix id.
        width: The widest interval, in (0, 1].
        level: The probability that an interval holds the true share, in (0, 1).

    Raises:
        StepwardError: As for `filter_by_count`, or a width or level that can't be.
    """
    if not (0 < width <= 1 and 0 < level < 1):
        raise StepwardError(
            f"width {width:g} at level {level:g}: expected a width in (0, 1] and a level in (0, 1)",
            code="bad_value",
            field="width",
        )

    def narrow(one: StepRollouts) -> bool:
        low, high = confidence_sequence(one.drawn, one.right, level)
        return high - low <= width

    return _by_counts(solutions, labels, rollouts, f"an interval wider than {width:g}", narrow)


def drop_unlabeled(labels: Iterable[StepLabels]) -> Filtered:
    """Drops solutions of which no step has a label."""
    given = list(labels)
    kept = [one for one in given if any(label is not None for label in one.labels)]
    return Filtered(kept, _found(Counter({"no label left": len(given) - len(kept)})))


def _by_counts(
    solutions: Iterable[Solution],
    labels: Iterable[StepLabels],
    rollouts: Mapping[str, StepRollouts],
    reason: str,
    enough: Callable[[StepRollouts], bool],
) -> Filtered:
    """Takes away the labels whose prefix's counts are not enough, or are not there."""
    of = {solution.id: solution for solution in solutions}
    dropped: Counter[str] = Counter()
    kept = []
    for one in labels:
        solution = solution_of(one, of)
        values = list(one.labels)
        for index in range(len(values) - 1):  # the last step's label is the solution's grade
            counts = rollouts.get(prefix_id(solution.problem_id, solution.steps[: index + 1]))
            if values[index] is not None and not (counts and (counts.complete or enough(counts))):
                values[index] = None
                dropped[reason if counts else "no completions"] += 1
        kept.append(replace(one, labels=tuple(values)))
    return Filtered(kept, _found(dropped))


def solution_of(labels: StepLabels, solutions: Mapping[str, Solution]) -> Solution:
    """The solution of some labels, by its id.

    Raises:
        StepwardError: It is not given, or has another number of steps.
    """
    solution = solutions.get(labels.solution_id)
    if solution is None:
        raise StepwardError(
            f"{labels.kind} labels of solution {labels.solution_id}: no such solution is given",
            code="missing",
            field=labels.solution_id,
        )
    if len(solution.steps) != len(labels.labels):
        raise StepwardError(
            f"{labels.kind} labels of solution {labels.solution_id}: {len(labels.labels)} labels for "
            f"{len(solution.steps)} steps; expected one a step",
            code="mismatch",
            field=labels.solution_id,
        )
    return solution


def _found(dropped: Counter[str]) -> dict[str, int]:
    return {reason: count for reason, count in dropped.items() if count}


KIND = "consensus"


def consensus(
    one: Iterable[StepLabels],
    other: Iterable[StepLabels],
    *,
    one_above: float = RIGHT_ABOVE,
    other_above: float = RIGHT_ABOVE,
) -> Filtered:
    """Labels of the solutions on whose first error both agree: 1 before it, 0 at it, None after it.

    Args:
        one: Labels of one source, such as hard labels from rollouts; their order is kept.
        other: Labels of the other, such as a judge's.
        one_above: A step is right for the first source if its label is above this: 0 for shares of right completions.
        other_above: Likewise for the second.

    Returns:
        Labels of kind `consensus`; under `dropped`, how many of the first source's solutions went, by reason.
    """
    theirs = {labels.solution_id: first_error(labels.labels, other_above) for labels in other}
    dropped: Counter[str] = Counter()
    kept = []
    for labels in one:
        ours = first_error(labels.labels, one_above)
        reason = _difference(ours, theirs[labels.solution_id]) if labels.solution_id in theirs else "in one alone"
        if reason or ours is None:
            dropped[reason] += 1
            continue
        values = labels_up_to(ours, len(labels.labels))
        kept.append(StepLabels(labels.solution_id, labels.problem_id, KIND, values))
    return Filtered(kept, dict(dropped))


def _difference(ours: int | None, theirs: int | None) -> str:
    """In what two verdicts differ; empty where they agree."""
    if ours is None or theirs is None:
        return "first error not known"
    if ours == theirs:
        return ""
    if theirs == NO_ERROR:
        return "an error for the first alone"
    return "an error for the second alone" if ours == NO_ERROR else "another step"
