"""How labels err, beside labels that are known to be good: a person's, or the arithmetic world's oracle.

What labels say of a solution is its first wrong step. Against the true one they are right, or err in one of four ways,
as ProcessBench looks at critics: the error is found too early, too late, missed, or invented where there is none.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from stepward.errors import StepwardError
from stepward.evaluation.stats.bootstrap import resamples
from stepward.labeling.filters import NO_ERROR, RIGHT_ABOVE, first_error
from stepward.records import LabelledSolution, StepLabels

CASES = ("exact", "none", "early", "late", "missed", "invented")
"""The error is found at its step; rightly none is found; the four errors."""

WITH_ERROR = ("exact", "early", "late", "missed")
"""The cases of solutions that have an error."""


@dataclass(frozen=True, slots=True)
class CaseProportion:
    """How often one case is found.

    Attributes:
        case: One of `CASES`.
        count: Solutions.
        share: Of all compared solutions, in [0, 1].
        low: The lower end of the share's 95% interval.
        high: The upper end.
    """

    case: str
    count: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """Labels beside the truth.

    Attributes:
        solutions: Compared solutions.
        problems: Their problems.
        shares: Every case of `CASES`, in that order; the shares add up to 1.
        with_error: Share of the solutions with an error whose first error is found; None if there are no such.
        without_error: Share of the solutions without one in which none is found; None if there are no such.
        f1: The harmonic mean of both, as ProcessBench's; None if either is None.
        left_out: Solutions that could not be compared, by reason.
    """

    solutions: int
    problems: int
    shares: tuple[CaseProportion, ...]
    with_error: float | None
    without_error: float | None
    f1: float | None
    left_out: dict[str, int] = field(default_factory=dict)

    def share(self, case: str) -> CaseProportion:
        """One case's share."""
        return self.shares[CASES.index(case)]


Labels = StepLabels | LabelledSolution


def label_noise(
    given: Iterable[Labels],
    truth: Iterable[Labels],
    *,
    above: float = RIGHT_ABOVE,
    true_above: float = RIGHT_ABOVE,
    seed: int = 0,
) -> LabelNoise:
    """Compares labels with labels that are known to be good.

    The intervals are bootstrapped over problems, since the solutions of one problem are not independent. Of a case that
    no problem has, or that all solutions are of, the bootstrap knows no width: the interval is then the exact one of 0,
    or all, of so many problems. Of a case that only a few problems have, it is too narrow, as every bootstrap is.

    Args:
        given: The labels to be measured; solutions that don't branch.
        truth: The good ones, of the same solutions, found by their ids.
        above: A given step is right if its label is above this.
        true_above: Likewise for a true one.
        seed: Decides the resamples.

    Raises:
        StepwardError: No solution can be compared, one stands twice on a side, branches, or has another number of
            labels on the other side.
    """
    wanted = {_id(one): one for one in _once(truth, "the true labels")}
    left_out: Counter[str] = Counter()
    cases: list[tuple[str, str]] = []
    for one in _once(given, "the labels"):
        true = wanted.pop(_id(one), None)
        if true is None:
            left_out["without true labels"] += 1
            continue
        if len(true.labels) != len(one.labels):
            raise StepwardError(
                f"solution {_id(one)}: {len(one.labels)} labels beside {len(true.labels)} true ones; expected as many",
                code="mismatch",
                field="labels",
            )
        ours, theirs = first_error(one.labels, above), first_error(true.labels, true_above)
        if ours is None or theirs is None:
            left_out["first error not labelled" if ours is None else "true first error not labelled"] += 1
            continue
        cases.append((one.problem_id, case_of(ours, theirs)))
    if wanted:
        left_out["without labels"] = len(wanted)
    if not cases:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "there are none"
        raise StepwardError(
            f"no solution has both labels and true labels ({reasons}); compare labels of the same ones",
            code="empty",
            field="labels",
        )
    return _noise(cases, dict(left_out), seed)


def case_of(found: int, true: int) -> str:
    """The case of `CASES` that two first errors are, each an index from 0 or -1 for none."""
    if true == NO_ERROR:
        return "none" if found == NO_ERROR else "invented"
    if found == NO_ERROR:
        return "missed"
    if found == true:
        return "exact"
    return "early" if found < true else "late"


def _noise(cases: Sequence[tuple[str, str]], left_out: dict[str, int], seed: int) -> LabelNoise:
    rows = {problem_id: row for row, problem_id in enumerate(dict.fromkeys(one for one, _ in cases))}
    counts = np.zeros((len(rows), len(CASES)))
    for problem_id, case in cases:
        counts[rows[problem_id], CASES.index(case)] += 1
    drawn = resamples(len(rows), seed) @ counts
    low, high = np.percentile(drawn / drawn.sum(axis=1, keepdims=True), [2.5, 97.5], axis=0)
    total = counts.sum(axis=0)
    widest = 1 - 0.025 ** (1 / len(rows))  # the exact upper end of 0 of so many
    shares = tuple(
        CaseProportion(
            case,
            int(total[at]),
            float(total[at] / len(cases)),
            1 - widest if total[at] == len(cases) else float(low[at]),
            widest if total[at] == 0 else float(high[at]),
        )
        for at, case in enumerate(CASES)
    )
    of = dict(zip(CASES, total, strict=True))
    with_error = _ratio(of["exact"], sum(of[case] for case in WITH_ERROR))
    without_error = _ratio(of["none"], of["none"] + of["invented"])
    return LabelNoise(
        len(cases), len(rows), shares, with_error, without_error, _harmonic(with_error, without_error), left_out
    )


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def _harmonic(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return None
    return 2 * one * other / (one + other) if one + other else 0.0


def _id(labels: Labels) -> str:
    return labels.solution_id if isinstance(labels, StepLabels) else labels.id


def _once(labels: Iterable[Labels], what: str) -> list[Labels]:
    """The labels, of which no solution stands twice and none branches."""
    given = list(labels)
    seen: set[str] = set()
    for one in given:
        if isinstance(one, LabelledSolution) and one.parents:
            raise StepwardError(
                f"solution {one.id} branches; take its paths one by one (stepward.formats.branches)",
                code="unsupported",
                field="parents",
            )
        if _id(one) in seen:
            raise StepwardError(
                f"solution {_id(one)} stands twice in {what}; expected it once", code="duplicate", field="id"
            )
        seen.add(_id(one))
    return given
