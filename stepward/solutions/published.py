"""Published model solutions as records: real solutions, graded by our own grader, that no engine here wrote.

The published grades serve one purpose: the solutions whose grade differs from ours are named, so that a grader that
drifts is seen. They never become a grade or a label.
"""

from dataclasses import dataclass
from pathlib import Path

from stepward import steps
from stepward.errors import StepwardError
from stepward.formats.gsm8k_solutions import PublishedSolution, read_published_rows, without_calculator
from stepward.grading import extract_answer
from stepward.grading.graders import Grader, load_grader
from stepward.problems.files import problem_id
from stepward.records import Problem, Solution, solution_id


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
            solution = _graded(problem, written, strip_calculator, judge)
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


def _graded(problem: Problem, written: PublishedSolution, strip_calculator: bool, grader: Grader) -> Solution:
    text = without_calculator(written.text) if strip_calculator else written.text
    parts = steps.split(text)
    answer = extract_answer(text, "a_line")
    return Solution(
        id=f"{solution_id(problem.id, parts)}@{written.generator}",
        problem_id=problem.id,
        steps=parts,
        answer=answer,
        correct=grader(problem.reference, answer).equal,
        generator=written.generator,
    )
