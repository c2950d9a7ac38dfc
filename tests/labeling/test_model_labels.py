"""Labels that a reward model gives, by their definition."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.labeling.labels import model_labels
from stepward.records import Solution


def solution(steps: int) -> Solution:
    """A solution whose answer is wrong, which these labels don't look at."""
    return Solution("p/1", "p", tuple(f"step {number}" for number in range(steps)), "1", False)


def labels(scores: list[float], kind: str, **settings: Any) -> tuple[float | None, ...]:
    """The labels of one solution."""
    (made,) = model_labels([solution(len(scores))], {"p/1": scores}, kind, **settings)
    assert (made.kind, made.problem_id, made.eta) == (kind, "p", None)
    return made.labels


def test_a_step_is_wrong_where_that_has_more_than_a_fifth_of_the_chance() -> None:
    scores = [0.9, 0.8, 0.79, 1.0, 0.1]
    assert labels(scores, "prm_process") == (1, 1, 0, 1, 0)
    assert labels(scores, "prm_process", after_first_error="drop") == (1, 1, 0, None, None)
    assert labels(scores, "prm_process", after_first_error="zero") == (1, 1, 0, 0, 0)
    assert labels(scores, "prm_process", right_from=0.05) == (1, 1, 1, 1, 1)


def test_a_solution_is_right_if_all_its_steps_are() -> None:
    assert labels([0.9, 0.8, 0.79], "prm_outcome") == (0, 0, 0)
    assert labels([0.9, 0.8, 0.81], "prm_outcome") == (1, 1, 1)
    assert labels([0.9, 0.2], "prm_outcome", after_first_error="drop") == (0, 0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.01, 1))
def test_the_two_kinds_agree(scores: list[float], right_from: float) -> None:
    steps = labels(scores, "prm_process", right_from=right_from)
    whole = labels(scores, "prm_outcome", right_from=right_from)
    assert set(whole) == {float(all(label == 1 for label in steps))}


@pytest.mark.parametrize("scores", [{}, {"p/1": [0.5]}, {"p/1": [0.5] * 3}])
def test_scores_that_do_not_fit_are_refused(scores: dict[str, list[float]]) -> None:
    with refused("mismatch", field="p/1", names=(2,)):
        model_labels([solution(2)], scores, "prm_process")
