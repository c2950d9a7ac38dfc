"""Rollouts of a scripted completer: one draw of K a distinct prefix, and only whole, right completions count."""

from collections.abc import Sequence
from itertools import permutations

import pytest
from labeling.completers import OTHER, PROBLEM, SAMPLING, ChanceCompleter, ScriptedCompleter, attempt, same, whole
from raising import refused

from stepward.generation.interface import Completion, Prompt, Sampling
from stepward.labeling.rollouts.sampling import completion_answer, draw_rollouts
from stepward.labeling.rollouts.stopping import All, FirstCorrect, Interval, Stopping
from stepward.records import Solution, StepRollouts, prefix_id


def roll_out(
    solutions: Sequence[Solution],
    completer: ScriptedCompleter | ChanceCompleter,
    stopping: Stopping = All(4),  # noqa: B008
    before: Sequence[StepRollouts] = (),
) -> list[StepRollouts]:
    return draw_rollouts(
        [PROBLEM, OTHER], solutions, completer, same, stopping=stopping, sampling=SAMPLING, seed=7, before=before
    )


def test_a_shared_prefix_is_sampled_once_and_its_right_completions_are_counted() -> None:
    completer = ScriptedCompleter({
        "1 + 2 = 3.": [whole("3 + 3 = 6.\nThe answer is 6."), whole("3 + 3 = 7.\nThe answer is 7.")],
        "3 + 3 = 6.": [whole("The answer is 6.")],
    })  # fmt: skip
    solutions = [
        attempt("1 + 2 = 3.", "3 + 3 = 6.", "The answer is 6.", answer="6"),
        attempt("1 + 2 = 3.", "3 + 3 = 7.", "The answer is 7.", answer="7"),
        attempt("1 + 2 = 3.", "The answer is 3.", answer="3", problem=OTHER),
    ]
    found = roll_out(solutions, completer)
    counts = {(one.problem_id, one.steps): (one.right, one.drawn, one.complete) for one in found}
    assert counts == {
        ("p", ("1 + 2 = 3.",)): (2, 4, False),
        ("p", ("1 + 2 = 3.", "3 + 3 = 6.")): (4, 4, False),
        ("p", ("1 + 2 = 3.", "3 + 3 = 6.", "The answer is 6.")): (1, 1, True),
        ("p", ("1 + 2 = 3.", "3 + 3 = 7.")): (0, 4, False),
        ("p", ("1 + 2 = 3.", "3 + 3 = 7.", "The answer is 7.")): (0, 1, True),
        ("q", ("1 + 2 = 3.",)): (0, 4, False),
        ("q", ("1 + 2 = 3.", "The answer is 3.")): (0, 1, True),
    }
    assert [one.id for one in found] == [prefix_id(one.problem_id, one.steps) for one in found]
    assert {one.completer for one in found} == {"script"}
    assert [(one.id, one.question, one.steps, one.count) for one in completer.asked] == [
        (one.id, PROBLEM.question if one.problem_id == "p" else OTHER.question, one.steps, 4)
        for one in found
        if not one.complete
    ]
    assert completer.calls == [(SAMPLING, 7)]
    assert {(one.rule, one.tokens > 0) for one in found if not one.complete} == {("all(4)", True)}


def test_a_cut_completion_is_wrong_and_an_empty_one_does_not_count() -> None:
    completer = ScriptedCompleter({
        "The answer is 6.": [
            whole(""), whole("\n \n"), Completion("The answer is 6.", False), whole("The answer is 6."),
        ],
    })  # fmt: skip
    found = roll_out([attempt("The answer is 6.", "So be it.", answer="6")], completer)
    counts = [(one.right, one.drawn, one.empty, one.draws, one.complete) for one in found]
    assert counts == [(1, 2, 2, 4, False), (1, 1, 0, 0, True)]


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (Completion("3 + 3 = 6.\nThe answer is 6.", True), "6"),
        (Completion("3 + 3 = 6.\nThe answer is 6", False), None),
        (Completion("", True), None),
        (Completion(" \n", True), None),
        (Completion("3 + 3 = 6.", True), None),
    ],
)
def test_the_answer_of_a_completion(completion: Completion, answer: str | None) -> None:
    assert completion_answer(("1 + 2 = 3.",), completion) == answer


def test_an_answer_that_another_solution_continues_is_worth_its_grade() -> None:
    completer = ScriptedCompleter({})
    found = roll_out(
        [attempt("The answer is 6.", "Or 7?", answer="6"), attempt("The answer is 6.", answer="6")], completer
    )
    assert [(one.steps, one.right, one.complete) for one in found] == [
        (("The answer is 6.",), 1, True),
        (("The answer is 6.", "Or 7?"), 1, True),
    ]
    assert completer.asked == []


@pytest.mark.parametrize("cut", [True, False])
def test_a_solution_without_an_answer_does_not_condemn_the_prefix_that_it_is(cut: bool) -> None:
    completer = ScriptedCompleter({"1 + 2 = 3.": [whole("The answer is 6.")]})
    solutions = [
        attempt("1 + 2 = 3.", "3 + 3 = 6.", "The answer is 6.", answer="6"),
        attempt("1 + 2 = 3.", answer=None, cut=cut),
    ]
    for order in permutations(solutions):
        (prefix,) = (one for one in roll_out(order, completer) if one.steps == ("1 + 2 = 3.",))
        assert (prefix.right, prefix.drawn, prefix.complete) == (4, 4, False)


