"""How well Monte-Carlo labels agree with the oracle, at every K up to what was drawn.

A hard label at K is 1 if any of K completions is right. Whatever K completions were drawn first is chance, so the
agreement is the mean over every K of the drawn completions: of n with r right, none of K is right with probability
C(n - r, K)/C(n, K). No completion is sampled again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.closed_form import subset_probabilities
from stepward.records import StepRollouts

KS = (1, 2, 4, 8, 16)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Hard labels at K beside the oracle, in shares of `prefixes` that add up to 1.

    Attributes:
        k: Completions a prefix; None for whole solutions, whose label is their grade.
        prefixes: How many prefixes had at least K completions.
        agreement: The expected share on which label and oracle agree.
        false_positives: The expected share with label 1 that the oracle calls wrong.
        false_negatives: The expected share with label 0 that the oracle calls right.
    """

    k: int | None
    prefixes: int
    agreement: float
    false_positives: float
    false_negatives: float


@dataclass(frozen=True, slots=True)
class LabelQuality:
    """Label quality over distinct prefixes.

    Attributes:
        by_k: Prefixes with sampled completions, a row for each K that some prefix has.
        whole: Whole solutions, whose label is their grade: a false positive is a right answer by wrong steps. None
            where there are none.
        soft_auc: The area under the ROC curve of the soft label at every prefix's full K against the oracle, over
            sampled prefixes. None where the oracle calls all right or all wrong.
        oracle_right: The share of sampled prefixes that the oracle calls right. None where there are none.
    """

    by_k: tuple[Agreement, ...]
    whole: Agreement | None
    soft_auc: float | None
    oracle_right: float | None


def label_quality(rollouts: Sequence[StepRollouts], oracle: Mapping[str, bool], ks: Sequence[int] = KS) -> LabelQuality:
    """Compares the labels that the counts give with the oracle's.

    Args:
        rollouts: Counts of distinct prefixes.
        oracle: By the prefix's id, whether its last step and all before it are right.
        ks: The numbers of completions to report.

    Raises:
        StepwardError: The oracle does not know a prefix, or its counts are impossible.
    """
    for prefix in rollouts:
        if prefix.id not in oracle:
            raise StepwardError(
                f"rollouts of prefix {prefix.id}: the oracle has no verdict on it; judge every prefix",
                code="missing",
                field="oracle",
            )
        if not (prefix.drawn >= 1 and 0 <= prefix.right <= prefix.drawn):
            raise StepwardError(
                f"rollouts of prefix {prefix.id}: {prefix.right} right of {prefix.drawn} drawn",
                code="bad_value",
                field="right",
            )
    sampled = [prefix for prefix in rollouts if not prefix.complete]
    whole = [prefix for prefix in rollouts if prefix.complete]
    soft = np.array([prefix.right / prefix.drawn for prefix in sampled])
    truth = np.array([oracle[prefix.id] for prefix in sampled], dtype=bool)
    rows = []
    for k in ks:
        enough = [prefix for prefix in sampled if prefix.drawn >= k]
        if enough:
            rows.append(_agreement(enough, oracle, k))
    return LabelQuality(
        by_k=tuple(rows),
        whole=_agreement(whole, oracle, None) if whole else None,
        soft_auc=_auc(soft, truth),
        oracle_right=float(truth.mean()) if sampled else None,
    )


def _agreement(prefixes: Sequence[StepRollouts], oracle: Mapping[str, bool], k: int | None) -> Agreement:
    positive = np.array(
        [
            1.0 - subset_probabilities(prefix.drawn, (k or prefix.drawn,))[prefix.drawn - prefix.right, 0]
            for prefix in prefixes
        ]
    )
    truth = np.array([oracle[prefix.id] for prefix in prefixes], dtype=bool)
    false_positives = float(np.where(truth, 0.0, positive).mean())
    false_negatives = float(np.where(truth, 1.0 - positive, 0.0).mean())
    return Agreement(k, len(prefixes), 1.0 - false_positives - false_negatives, false_positives, false_negatives)


def _auc(soft: NDArray[np.float64], truth: NDArray[np.bool_]) -> float | None:
    """The chance that a right prefix's label is above a wrong one's, ties counting half."""
    if truth.all() or not truth.any():
        return None
    levels, level = np.unique(soft, return_inverse=True)
    right = np.bincount(level, weights=truth, minlength=len(levels))
    wrong = np.bincount(level, weights=~truth, minlength=len(levels))
    below = np.cumsum(wrong) - wrong
    return float((right * (below + wrong / 2)).sum() / (right.sum() * wrong.sum()))
