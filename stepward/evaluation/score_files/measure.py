"""Measures scores from elsewhere as a run's are, rewards of any size too."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.accuracy import Accuracies, measure_table
from stepward.evaluation.best_of_n.aggregation import vote_weights
from stepward.evaluation.best_of_n.table import CandidateTable, ModelScores
from stepward.evaluation.best_of_n.voting import Ties

Floats = NDArray[np.float64]

BY_ORDER = ("best", "weighted_max")
"""Votings for which only the scores' order counts."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How scores are measured.

    Attributes:
        aggregations: Under which; `last` alone for rewards.
        rewards: Whether scores are one number of any size a solution.
        seed: Seed of the subsets for voting.
        subsets: How many a problem and N.
        ties: Which of answers that tie in a vote of all a problem's candidates wins.
    """

    aggregations: tuple[str, ...]
    rewards: bool
    seed: int
    subsets: int
    ties: Ties

    def measure(
        self,
        table: CandidateTable,
        models: Sequence[ModelScores],
        ns: tuple[int, ...],
        aggregations: Sequence[str] | None = None,
        progress: Callable[[], None] = lambda: None,
    ) -> Accuracies:
        """Every voting under the aggregations.

        A vote needs weights that are not negative, and a reward may be any number; so votes are weighed by its
        logistic, the chance that Bradley and Terry give the solution against one of reward 0. Where only the order
        counts it is the reward itself that ranks, since the logistic of large rewards is 1 for all of them.

        Args:
            table: The candidates.
            models: Their scores.
            ns: The sizes of candidate sets.
            aggregations: Fewer than the rules'; those if not given.
            progress: Called after each problem, for rewards twice.
        """
        names = self.aggregations if aggregations is None else tuple(aggregations)

        def measured(scores: Sequence[ModelScores], subsets: int) -> Accuracies:
            return measure_table(
                table, scores, ns, seed=self.seed, subsets=subsets, ties=self.ties, aggregations=names,
                progress=progress,
            )  # fmt: skip

        if not self.rewards:
            return measured(models, self.subsets)
        problems = np.asarray(table.starts[:-1])
        weights = [replace(model, steps=vote_weights("logodds", model.steps, problems)) for model in models]
        voted = measured(weights, self.subsets)
        by_order = measured([replace(model, steps=_ranks(model.steps)) for model in models], 1)
        scored = {key: by_order.scored[key] if key[1] in BY_ORDER else value for key, value in voted.scored.items()}
        return replace(voted, scored=scored)


def _ranks(rewards: Floats) -> Floats:
    """Numbers in (0, 1] in the order of the rewards; equal ones for equal ones."""
    levels, level = np.unique(rewards, return_inverse=True)
    return (level + 1.0) / len(levels)


def check_sizes(table: CandidateTable, ns: Sequence[int] | None) -> tuple[int, ...]:
    """The N to measure at, in order: those asked for, or powers of two and the smallest number of candidates.

    Raises:
        StepwardError: One is below 1, or a problem has fewer candidates; names the problem.
    """
    counts = np.diff(table.starts)
    fewest = int(counts.min())
    if ns is None:
        return tuple(sorted({2**power for power in range(fewest.bit_length())} | {fewest}))
    sizes = tuple(sorted(set(ns)))
    if not sizes or sizes[0] < 1:
        raise StepwardError(
            f"--ns {','.join(map(str, ns))}: expected at least one N, each at least 1", code="bad_value", field="--ns"
        )
    if sizes[-1] > fewest:
        short = int((counts < sizes[-1]).sum())
        raise StepwardError(
            f"problem {table.problems[int(counts.argmin())]!r} has {fewest} candidates, fewer than N = {sizes[-1]} "
            f"({short:,} of {len(counts):,} problems have too few); give --ns up to {fewest}, or score more solutions",
            code="too_few",
            field="--ns",
        )
    return sizes
