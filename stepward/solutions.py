"""Draws solutions, grades them, and merges equal ones, counting them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stepward.errors import StepwardError
from stepward.formats.problems.gsm8k_solutions import PublishedSolution, read_published_rows, without_calculator
from stepward.generation.interface import Completion, FailedPrompt, Generator, Prompt, Sampling, failed_prompt
from stepward.grading import extract_answer
from stepward.grading.graders import Grader, load_grader
from stepward.problems.files import problem_id
from stepward.records import Problem, Solution, join_steps, solution_id, split_steps


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
    return split_steps(completion.text) or (EMPTY if completion.finished else CUT,)


def _graded(
    problem: Problem,
    written: tuple[str, ...],
    finished: bool,
    copies: int,
    name: str,
    grader: Callable[[str, str | None], bool],
) -> Solution:
    # A solution that was cut may end inside a number: it states no answer.
    answer = extract_answer(join_steps(written), "marked") if finished else None
    identity = solution_id(problem.id, written) + ("" if finished else "+cut")
    correct = grader(problem.reference, answer)
    return Solution(identity, problem.id, written, answer, correct, copies, name, finished)


@dataclass(frozen=True, slots=True)
class Published:
    """What a file of published solutions holds.

    Attributes:
        problems: One a question, with `stepward.problems.files.problem_id`.
        solutions: One a question and generator, also where two generators wrote the same steps.
        mismatches: Ids of the solutions whose published grade differs from ours.
    """

    problems: tuple[Problem, ...]
    solutions: tuple[Solution, ...]
    mismatches: tuple[str, ...]


def read_published_solutions(path: Path, *, strip_calculator: bool = False, grader: str = "math") -> Published:
    """Read the GSM8K authors' `example_model_solutions.jsonl`.

    A solution's id is `solution_id(problem, steps)@generator`: merging equal solutions of two generators would lose
    who wrote them, and the candidate sets, a solution of each generator a question, would differ in size.

    Args:
        path: The file.
        strip_calculator: Leave out the calculator marks, `<<3+4=7>>`. They are kept by default: they are what the
            generators wrote, and a model that reads the solutions may use them.
        grader: Who grades them, by name (`stepward.grading.graders`).

    Returns:
        The problems, the graded solutions, and where our grade and the published one differ.

    Raises:
        StepwardError: The file can't be read or rows are bad; a solution holds nothing but calculator marks.
    """
    path = Path(path)
    judge = load_grader(grader)
    problems: list[Problem] = []
    solutions: list[Solution] = []
    mismatches: list[str] = []
    for row in read_published_rows(path):
        problem = Problem(problem_id(path, row.question), row.question, row.reference, source=path.name)
        problems.append(problem)
        for written in row.solutions:
            solution = _graded_published(problem, written, strip_calculator, judge)
            if not solution.steps:
                raise StepwardError(
                    f"{path}: row {row.row}, field '{written.generator}.solution': nothing is left without calculator "
                    "marks; expected text; remove the row or keep the marks",
                    code="empty",
                    file=path,
                    row=row.row,
                    field=f"{written.generator}.solution",
                )
            solutions.append(solution)
            if solution.correct != written.is_correct:
                mismatches.append(solution.id)
    return Published(tuple(problems), tuple(solutions), tuple(mismatches))


def _graded_published(problem: Problem, written: PublishedSolution, strip_calculator: bool, grader: Grader) -> Solution:
    text = without_calculator(written.text) if strip_calculator else written.text
    parts = split_steps(text)
    answer = extract_answer(text, "a_line")
    return Solution(
        id=f"{solution_id(problem.id, parts)}@{written.generator}",
        problem_id=problem.id,
        steps=parts,
        answer=answer,
        correct=grader(problem.reference, answer).equal,
        generator=written.generator,
    )
