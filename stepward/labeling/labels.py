"""Labels of a solution's steps, computed from the rollouts' counts: another kind or eta samples nothing again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stepward.errors import StepwardError
from stepward.labeling.rollouts.binary_search import last_correct, prefixes_of_correct
from stepward.labeling.rollouts.estimators import estimate
from stepward.labeling.rollouts.prefixes import prefixes_of
from stepward.records import Solution, StepLabels, StepRollouts, prefix_id

KINDS = ("hard", "soft", "er", "orm", "oracle")

Missing = Literal["refuse", "infer"]
AfterFirstError = Literal["keep", "drop", "zero"]

Oracle = Callable[[str, tuple[str, ...]], int | None]
"""Gives the index of a solution's first wrong step, or None, from its problem's id and its steps."""


def compute_labels(
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
    witnessed = prefixes_of_correct(prefixes_of(solutions).paths) if missing == "infer" else None
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
    last = last_correct([key in witnessed or value for key, value in zip(ids, worth, strict=True)])
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
        return hard(right, drawn)
    return _of_share(soft(right, drawn), kind, eta)


def _of_share(share: float, kind: str, eta: float) -> float:
    if kind == "soft":
        return share
    if kind == "er":
        return entropy_regularized(share, eta)
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


@overload
def hard(right: int, drawn: int) -> float: ...
@overload
def hard(right: ArrayLike, drawn: ArrayLike) -> float | NDArray[np.float64]: ...
def hard(right: ArrayLike, drawn: ArrayLike) -> float | NDArray[np.float64]:
    """1 where any completion is right, else 0 (Math-Shepherd's hard estimation).

    Args:
        right: Right completions, a number or an array.
        drawn: Completions drawn, of the same shape, each at least 1.

    Raises:
        ValueError: `drawn` below 1, or `right` outside 0..drawn.
    """
    return _as_given((_share(right, drawn) > 0).astype(np.float64))


@overload
def soft(right: int, drawn: int) -> float: ...
@overload
def soft(right: ArrayLike, drawn: ArrayLike) -> float | NDArray[np.float64]: ...
def soft(right: ArrayLike, drawn: ArrayLike) -> float | NDArray[np.float64]:
    """The share of completions that are right (Math-Shepherd's soft estimation). Arguments and errors as for `hard`."""
    return _as_given(_share(right, drawn))


@overload
def entropy_regularized(p: float, eta: float) -> float: ...
@overload
def entropy_regularized(p: ArrayLike, eta: float) -> float | NDArray[np.float64]: ...
def entropy_regularized(p: ArrayLike, eta: float) -> float | NDArray[np.float64]:
    """The entropy-regularised reward (1/eta) ln(1 - p + p e^eta) of ER-PRM, for outcomes of 0 or 1.

    It goes to p as eta goes to 0, and to 1 for any p > 0 as eta goes to infinity. Computed so that neither end loses
    digits: by expm1 and log1p for small eta, and with e^eta taken out of the logarithm for large eta.

    Args:
        p: Share of right completions in [0, 1], a number or an array.
        eta: The inverse temperature, above 0; 1e4 stays finite.

    Raises:
        ValueError: `p` outside [0, 1] or not a number, or `eta` not a finite number above 0.
    """
    share = np.asarray(p, dtype=np.float64)
    if not np.all((share >= 0) & (share <= 1)):
        raise ValueError("p must lie in [0, 1]")
    if not (np.isfinite(eta) and eta > 0):
        raise ValueError(f"eta must be a finite number above 0, not {eta}")
    if eta <= 1:
        value = np.log1p(share * np.expm1(eta)) / eta
    else:
        # ln(1 - p + p e^eta) = eta + ln(p + (1 - p) e^-eta), which can't overflow; p = 0 would cancel eta, so is set.
        inside = share + (1 - share) * np.exp(-eta)
        value = np.where(share > 0, 1 + np.log(np.where(share > 0, inside, 1.0)) / eta, 0.0)
    return _as_given(np.clip(value, 0.0, 1.0))


def _share(right: ArrayLike, drawn: ArrayLike) -> NDArray[np.float64]:
    number, total = np.asarray(right, dtype=np.float64), np.asarray(drawn, dtype=np.float64)
    if not np.all(total >= 1):
        raise ValueError("drawn must be at least 1: a prefix without completions has no reward")
    if not np.all((number >= 0) & (number <= total)):
        raise ValueError("right must lie in 0..drawn")
    return np.asarray(number / total)


def _as_given(value: NDArray[np.float64]) -> float | NDArray[np.float64]:
    return float(value) if value.ndim == 0 else value


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
