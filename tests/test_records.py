"""Ids of solutions and prefixes are functions of their problem and steps, and of nothing else."""

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward.records import Problem, prefix_id, solution_id

steps = st.lists(st.text(st.sampled_from("ab01\0\n")), max_size=4).map(tuple)


@given(steps, steps)
def test_other_steps_have_another_id(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (solution_id("p", one) == solution_id("p", other)) == (one == other)
    assert (prefix_id("p", one) == prefix_id("p", other)) == (one == other)
    assert solution_id("p", one) != prefix_id("p", one)
    assert solution_id("p", one) != solution_id("q", one)


def test_ids_stay_the_same_from_version_to_version() -> None:
    assert solution_id("p", ("a", "b")) == "p/4a2658d2c6b7fa9e"
    assert prefix_id("p", ("a", "b")) == "p//4a2658d2c6b7fa9e"


def test_records_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Problem("p", "?", "1").id = "q"  # type: ignore[misc]
