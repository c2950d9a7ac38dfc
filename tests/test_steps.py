"""Steps are the non-empty lines of a text."""

from hypothesis import given
from hypothesis import strategies as st

from stepward.records import join_steps, split_steps


@given(st.text())
def test_joining_and_splitting_again_changes_nothing(text: str) -> None:
    steps = split_steps(text)
    assert split_steps(join_steps(steps)) == steps
    assert all(step.strip() and "\n" not in step and step == step.rstrip() for step in steps)
    assert "".join("".join(steps).split()) == "".join(text.split())


def test_empty_lines_and_trailing_space_go_and_leading_space_stays() -> None:
    assert split_steps("a  \n\n  b\r\n \t\nc") == ("a", "  b", "c")
    assert split_steps("") == split_steps("\n \n") == ()
