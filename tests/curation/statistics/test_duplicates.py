"""Hashes tell how often things stand, as a counter of the things themselves does."""

from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from stepward.curation.statistics.duplicates import ConflictCounter, DuplicateCounter


@given(st.lists(st.text(max_size=2)))
def test_repeats_are_counted(values: list[str]) -> None:
    found = DuplicateCounter()
    for value in values:
        found.add(value)
    expected = Counter(values)
    assert found.distinct() == len(expected)
    assert found.repeated() == len(values) - len(expected)
    assert found.times() == Counter(expected.values())


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz"))))
def test_conflicts_are_things_of_which_different_things_are_said(pairs: list[tuple[str, str]]) -> None:
    found = ConflictCounter()
    said = defaultdict(set)
    for about, what in pairs:
        found.add(about, what)
        said[about].add(what)
    assert found.count() == sum(len(versions) > 1 for versions in said.values())
