"""The published solutions as graded records."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from raising import refused

from stepward.records import solution_id
from stepward.solutions import read_published_solutions


def row(question: str, reference: str, **solutions: tuple[bool, str]) -> dict[str, Any]:
    written = {name: {"is_correct": right, "solution": text} for name, (right, text) in solutions.items()}
    return {"question": question, "ground_truth": f"worked\nA: {reference}", **written}


def write(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "published.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_solutions_are_split_and_graded_by_us(tmp_path: Path) -> None:
    text = "17 + 7 = <<17+7=24>>24.\n\nA: 5600"
    path = write(tmp_path, row("q?", "5,600", a=(True, text), b=(True, "so 12\nA: 12"), c=(False, "cut off")))
    published = read_published_solutions(path)
    (problem,) = published.problems
    a, b, c = published.solutions
    assert (problem.question, problem.reference, problem.source) == ("q?", "5,600", "published.jsonl")
    assert (a.steps, a.answer, a.correct) == (("17 + 7 = <<17+7=24>>24.", "A: 5600"), "5600", True)
    assert (b.answer, b.correct) == ("12", False)
    assert (c.steps, c.answer, c.correct) == (("cut off",), None, False)
    # The file says that b is right: that is reported, not believed.
    assert published.mismatches == (b.id,)
    assert read_published_solutions(path, strip_calculator=True).solutions[0].steps[0] == "17 + 7 = 24."


def test_equal_solutions_of_two_generators_stay_apart(tmp_path: Path) -> None:
    same = (True, "3+4 = 7\nA: 7")
    published = read_published_solutions(write(tmp_path, row("q?", "7", a=same, b=same)))
    a, b = published.solutions
    assert a.steps == b.steps
    assert [a.id, b.id] == [f"{solution_id(a.problem_id, a.steps)}@{name}" for name in "ab"]
    assert [a.generator, b.generator] == ["a", "b"]


def test_a_solution_of_calculator_marks_alone_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, row("q?", "7", a=(False, "<<3+4=7>>")))
    assert read_published_solutions(path).solutions[0].steps == ("<<3+4=7>>",)
    with refused("empty", file=path, row=1, field="a.solution"):
        read_published_solutions(path, strip_calculator=True)


@pytest.mark.parametrize("strip_calculator", [False, True])
def test_the_published_grades_are_ours(shared_data: Path, strip_calculator: bool) -> None:
    path = shared_data / "gsm8k" / "example_model_solutions.jsonl"
    published = read_published_solutions(path, strip_calculator=strip_calculator)
    assert published.mismatches == ()
    # An independent count of the published grades, by generator.
    rows = [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    generators = [name for name in rows[0] if name not in ("question", "ground_truth")]
    right = Counter(solution.generator for solution in published.solutions if solution.correct)
    assert right == {name: sum(row[name]["is_correct"] for row in rows) for name in generators}
    assert len({solution.id for solution in published.solutions}) == len(published.solutions) == 2_216
    assert len(published.problems) == 554
