"""Which prefixes are looked at next, given what the counts say so far."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Protocol

from stepward.errors import StepwardError
from stepward.labeling.rollouts.estimators import mixed_stopping_distribution
from stepward.labeling.rollouts.prefixes import Path, Prefix, Prefixes
from stepward.labeling.rollouts.stopping import Stopping, num_remaining
from stepward.records import StepRollouts

SEARCHES = ("every", "first_error")

Counts = Mapping[str, StepRollouts]
"""What was counted so far, by the prefix's id; whole solutions are not in it."""


class Search(Protocol):
    """Chooses prefixes; those it names again are drawn from until the stopping rule has enough of them."""

    def next_prefixes(self, prefixes: Prefixes, counts: Counts, stopping: Stopping) -> list[Prefix]:
        """The prefixes that shall be known next; none where all is known that is asked."""
        ...


class AllPrefixes:
    """Every distinct prefix, all at once."""

    def next_prefixes(self, prefixes: Prefixes, counts: Counts, stopping: Stopping) -> list[Prefix]:
        """All that are known only by drawing."""
        return prefixes.unresolved()


class BinarySearch:
    """Looks in every wrong solution for the first prefix from which no completion is right, by halves.

    This is OmegaPRM's binary search (Luo et al. 2024, "Improve Mathematical Reasoning in Language Models by Automated
    Process Supervision"): log2 of the steps is what a solution costs, 9 prefixes for 400 steps. Where the stopping rule
    draws less at a prefix that succeeds than at one that never does, the halves are of cost, not of length: it pays to
    ask nearer to the beginning, where more prefixes succeed and more solutions share them. The search rests on one
    assumption: what goes on from a prefix that never succeeds never succeeds. Of chances that is true; counts of few
    completions may say otherwise, and then one of the places where right turns to wrong is found, not always the first.

    Right solutions cost nothing: such a solution is itself a right completion of each of its prefixes. So a prefix
    that a right solution shares is known to be good in the wrong ones, too, and whatever was counted at a shared prefix
    serves every solution that has it. All solutions are searched at once: a round asks one prefix of each.
    """

    def next_prefixes(self, prefixes: Prefixes, counts: Counts, stopping: Stopping) -> list[Prefix]:
        """For every undecided solution one of its undecided prefixes, the middle one if all cost the same."""
        witnessed = prefixes_of_correct(prefixes.paths)
        found: dict[str, Prefix] = {}
        for path in prefixes.paths:
            asked = None if path.correct else _next_of(path, prefixes, witnessed, counts, stopping)
            if asked is not None:
                found[asked] = prefixes.of[asked]
        return list(found.values())


def prefixes_of_correct(paths: Iterable[Path]) -> set[str]:
    """The ids of the prefixes of right solutions: each has a right completion, the rest of the solution."""
    return {prefix for path in paths if path.correct for prefix in path.prefixes}


def last_correct(worth: list[bool | None]) -> int:
    """The index of the last prefix known to succeed, -1 if none is; all before it succeed through it."""
    return max((index for index, value in enumerate(worth) if value), default=-1)


def _next_of(path: Path, prefixes: Prefixes, witnessed: set[str], counts: Counts, stopping: Stopping) -> str | None:
    """The prefix to ask next; None where the first error is found, or can't be."""
    inner = path.prefixes[:-1]
    worth: list[bool | None] = []
    for prefix in inner:
        count = counts.get(prefix)
        if prefix in witnessed:
            worth.append(True)
        elif prefix in prefixes.graded:
            worth.append(prefixes.graded[prefix])
        elif count is None:
            worth.append(None)
        elif num_remaining(stopping, count):
            # It was begun, by another solution's search or by a run that drew fewer: it is finished first.
            return prefix
        else:
            worth.append(count.right > 0 if count.drawn else None)
    low = last_correct(worth)
    high = next((index for index in range(low + 1, len(inner)) if worth[index] is False), len(inner))
    # A prefix whose draws were all void stays unknown for good, and the search goes round it.
    open_ = [inner[index] for index in range(low + 1, high) if inner[index] not in counts]
    return open_[_place(len(open_), *_costs(stopping))] if open_ else None


@lru_cache(maxsize=64)
def _costs(rule: Stopping) -> tuple[float, float]:
    """The mean number of draws at a prefix that never succeeds, and at one that does, all its chances as likely."""
    never = ever = chance = 0.0
    for drawn, right, weight in mixed_stopping_distribution(rule):
        if right:
            ever, chance = ever + drawn * weight, chance + weight
        else:
            never = drawn
    return never, round(ever / chance, 6)


def _place(count: int, never: float, ever: float) -> int:
    """Which of `count` undecided prefixes to ask, from 0, so that the fewest draws are expected in all.

    The first error is as likely at each of them as after them. If it lies at the one asked or before it, that one
    costs `never`, else `ever`; and the search goes on in what is left on that side.
    """
    plans = _plans(never, ever)
    while len(plans) <= count:
        open_ = len(plans)
        cost, _, place = min(
            (
                (asked + 1) * never + (open_ - asked) * ever + plans[asked][0] + plans[open_ - asked - 1][0],
                # Of equal ones the middle, which needs the fewest rounds.
                abs(2 * asked - open_),
                asked,
            )
            for asked in range(open_)
        )
        plans.append((cost, place))
    return plans[count][1]


@lru_cache(maxsize=64)
def _plans(never: float, ever: float) -> list[tuple[float, int]]:
    """For 0, 1, ... undecided prefixes the draws expected, times the cases, and which is asked; `_place` adds to it."""
    return [(0.0, 0)]


def make_search(name: str) -> Search:
    """The search of a recipe.

    Raises:
        StepwardError: An unknown name; `tree` looks at prefixes that no solution has
            (stepward.labeling.rollouts.omegaprm).
    """
    if name == "every":
        return AllPrefixes()
    if name == "first_error":
        return BinarySearch()
    raise StepwardError(
        f"unknown search {name!r}: expected {' or '.join(SEARCHES)}; a tree is grown by grow_trees",
        code="unknown_name",
        field="search",
    )
