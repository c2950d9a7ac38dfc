"""Keeps the solutions on whose first error two sources of labels agree, such as rollouts and a judge.

Rollouts call a step wrong that a weak completer can't go on from, and right one that a strong completer mends. A judge
errs otherwise. Where both name the same step, either is seldom wrong: "The Lessons of Developing Process Reward Models
in Mathematical Reasoning" (Zhang et al., 2025) keeps those solutions alone, about 40% of them.
"""

from collections import Counter
from collections.abc import Iterable

from stepward.labelling.filters import NO_ERROR, RIGHT_ABOVE, Filtered, first_error, labels_up_to
from stepward.records import StepLabels

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