def test_the_order_of_solutions_does_not_change_the_records() -> None:
    solutions = [
        attempt("a", "b", "The answer is 6.", answer="6"),
        attempt("a", "b", "The answer is 6.", answer=None, cut=True),
        attempt("a", "b", answer=None),
        attempt("a", "The answer is 6.", answer="6"),
        attempt("a", "The answer is 6.", "c", answer="6"),
    ]
    completer = ScriptedCompleter({"a": [whole("The answer is 6."), whole("b")]})
    expected = set(roll_out(solutions, completer))
    assert len(expected) == 5
    assert all(set(roll_out(order, completer)) == expected for order in permutations(solutions))


def test_a_completion_that_was_cut_before_its_first_word_is_a_wrong_one_and_not_an_empty_one() -> None:
    completer = ScriptedCompleter({"a": [Completion("", False), whole(""), whole("The answer is 6."), whole("")]})
    (prefix, _) = roll_out([attempt("a", "The answer is 6.", answer="6")], completer)
    assert (prefix.drawn, prefix.right, prefix.empty, prefix.failed) == (2, 1, 2, 0)


def broken(fault: str) -> Completion:
    return Completion("", False, fault=fault)


def test_failed_draws_are_recorded_with_their_reason() -> None:
    completer = ScriptedCompleter({"a": [broken("timeout"), whole("The answer is 6."), broken("context"), whole("")]})
    (prefix, _) = roll_out([attempt("a", "The answer is 6.", answer="6")], completer)
    assert (prefix.drawn, prefix.right, prefix.empty, prefix.failed, prefix.fault) == (1, 1, 1, 2, "context")


def test_a_completer_that_never_writes_is_asked_no_more_than_most() -> None:
    for rule in (All(5), FirstCorrect(5), Interval(5, 0.4, 0.6)):
        completer = ScriptedCompleter({"a": [whole("")]})
        (prefix, _) = roll_out([attempt("a", "The answer is 6.", answer="6")], completer, rule)
        assert (prefix.drawn, prefix.right, prefix.empty) == (0, 0, 5)
        assert sum(prompt.count for prompt in completer.asked) == 5


class Careless(ScriptedCompleter):
    """Gives more or fewer completions than asked."""

    def __init__(self, change: int, prefixes: int = 0) -> None:
        super().__init__({"a": [whole("The answer is 6.")]})
        self.change, self.prefixes = change, prefixes

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        given = super().complete(prompts, sampling, seed)
        many = [[drawn[0]] * (len(drawn) + self.change) for drawn in given]
        return many[: len(many) + self.prefixes]


def test_completions_that_were_left_out_failed() -> None:
    (prefix, _) = roll_out([attempt("a", "The answer is 6.", answer="6")], Careless(-3))
    assert (prefix.drawn, prefix.right, prefix.failed, prefix.fault) == (1, 1, 3, "left out")


def test_completions_or_prefixes_that_can_not_be_told_apart_are_refused() -> None:
    solutions = [attempt("a", "The answer is 6.", answer="6")]
    with refused("server_incompatible", field="script", names=(prefix_id("p", ("a",)), 5, 4)):
        roll_out(solutions, Careless(1))
    with refused("server_incompatible", field="script", names=(0, 1)):
        roll_out(solutions, Careless(0, -1))


CHAIN = [attempt(*(f"{letter}{number}" for number in range(6)), answer=None) for letter in "abcde"]


def chance(steps: tuple[str, ...]) -> float:
    return {"a": 0.0, "b": 0.05, "c": 0.5, "d": 0.95, "e": 1.0}[steps[0][0]]


@pytest.mark.parametrize("void", [0.0, 0.2])
def test_growing_draws_only_what_is_new_and_gives_what_drawing_at_once_gives(void: float) -> None:
    pairs = [(All(5), All(16)), (FirstCorrect(4), FirstCorrect(16)), (Interval(10, 0.25, 0.8), Interval(24, 0.25, 0.8))]
    for small, large in pairs:
        once, twice = (ChanceCompleter(chance, empty=void, failed=void / 2) for _ in range(2))
        expected = roll_out(CHAIN, once, large)
        first = roll_out(CHAIN, twice, small)
        grown = roll_out(CHAIN, twice, large, before=first)
        assert grown == expected, "the rule, too, whichever of the two ended a prefix"
        assert twice.draws() == once.draws()
        assert roll_out(CHAIN, twice, large, before=grown) == grown and twice.draws() == once.draws()


def test_first_right_gives_the_hard_labels_of_all() -> None:
    everything, early = ChanceCompleter(chance), ChanceCompleter(chance)
    full = roll_out(CHAIN, everything, All(16))
    found = roll_out(CHAIN, early, FirstCorrect(16))
    assert [one.right > 0 for one in found] == [one.right > 0 for one in full]
    assert early.draws() < everything.draws() / 2


def test_another_completers_counts_are_not_gone_on_from() -> None:
    solutions = [attempt("a", "The answer is 6.", answer="6")]
    before = roll_out(solutions, ScriptedCompleter({}))
    with refused("mismatch", names=("'script'", "'chance'")):
        roll_out(solutions, ChanceCompleter(chance), before=before)
