"""What each reward model and the majority choose of a problem's candidates: what the browser of problems filters by."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stepward.report.data import Candidate, ProblemView


@dataclass(frozen=True, slots=True)
class ProblemExample:
    """Who chose what of one problem's candidates.

    Attributes:
        ranks: The place of every candidate by each model, from 0; of equal scores the smaller id comes first
            [candidate, model].
        favourites: The candidate that each model ranks first [model].
        usual: The most drawn candidate with the most common answer, answers being told apart by the grader; of equally
            common ones the first, and no answer is the least common.
    """

    ranks: tuple[tuple[int, ...], ...]
    favourites: tuple[int, ...]
    usual: int


def judge(view: ProblemView, models: int) -> ProblemExample:
    """Ranks a problem's candidates by each of the first `models` models, and counts their votes."""
    candidates = view.candidates
    columns: list[list[int]] = []
    favourites: list[int] = []
    for model in range(models):
        order = sorted(range(len(candidates)), key=lambda i: (-candidates[i].totals[model], candidates[i].solution.id))
        places = [0] * len(candidates)
        for place, candidate in enumerate(order):
            places[candidate] = place
        columns.append(places)
        favourites.append(order[0])
    ranks = tuple(zip(*columns, strict=True)) if columns else tuple(() for _ in candidates)
    return ProblemExample(ranks, tuple(favourites), _majority_answer(candidates))


def _majority_answer(candidates: Sequence[Candidate]) -> int:
    votes: Counter[int] = Counter()
    for one in candidates:
        votes[one.group] += one.solution.copies
    # Of equal keys `max` takes the first.
    winner = max(votes, key=lambda group: (group >= 0, votes[group]))
    numbers = [i for i, one in enumerate(candidates) if one.group == winner]
    return max(numbers, key=lambda i: (candidates[i].solution.copies, candidates[i].solution.id))


@dataclass(frozen=True, slots=True)
class Example:
    """A problem to show without the browser: the model's favourite, and the usual candidate of another answer."""

    view: ProblemView
    shown: tuple[Candidate, ...]


def examples(views: Sequence[ProblemView], models: int, most: int = 5) -> list[Example]:
    """A few problems where the first model and the majority differ: some where the model is right, some where not."""
    if not models:
        return []
    found = []
    for view in views:
        verdict = judge(view, models)
        favourite, usual = view.candidates[verdict.favourites[0]], view.candidates[verdict.usual]
        if favourite.group != usual.group:
            found.append(Example(view, (favourite, usual)))
    found.sort(key=lambda one: (one.shown[0].solution.correct == one.shown[1].solution.correct, one.view.problem.id))
    right = [one for one in found if one.shown[0].solution.correct][: most - 2]
    return right + [one for one in found if not one.shown[0].solution.correct][: most - len(right)]
