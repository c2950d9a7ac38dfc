"""Draws solutions, grades them, and merges equal ones, counting them."""

from collections.abc import Callable, Sequence

from stepward import steps
from stepward.errors import StepwardError
from stepward.generation.protocol import Completion, Generator, Prompt, Sampling
from stepward.grading import extract_answer
from stepward.records import Problem, Solution, solution_id

_ADVICE = {"context": "its question is too long for the context: lower max_new_tokens, or leave the problem out"}
"""What mends a fault."""


def draw_solutions(
    problems: Sequence[Problem],
    generator: Generator,
    grader: Callable[[str, str | None], bool],
    *,
    count: int,
    sampling: Sampling,
    seed: int,
) -> list[Solution]:
    """Draws `count` solutions a problem and merges those with the same steps.

    Args:
        problems: What to solve.
        generator: Writes the solutions.
        grader: Whether an answer equals a reference, from (reference, answer).
        count: Draws a problem, at least 1.
        sampling: How they are drawn.
        seed: Where the draws' randomness comes from, with the problem's id.

    Returns:
        The distinct solutions, problem by problem, in the order of first appearance; their `copies` add up to `count`
        a problem. A draw with no step at all is kept as a solution of one empty-answer step (see `EMPTY`).

    Raises:
        StepwardError: The engine could not give a draw; names the problem and the fault.
    """
    prompts = [Prompt(problem.id, problem.question, (), count) for problem in problems]
    found: list[Solution] = []
    for problem, drawn in zip(problems, generator.complete(prompts, sampling, seed), strict=True):
        merged: dict[tuple[tuple[str, ...], bool], int] = {}
        for completion in drawn:
            if completion.fault:
                raise StepwardError(
                    f"problem {problem.id}: {generator.name} could not draw a solution ({completion.fault}); "
                    + _ADVICE.get(completion.fault, "mend the engine, or leave the problem out")
                )
            key = (_steps(completion), completion.finished)
            merged[key] = merged.get(key, 0) + 1
        for (written, finished), copies in merged.items():
            found.append(_graded(problem, written, finished, copies, generator.name, grader))
    return found


EMPTY = "(no step)"
"""Stands for a solution in which the generator wrote nothing, so that it still counts as a wrong one."""


def _steps(completion: Completion) -> tuple[str, ...]:
    return steps.split(completion.text) or (EMPTY,)


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
