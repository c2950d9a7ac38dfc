"""Problems of a file are dealt out by their ids: disjointly, and the same in any order of the file."""

from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.problems.splits import assign_splits
from stepward.records import Problem

PROBLEMS = [Problem(f"p{index}", f"Question {index}?", "1") for index in range(30)]


@given(st.permutations(PROBLEMS), st.integers(0, 20), st.integers(0, 10), st.integers())
def test_splits_are_disjoint_of_the_asked_sizes_and_independent_of_order(
    order: list[Problem], train: int, test: int, seed: int
) -> None:
    sizes = {"reward": train, "test": test}
    found = assign_splits(order, sizes, seed, "file")
    assert {name: len(members) for name, members in found.items()} == sizes
    assert not set(found["reward"]) & set(found["test"])
    assert set(found["reward"]) | set(found["test"]) <= set(PROBLEMS)
    assert found == assign_splits(PROBLEMS, sizes, seed, "file")


def test_another_seed_deals_another_way() -> None:
    assert assign_splits(PROBLEMS, {"test": 10}, 0, "file") != assign_splits(PROBLEMS, {"test": 10}, 1, "file")


def test_too_few_problems_are_refused_with_what_was_asked() -> None:
    with refused("too_few", file="p.jsonl", field="problems", names=(30, 31, "reward 21", "test 10")):
        assign_splits(PROBLEMS, {"reward": 21, "test": 10}, 0, "p.jsonl")
