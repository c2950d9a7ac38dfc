"""Percentiles from a counter are numpy's of the list that it stands for."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward.curation.statistics.lengths import Cut, cuts, percentiles, summarise


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=200), st.floats(0, 100))
def test_percentiles_equal_numpys(values: list[int], q: float) -> None:
    found = percentiles(Counter(values), (q, 0, 50, 99, 100))
    assert found == pytest.approx(np.percentile(values, (q, 0, 50, 99, 100)).tolist(), rel=1e-12, abs=1e-9)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=100))
def test_the_summary_is_of_the_whole_list(values: list[int]) -> None:
    found = summarise(Counter(values))
    assert (found.count, found.min, found.max, found.total) == (len(values), min(values), max(values), sum(values))
    assert found.mean == pytest.approx(np.mean(values))
    assert found.median == pytest.approx(np.median(values))


def test_nothing_sums_up_to_zeros_and_has_no_percentile() -> None:
    assert summarise(Counter()).count == summarise(Counter()).max == 0
    with pytest.raises(ValueError, match="nothing"):
        percentiles(Counter(), (50,))


def test_a_limit_cuts_what_is_longer_than_it() -> None:
    assert cuts(Counter({3: 1, 5: 2, 9: 1}), (5, 2, 9)) == (Cut(5, 1, 0.25), Cut(2, 4, 1.0), Cut(9, 0, 0.0))
    assert cuts(Counter(), (5,)) == (Cut(5, 0, 0.0),)
