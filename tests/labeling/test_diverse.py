"""Steps of wrong solutions are right if they say what a step of a right one says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward.labeling.diverse import exact_match_labels, labels_by_support, normalize_step
from stepward.records import Solution, solution_id


def attempt(problem: str, *steps: str, correct: bool = False) -> Solution:
    return Solution(solution_id(problem, steps), problem, steps, None, correct)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Tom has 3  pens. ", "tom has 3 pens."),
        ("2+3=5", "2 + 3 = 5"),
        ("It costs $1,000.50.", "it costs $ 1000.5."),
        ("007", "7"),
        ("0.50", ".5"),
        ("2.0 dollars", "2 dollars"),
        ("1,234,567", "1234567"),
        ("3 \u00d7 4 = 12", "3\u00d74 = 12"),
        ("caf\u00e9", "cafe\u0301"),
    ],
)
def test_forms_of_one_step_are_equal(one: str, other: str) -> None:
    assert normalize_step(one) == normalize_step(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1 2", "12"),
        ("x is 5\u00b2", "x is 52"),
        ("1,5", "15"),
        ("10", "1"),
        ("0.05", "0.5"),
        ("2 - 3", "2 + 3"),
        ("12,34", "1234"),
        ("He has 5.", "He has 5"),
        ("one", "won"),
    ],
)
def test_different_steps_stay_different(one: str, other: str) -> None:
    assert normalize_step(one) != normalize_step(other)


@given(st.text())
def test_normalising_again_changes_nothing(step: str) -> None:
    assert normalize_step(normalize_step(step)) == normalize_step(step)


@given(st.decimals(0, 10**7, places=3, allow_nan=False))
def test_numbers_have_one_form(number: object) -> None:
    assert normalize_step(f"{number:,f}") == normalize_step(f"0{number:f}0") == normalize_step(f"{number:f}")


def test_a_step_is_right_if_a_right_solution_of_its_problem_has_it() -> None:
    solutions = [
        attempt("p", "1 + 2 = 3.", "3 + 4 = 7.", "The answer is 7.", correct=True),
        attempt("p", "2+1 = 3.", "The answer is 7.", correct=True),
        attempt("p", "3+4 = 7.", "7 + 1 = 8.", "1 + 2 = 3.", "The answer is 8."),
        attempt("q", "1 + 2 = 3.", "The answer is 0."),
        attempt("q", "4 = 4.", "The answer is 4.", correct=True),
    ]
    found = exact_match_labels(solutions)
    assert [one.labels for one in found.labels] == [(1, 1, 1), (1, 1), (1, 0, 1, 0), (0, 0), (1, 1)]
    assert [one.solution_id for one in found.labels] == [one.id for one in solutions]
    assert {one.kind for one in found.labels} == {"rules"} and found.dropped == {}


def test_without_a_right_solution_there_is_nothing_to_compare_with() -> None:
    found = exact_match_labels([attempt("p", "1", "2"), attempt("p", "3"), attempt("q", "1", correct=True)])
    assert [one.problem_id for one in found.labels] == ["q"]
    assert found.dropped == {"no right solution of its problem": 2}


def test_the_last_step_of_a_wrong_solution_is_wrong_whatever_it_says() -> None:
    cut = attempt("p", "a", "b")
    found = exact_match_labels([attempt("p", "a", "b", "c", correct=True), cut])
    assert found.labels[1].labels == (1.0, 0.0)


def test_a_support_that_cannot_tell_gives_no_label_and_is_asked_once_a_problem() -> None:
    asked: list[tuple[list[str], list[str]]] = []

    def unsure(right: object, steps: object) -> list[bool | None]:
        asked.append((list(right), list(steps)))  # type: ignore[call-overload]
        return [None, True]

    solutions = [
        attempt("p", "x", "y", "z"), attempt("p", "a", "b", correct=True), attempt("p", "y", "x", "w"),
        attempt("p", "one step"),
    ]  # fmt: skip
    found = labels_by_support(solutions, unsure, "mine")
    assert asked == [(["a", "b"], ["x", "y"])]
    assert [one.labels for one in found.labels] == [(None, 1, 0), (1, 1), (1, None, 0), (0,)]
