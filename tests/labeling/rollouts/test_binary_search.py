"""The search for the first error: what it asks, what it costs, and what labels come of it."""

from functools import cache
from itertools import islice, permutations
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labeling.completers import OTHER, PROBLEM, SAMPLING, ChanceCompleter, attempt, same
from raising import refused

from stepward.labeling.labels import compute_labels
from stepward.labeling.rollouts.binary_search import AllPrefixes, BinarySearch, Search, make_search
from stepward.labeling.rollouts.sampling import draw_rollouts
from stepward.labeling.rollouts.stopping import All, FirstCorrect, Stopping
from stepward.records import Solution, StepRollouts


def roll_out(
    solutions: list[Solution],
    completer: ChanceCompleter,
    search: Search,
    stopping: Stopping = All(4),  # noqa: B008
    before: list[StepRollouts] | None = None,
) -> list[StepRollouts]:
    return draw_rollouts(
        [PROBLEM, OTHER], solutions, completer, same,
        stopping=stopping, search=search, sampling=SAMPLING, seed=3, before=before or (),
    )  # fmt: skip


def wrong_from(marks: str, *, correct: bool = False) -> Solution:
    """A solution with a step a letter; a capital letter is an error that nothing recovers from."""
    steps = tuple(f"{index}{mark}" for index, mark in enumerate(marks))
    return attempt(*steps, answer="6" if correct else "5")


def recoverable(steps: tuple[str, ...]) -> float:
    return float(not any(step[-1].isupper() for step in steps))


def hard(solutions: list[Solution], rollouts: list[StepRollouts], **options: str) -> list[tuple[float | None, ...]]:
    found = compute_labels(solutions, {one.id: one for one in rollouts}, "hard", **options)  # type: ignore[arg-type]
    return [one.labels for one in found]


