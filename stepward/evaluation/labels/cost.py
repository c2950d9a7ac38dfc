"""What a way of drawing rollouts costs, and how good the hard labels are that it gives, beside the oracle's.

A way that draws K completions of every prefix holds cheaper ones in its counts: what K' < K would give, and what
stopping at the first right one would, are expectations over which completions happened to come first. They are told as
simulated. Nothing is sampled for them; where drawing depended on what was drawn, they can't be had.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.closed_form import subset_probabilities
from stepward.evaluation.labels.agreement import KS
from stepward.labeling.labels import Missing, Oracle, compute_labels
from stepward.labeling.rollouts.estimators import POOL
from stepward.labeling.rollouts.stopping import FirstCorrect
from stepward.records import Solution, StepRollouts, prefix_id

EVERY = "every"
"""The search that leaves no prefix out."""

Path = Sequence[float | None]
"""Of one solution, each step's chance to be labelled 1; None for a step without a label."""


@dataclass(frozen=True, slots=True)
class LabelCost:
    """One way of drawing: its cost, and its hard labels beside the oracle's.

    Attributes:
        run: Which run.
        completer: Who completed the prefixes.
        strategy: The search and the stopping rules, such as `every all(16)`.
        simulated: Whether it was computed from the counts of another way.
        solutions: Solutions that were labelled.
        prefixes: Distinct prefixes that have a label, by their counts or by what the search concludes from others.
        void: Prefixes that were drawn from and got no completion.
        completions: Completions drawn; a mean where simulated.
        tokens: Tokens of them; a mean where simulated, None where the run did not count them.
        prefilled: Tokens of prefixes that were read; None where they were not counted, or simulated.
        agreement: The share of the labelled prefixes on which the label and the oracle agree.
        false_positives: The share of them with label 1 that the oracle calls wrong.
        false_negatives: The share of them with label 0 that the oracle calls right.
        first_error: The share of the solutions whose first wrong step, or that there is none, is what the oracle says.
    """

    run: str
    completer: str
    strategy: str
    simulated: bool
    solutions: int
    prefixes: int
    void: int
    completions: float
    tokens: float | None
    prefilled: int | None
    agreement: float
    false_positives: float
    false_negatives: float
    first_error: float


class RolloutBudget(NamedTuple):
    """What a way of drawing is called, and what the engine read for it."""

    run: str
    completer: str
    search: str = EVERY
    prefilled: int | None = None


def label_costs(
    way: RolloutBudget, solutions: Sequence[Solution], rollouts: Sequence[StepRollouts], oracle: Oracle
) -> list[LabelCost]:
    """Cost and quality of one completer's rollouts, and of the cheaper ways that its counts hold.

    Args:
        way: What it is called.
        solutions: The solutions that were labelled.
        rollouts: The counts of their prefixes, by one completer.
        oracle: The index of a solution's first wrong step, or None.

    Returns:
        The way itself first; then, if it drew the same of every prefix, all(K') for smaller K' and first_right(K).

    Raises:
        StepwardError: No prefix has a completion, or one has no counts though the search leaves none out.
    """
    sampled = [one for one in rollouts if not one.complete]
    counted = [one for one in sampled if one.drawn]
    if not counted:
        raise StepwardError(
            f"{way.run}: none of its {len(rollouts)} prefixes has a completion; nothing can be compared",
            code="empty",
            file=way.run,
        )
    judged = _Judged(solutions, rollouts, oracle)
    known = {one.id: one for one in rollouts}
    missing: Missing = "refuse" if way.search == EVERY else "infer"
    labels = compute_labels(solutions, known, "hard", missing=missing)
    paths: list[Path] = [one.labels for one in labels]
    rules = sorted({POOL if one.rule.startswith(POOL) else one.rule for one in counted})
    found = [_cost(way, "+".join(rules) or "all", sampled, lambda one: one.draws, judged.quality(paths))]
    if way.search == EVERY and all(rule == "" or rule.startswith("all(") for rule in rules):
        way = way._replace(prefilled=None)
        most = max(one.drawn for one in counted)
        for k in (k for k in KS if k < most):
            quality = judged.quality([judged.path_at(solution, known, k) for solution in solutions])
            found.append(_cost(way, f"all({k})", sampled, lambda one, k=k: min(k, one.draws), quality, simulated=True))  # type: ignore[misc]
        found.append(_cost(way, f"first_right({most})", sampled, _until_right, judged.quality(paths), simulated=True))
    return found


