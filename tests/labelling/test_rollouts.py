"""Rollouts of a scripted completer: one draw of K a distinct prefix, and only whole, right completions count."""

from collections.abc import Sequence
from itertools import permutations

import pytest

from stepward.generation.protocol import Completion, Prompt, Sampling
from stepward.labelling.rollouts import completion_answer, draw_rollouts
from stepward.records import Problem, Solution, StepRollouts, prefix_id, solution_id

PROBLEM = Problem("p", "What is 1 + 2 + 3?", "6")
OTHER = Problem("q", "What is 1 + 1?", "2")
SAMPLING = Sampling(0.7, 0.9, 20)


class ScriptedCompleter:
    """Answers every prefix with the completions listed for its last step, over and over."""

    name = "script"

    def __init__(self, script: dict[str, list[Completion]]) -> None:
        self.script = script
        self.asked: list[Prompt] = []
        self.calls: list[tuple[Sampling, int]] = []

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        """The script's completions."""
        self.asked += prompts
        self.calls.append((sampling, seed))
        return [
            [options[draw % len(options)] for draw in range(prompt.count)]
            for prompt in prompts
            for options in [self.script.get(prompt.steps[-1], [whole("The answer is 0.")])]
        ]


def whole(text: str) -> Completion:
    return Completion(text, True)


def attempt(*steps: str, answer: str | None, cut: bool = False, problem: Problem = PROBLEM) -> Solution:
    """A graded solution, as `draw_solutions` writes it."""
    identity = solution_id(problem.id, steps) + ("+cut" if cut else "")
    return Solution(identity, problem.id, steps, answer, answer == problem.reference, finished=not cut)


def roll_out(solutions: Sequence[Solution], completer: ScriptedCompleter, count: int = 4) -> list[StepRollouts]:
    return draw_rollouts(
        [PROBLEM, OTHER], solutions, completer, lambda reference, answer: reference == answer,
        completions=count, sampling=SAMPLING, seed=7,
    )  # fmt: skip


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


def test_cut_and_empty_completions_are_never_right() -> None:
    completer = ScriptedCompleter({
        "The answer is 6.": [
            whole(""), whole("\n \n"), Completion("The answer is 6.", False), whole("The answer is 6."),
        ],
    })  # fmt: skip
    found = roll_out([attempt("The answer is 6.", "So be it.", answer="6")], completer)
    assert [(one.right, one.drawn, one.complete) for one in found] == [(1, 4, False), (1, 1, True)]


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
