"""Labels that a reward model gives, so that a large one can teach small ones (Let's Verify, section 4).

There a large process reward model stood in for people: it labelled steps, a step being wrong where the probability of
that was over 20%, and so it also said which whole solutions are right.
"""

from collections.abc import Iterable, Mapping, Sequence

from stepward.errors import StepwardError
from stepward.labelling.labels import AfterFirstError
from stepward.records import Solution, StepLabels

RIGHT_FROM = 0.8
"""A step is right if its score is at least this: it is wrong if its chance to be wrong is over 20%."""


def model_labels(
    solutions: Iterable[Solution],
    scores: Mapping[str, Sequence[float]],
    kind: str,
    right_from: float = RIGHT_FROM,
    after_first_error: AfterFirstError = "keep",
) -> list[StepLabels]:
    """Labels of solutions from the scores of their steps.

    Args:
        solutions: What to label.
        scores: By solution id, a score in [0, 1] a step.
        kind: `prm_process`: a step is 1 or 0 by its own score, the last one too, whatever the final answer is.
            `prm_outcome`: all steps carry 1 if every one of them is right, else 0.
        right_from: A step is right if its score is at least this.
        after_first_error: For `prm_process`: what becomes of the steps after the first wrong one: `keep` what they
            have, `drop` them (None), or `zero` them.

    Raises:
        StepwardError: A solution without scores, or with another number of them than it has steps; names it.
    """
    labels = []
    for solution in solutions:
        given = scores.get(solution.id)
        if given is None or len(given) != len(solution.steps):
            found = "none" if given is None else str(len(given))
            raise StepwardError(
                f"solution {solution.id}: expected {len(solution.steps)} scores to label it by, found {found}",
                code="mismatch",
                field=solution.id,
            )
        right = [score >= right_from for score in given]
        values: list[float | None] = [float(one) for one in right]
        if kind == "prm_outcome":
            values = [float(all(right))] * len(right)
        elif False in right and after_first_error != "keep":
            first = right.index(False)
            values[first + 1 :] = [None if after_first_error == "drop" else 0.0] * (len(right) - first - 1)
        labels.append(StepLabels(solution.id, solution.problem_id, kind, tuple(values)))
    return labels