class Quality(NamedTuple):
    """Of `LabelCost`, what the labels are worth."""

    solutions: int
    prefixes: int
    agreement: float
    false_positives: float
    false_negatives: float
    first_error: float


def _cost(
    way: RolloutBudget,
    strategy: str,
    sampled: Sequence[StepRollouts],
    draws: Callable[[StepRollouts], float],
    quality: Quality,
    simulated: bool = False,
) -> LabelCost:
    """A row, with its cost from how many draws of each prefix it takes."""
    shares = [(one, draws(one) / one.draws) for one in sampled if one.draws]
    tokens = sum(one.tokens * share for one, share in shares)
    return LabelCost(
        way.run, way.completer, f"{way.search} {strategy}", simulated,
        void=sum(not one.drawn for one in sampled),
        completions=sum((one.draws - one.failed) * share for one, share in shares),
        tokens=tokens or None, prefilled=way.prefilled, **quality._asdict(),
    )  # fmt: skip


def _none_right(one: StepRollouts, k: int) -> float:
    """The chance that none of k of the completions is right, whichever of those drawn come first."""
    k = min(k, one.drawn)
    return float(subset_probabilities(one.drawn, (k,))[one.drawn - one.right, 0]) if k else 1.0


def _until_right(one: StepRollouts) -> float:
    """How many draws stopping at the first right completion takes, on the mean."""
    rule, tried, expected = FirstCorrect(one.draws), 0, 0.0
    while more := rule.more(tried, 0):
        expected += more * _none_right(one, tried)
        tried += more
    return expected


class _Judged:
    """Solutions as the oracle judges them, beside which labels are held.

    Args:
        solutions: The solutions.
        rollouts: The counts; whole solutions' prefixes are not compared, since their label is a grade.
        oracle: The index of a solution's first wrong step, or None.
    """

    def __init__(self, solutions: Sequence[Solution], rollouts: Sequence[StepRollouts], oracle: Oracle) -> None:
        self.graded = {one.id for one in rollouts if one.complete}
        self.ids = {solution.id: _prefix_ids(solution) for solution in solutions}
        self.wrong = [_wrong(solution, oracle) for solution in solutions]
        self.right = {
            key: wrong is None or at < wrong
            for ids, wrong in zip(self.ids.values(), self.wrong, strict=True)
            for at, key in enumerate(ids)
        }

    def path_at(self, solution: Solution, known: dict[str, StepRollouts], k: int) -> Path:
        """A solution's labels, had k completions been drawn of each prefix."""
        counts = [known[key] for key in self.ids[solution.id]]
        inner = [1 - _none_right(one, k) if one.drawn else None for one in counts]
        return [*inner, float(solution.correct)]

    def quality(self, paths: Sequence[Path]) -> Quality:
        """What labels are worth, from the path of every solution."""
        labels: dict[str, float] = {}
        found = 0.0
        for ids, path, wrong in zip(self.ids.values(), paths, self.wrong, strict=True):
            found += _found_at(path, wrong)
            for key, chance in zip(ids, path, strict=False):
                if chance is not None and key not in self.graded:
                    # A prefix that a search knows to succeed in one solution does so in all.
                    labels[key] = max(chance, labels.get(key, 0.0))
        count = max(len(labels), 1)
        positives = sum(chance for key, chance in labels.items() if not self.right[key]) / count
        negatives = sum(1 - chance for key, chance in labels.items() if self.right[key]) / count
        return Quality(len(paths), len(labels), 1 - positives - negatives, positives, negatives, found / len(paths))


def _prefix_ids(solution: Solution) -> list[str]:
    """The ids of all its prefixes but itself."""
    return [prefix_id(solution.problem_id, solution.steps[:end]) for end in range(1, len(solution.steps))]


def _wrong(solution: Solution, oracle: Oracle) -> int | None:
    """The first wrong step; the last one where a solution stops too early, or states no answer."""
    wrong = oracle(solution.problem_id, solution.steps)
    return len(solution.steps) - 1 if wrong is None and not solution.correct else wrong


def _found_at(path: Path, wrong: int | None) -> float:
    """The chance that the first label 0 of a path stands at the index `wrong`, or that there is none for None."""
    chance = 1.0
    for at, right in enumerate(path):
        if right is None:
            return 0.0
        if at == wrong:
            return chance * (1 - right)
        chance *= right
    return chance
