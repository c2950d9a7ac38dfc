"""Drawn solutions are graded, and merged with their equals without losing a draw."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from stepward.generation.interface import Completion, FailedPrompt, Prompt, Sampling
from stepward.records import Problem, solution_id
from stepward.solutions import CUT, EMPTY, draw_solutions

PROBLEMS = [Problem("p", "1 + 2?", "3"), Problem("q", "1 + 1?", "2")]
SAMPLING = Sampling(0.5, 0.9, 11)


class ScriptedGenerator:
    """Gives every prompt the first completions of one list."""

    name = "script"

    def __init__(self, script: Sequence[Completion]) -> None:
        self.script = script
        self.calls: list[tuple[list[Prompt], Sampling, int]] = []

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        """The script."""
        self.calls.append((list(prompts), sampling, seed))
        return [list(self.script[: prompt.count]) for prompt in prompts]


def draw(script: Sequence[Completion], problems: Sequence[Problem] = PROBLEMS) -> tuple[list, ScriptedGenerator]:  # type: ignore[type-arg]
    generator = ScriptedGenerator(script)
    found = draw_solutions(
        problems, generator, lambda reference, answer: reference == answer,
        count=len(script), sampling=SAMPLING, seed=5,
    )  # fmt: skip
    return found.solutions, generator


completions = st.lists(
    st.builds(
        Completion, st.sampled_from(["", "\n", "a\nThe answer is 3.", "a \n\nThe answer is 3.\n", "b"]), st.booleans()
    ),
    min_size=1,
    max_size=12,
)


@given(completions)
def test_copies_add_up_to_the_draws_and_no_two_solutions_are_equal(script: list[Completion]) -> None:
    found, _ = draw(script)
    for problem in PROBLEMS:
        own = [one for one in found if one.problem_id == problem.id]
        assert sum(one.copies for one in own) == len(script)
        assert len({(one.steps, one.finished) for one in own}) == len({one.id for one in own}) == len(own)
    assert all(one.steps for one in found)


def test_equal_steps_are_merged_and_graded() -> None:
    right, spaced = (
        Completion("1 + 2 = 3.\nThe answer is 3.", True),
        Completion("1 + 2 = 3. \n\nThe answer is 3.\n", True),
    )
    wrong = Completion("1 + 2 = 4.\nThe answer is 4.", True)
    found, generator = draw([right, wrong, spaced], PROBLEMS[:1])
    assert [(one.steps, one.answer, one.correct, one.copies, one.finished, one.generator) for one in found] == [
        (("1 + 2 = 3.", "The answer is 3."), "3", True, 2, True, "script"),
        (("1 + 2 = 4.", "The answer is 4."), "4", False, 1, True, "script"),
    ]
    assert [one.id for one in found] == [solution_id("p", one.steps) for one in found]
    assert generator.calls == [([Prompt("p", "1 + 2?", (), 3)], SAMPLING, 5)]


def test_a_cut_solution_states_no_answer_and_stays_apart_from_its_whole_twin() -> None:
    text = "The answer is 3."
    found, _ = draw([Completion(text, True), Completion(text, False), Completion(text, False)], PROBLEMS[:1])
    assert [(one.answer, one.correct, one.copies, one.finished) for one in found] == [
        ("3", True, 1, True),
        (None, False, 2, False),
    ]
    assert found[0].id != found[1].id


def test_a_draw_without_a_step_is_kept_as_a_wrong_solution() -> None:
    found, _ = draw([Completion("", True), Completion(" \n ", True), Completion("", False)], PROBLEMS[:1])
    assert [(one.steps, one.answer, one.correct, one.copies, one.finished) for one in found] == [
        ((EMPTY,), None, False, 2, True),
        ((CUT,), None, False, 1, False),
    ]


def test_the_same_text_is_graded_by_each_problems_own_reference() -> None:
    found, _ = draw([Completion("The answer is 2.", True)])
    assert [(one.problem_id, one.correct) for one in found] == [("p", False), ("q", True)]


def test_a_problem_of_which_a_draw_is_lacking_is_set_apart_and_the_others_are_kept() -> None:
    whole, lost = Completion("1 + 1 = 2.", True), Completion("", False, fault="refused: bad words")
    scripts = {"p": [whole, Completion("", False, fault="context"), lost], "q": [whole] * 3}

    class Picky(ScriptedGenerator):
        def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
            return [scripts[prompt.id] for prompt in prompts]

    found = draw_solutions(PROBLEMS, Picky([]), lambda *_: True, count=3, sampling=SAMPLING, seed=5)
    assert [(one.problem_id, one.copies) for one in found.solutions] == [("q", 3)]
    assert found.failed == [FailedPrompt("p", "server_refused", "refused: bad words", 3, 2)]