@pytest.mark.parametrize(
    ("length", "rule"),
    [(1, All(4)), (2, All(4)), (3, FirstCorrect(4)), (7, All(4)), (64, All(1)), (400, All(2)), (64, FirstCorrect(4))],
    ids=str,
)
def test_the_first_error_of_one_solution_is_found_in_the_logarithm_of_its_steps(length: int, rule: Stopping) -> None:
    for error in sorted({0, length // 3, length - 1}):
        solution = wrong_from("".join("aB"[index == error] for index in range(length)))
        completer = ChanceCompleter(recoverable)
        found = roll_out([solution], completer, BinarySearch(), rule)
        asked = {prompt.id for prompt in completer.asked}
        if isinstance(rule, All):
            assert len(asked) <= ceil(log2(length))
        (labels,) = hard([solution], found, missing="infer")
        assert labels[: error + 1] == (1.0,) * error + (0.0,)
        # Between the error and the last step, whose label is the grade, only what the search asked is known.
        assert set(labels[error + 1 : -1]) <= {None, 0.0} and labels[-1] == 0.0
        (dropped,) = hard([solution], found, missing="infer", after_first_error="drop")
        assert dropped == (1.0,) * error + (0.0,) + (None,) * (length - error - 1)
        (zeroed,) = hard([solution], found, missing="infer", after_first_error="zero")
        assert zeroed == (1.0,) * error + (0.0,) * (length - error)


def test_right_solutions_cost_nothing_and_bound_the_search_in_those_that_share_their_steps() -> None:
    right = wrong_from("aaaaaa", correct=True)
    wrong = wrong_from("aaaaaB")
    completer = ChanceCompleter(recoverable)
    found = roll_out([right, wrong], completer, BinarySearch())
    assert completer.asked == [] and [one.complete for one in found] == [True, True]
    assert hard([right, wrong], found, missing="infer") == [(1.0,) * 6, (1.0,) * 5 + (0.0,)]


def test_what_one_search_counts_bounds_the_others() -> None:
    solutions = [wrong_from("aaaaBxxx" + ending) for ending in "pqrstuvw"]
    alone, together = ChanceCompleter(recoverable), ChanceCompleter(recoverable)
    roll_out(solutions[:1], alone, BinarySearch())
    found = roll_out(solutions, together, BinarySearch())
    assert together.draws() == alone.draws()
    assert {labels[:5] for labels in hard(solutions, found, missing="infer")} == {(1.0, 1.0, 1.0, 1.0, 0.0)}


def mean_cost(length: int, never: float, ever: float, *, halves: bool) -> float:
    """The mean cost of finding an error among `length` steps, the last known to be wrong, by the search's own choices.

    `never` is what a prefix costs that never succeeds, `ever` what one costs that does.
    """
    costs = []
    for error in range(length):
        solution = wrong_from("".join("aB"[index == error] for index in range(length)))
        completer = ChanceCompleter(recoverable)
        roll_out([solution], completer, BinarySearch(), All(1) if halves else FirstCorrect(int(never)))
        fails = {prompt.id for prompt in completer.asked if len(prompt.steps) > error}
        asked = {prompt.id for prompt in completer.asked}
        costs.append(never * len(fails) + ever * len(asked - fails))
    return sum(costs) / length


@pytest.mark.parametrize("length", [5, 12])
def test_where_success_is_cheap_the_search_costs_less_than_by_halves_and_as_little_as_can_be(length: int) -> None:
    assert mean_cost(length, 16, 3, halves=False) < mean_cost(length, 16, 3, halves=True)
    never, ever = 16, 3.096528

    @cache
    def least(open_: int) -> float:
        """By trying every order: the mean over the cases, times their number."""
        options = (
            (asked + 1) * never + (open_ - asked) * ever + least(asked) + least(open_ - asked - 1)
            for asked in range(open_)
        )
        return min(options, default=0.0)

    assert mean_cost(length, never, ever, halves=False) == pytest.approx(least(length - 1) / length)


marked = st.lists(
    st.text("abcX", max_size=8).map(lambda marks: wrong_from(marks + "X"))
    | st.text("abc", min_size=1, max_size=9).map(lambda marks: wrong_from(marks, correct=True)),
    min_size=1, max_size=6,
)  # fmt: skip


@given(marked)
def test_where_no_error_is_recovered_from_the_search_finds_what_every_prefix_says(solutions: list[Solution]) -> None:
    searched, full = ChanceCompleter(recoverable), ChanceCompleter(recoverable)
    found = roll_out(solutions, searched, BinarySearch(), FirstCorrect(4))
    whole = roll_out(solutions, full, AllPrefixes(), FirstCorrect(4))
    assert searched.draws() <= full.draws()
    expected = hard(solutions, whole, missing="infer", after_first_error="drop")
    assert hard(solutions, found, missing="infer", after_first_error="drop") == expected


@given(marked, st.integers(0, 99))
def test_the_state_is_the_counts_alone(solutions: list[Solution], seed: int) -> None:
    """Whatever part of the records was kept, going on from it ends; and the kept ones are as they were."""

    def chance(steps: tuple[str, ...]) -> float:
        return 0.3 if recoverable(steps) else 0.05

    completer = ChanceCompleter(chance)
    found = roll_out(solutions, completer, BinarySearch(), FirstCorrect(4))
    assert roll_out(solutions, completer, BinarySearch(), FirstCorrect(4), found) == found
    kept = [one for index, one in enumerate(found) if (index + seed) % 3]
    again = roll_out(solutions, completer, BinarySearch(), FirstCorrect(4), kept)
    assert {one.id for one in kept} <= {one.id for one in again}
    by_id = {one.id: one for one in found}
    assert all(by_id[one.id] == one for one in again if one.id in by_id)
    for order in islice(permutations(solutions), 3):
        assert set(roll_out(list(order), ChanceCompleter(chance), BinarySearch(), FirstCorrect(4))) == set(found)


def test_a_prefix_whose_draws_are_all_void_is_gone_round() -> None:
    class Mute(ChanceCompleter):
        def _one(self, prompt, seed, draw):  # type: ignore[no-untyped-def]
            given = super()._one(prompt, seed, draw)
            return given if len(prompt.steps) != 4 else type(given)("", True, 1)

    solution = wrong_from("aaaaaBaa")
    completer = Mute(recoverable)
    found = roll_out([solution], completer, BinarySearch())
    assert {len(prompt.steps) for prompt in completer.asked} >= {4, 5, 6}
    (labels,) = hard([solution], found, missing="infer")
    # Its fourth step has no counts, but the fifth succeeds.
    assert labels[:6] == (1.0,) * 5 + (0.0,)

    dumb = ChanceCompleter(recoverable, empty=1.0)
    found = roll_out([solution], dumb, BinarySearch())
    assert dumb.draws() == 7 * 4
    assert hard([solution], found, missing="infer") == [(None,) * 7 + (0.0,)]


def test_a_begun_prefix_is_finished_before_others_are_asked() -> None:
    solution = wrong_from("aaaaaBaa")
    completer = ChanceCompleter(recoverable)
    small = roll_out([solution], completer, BinarySearch(), All(2))
    grown = roll_out([solution], completer, BinarySearch(), All(5), small)
    assert grown == roll_out([solution], ChanceCompleter(recoverable), BinarySearch(), All(5))
    assert completer.draws() == sum(one.drawn for one in grown if not one.complete)


def test_a_shorter_solution_is_known_without_drawing() -> None:
    # The stated answer of the first three steps is right; the fourth goes on and spoils it.
    stated, longer = wrong_from("aaa", correct=True), wrong_from("aaaXa")
    completer = ChanceCompleter(recoverable)
    roll_out([stated, longer], completer, BinarySearch())
    assert {len(prompt.steps) for prompt in completer.asked} == {4}


def test_a_recipes_search_by_name() -> None:
    assert isinstance(make_search("every"), AllPrefixes) and isinstance(make_search("first_error"), BinarySearch)
    with refused("unknown_name", field="search", names=("'tree'", "every", "first_error")):
        make_search("tree")
