"""Draws solutions, grades them, and merges equal ones, counting them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stepward import steps
from stepward.generation.protocol import Completion, FailedPrompt, Generator, Prompt, Sampling, failed_prompt
from stepward.grading import extract_answer
from stepward.records import Problem, Solution, solution_id


@dataclass(frozen=True, slots=True)
class Drawn:
    """What an engine gave.

    Attributes:
        solutions: The distinct solutions, problem by problem, in the order of first appearance; their `copies` add up
            to the draws asked for, a problem. A draw with no step at all is kept as a solution of one step, `EMPTY`
            or `CUT`, that states no answer.
        failed: The problems, by id, of which a draw could not be had. They have no solutions: candidates of one
            problem that are fewer than those of another can't be compared.
    """

    solutions: list[Solution]
    failed: list[FailedPrompt]


def draw_solutions(
    problems: Sequence[Problem],
    generator: Generator,
    grader: Callable[[str, str | None], bool],
    *,
    count: int,
    sampling: Sampling,
    seed: int,
) -> Drawn:
    """Draws `count` solutions a problem and merges those with the same steps.

    Args:
        problems: What to solve.
        generator: Writes the solutions.
        grader: Whether an answer equals a reference, from (reference, answer).
        count: Draws a problem, at least 1.
        sampling: How they are drawn.
        seed: Where the draws' randomness comes from, with the problem's id.
    """
    prompts = [Prompt(problem.id, problem.question, (), count) for problem in problems]
    found = Drawn([], [])
    for problem, prompt, drawn in zip(problems, prompts, generator.complete(prompts, sampling, seed), strict=True):
        if (lacking := failed_prompt(prompt, drawn)) is not None:
            found.failed.append(lacking)
            continue
        merged: dict[tuple[tuple[str, ...], bool], int] = {}
        for completion in drawn:
            key = (_steps(completion), completion.finished)
            merged[key] = merged.get(key, 0) + 1
        for (written, finished), copies in merged.items():
            found.solutions.append(_graded(problem, written, finished, copies, generator.name, grader))
    return found


EMPTY = "(no step)"
"""Stands for a solution in which the generator wrote nothing, so that it still counts as a wrong one."""

CUT = "(cut before its first step)"
"""Stands for one that the token limit ended first, as it does within a thought: a wrong one, and not an empty one."""


def _steps(completion: Completion) -> tuple[str, ...]:
    return steps.split(completion.text) or (EMPTY if completion.finished else CUT,)


def _graded(
    problem: Problem,
    written: tuple[str, ...],
    finished: bool,
    copies: int,
    name: str,
    grader: Callable[[str, str | None], bool],
) -> Solution:
    # A solution that was cut may end inside a number: it states no answer.
    answer = extract_answer(steps.join(written), "marked") if finished else None
    identity = solution_id(problem.id, written) + ("" if finished else "+cut")
    correct = grader(problem.reference, answer)
    return Solution(identity, problem.id, written, answer, correct, copies, name, finished)
