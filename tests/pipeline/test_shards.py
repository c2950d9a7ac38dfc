"""The names of a run's units, against counting problems one by one."""

from hypothesis import given
from hypothesis import strategies as st

from stepward.pipeline.shards import batches, overlapping

Small = st.integers(1, 9)


@given(Small, Small, st.integers(1, 40))
def test_overlapping_batches_are_those_that_share_a_problem(size: int, each: int, problems: int) -> None:
    for number, unit in enumerate(batches("reward", problems, size)):
        members = [at for at in range(problems) if at // size == number]
        expected = sorted({f"reward-{at // each:04d}" for at in members})
        assert overlapping(unit, size, each, problems) == expected
        assert overlapping(f"{unit}+other", size, each, problems) == expected


def test_no_problems_have_no_batches() -> None:
    assert batches("reward", 0, 40) == []
