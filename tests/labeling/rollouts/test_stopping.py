"""Stopping rules and their interval: waves, coverage by enumeration of all paths, names that can be read back."""

from itertools import product
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused
from scipy.stats import beta

from stepward.labeling.rollouts.confidence import confidence_sequence
from stepward.labeling.rollouts.stopping import (
    All,
    FirstCorrect,
    Interval,
    Stopping,
    make_stopping,
    num_remaining,
    parse,
)
from stepward.records import StepRollouts

INTERVALS = (
    Interval(16, 0.2, 0.9),
    Interval(16, 0.35, 0.6),
    Interval(40, 0.15, 0.8),
    Interval(24, 0.1, 0.95),
    Interval(30, 0.3, 0.3),
)
GRID = [0.0, 1e-4, 0.003, *(number / 64 for number in range(1, 64)), 0.997, 1.0]


def waves(rule: Stopping) -> list[int]:
    """The draws after each wave where none is right."""
    found = [rule.more(0, 0)]
    while more := rule.more(found[-1], 0):
        found.append(found[-1] + more)
    return found


def ends(rule: Stopping, p: float) -> dict[tuple[int, int], float]:
    """The chance of all counts that a rule comes to, wave by wave: where it ends, and where it looks."""
    chance = {(0, 0): 1.0}
    for drawn in range(rule.most):
        for right in range(drawn + 1):
            wave = rule.more(drawn, right) if (drawn, right) in chance else 0
            for new in range(wave + 1) if wave else ():
                after = (drawn + wave, right + new)
                way = comb(wave, new) * p**new * (1 - p) ** (wave - new)
                chance[after] = chance.get(after, 0.0) + chance[drawn, right] * way
    return chance


def test_the_waves_of_each_rule() -> None:
    assert waves(All(16)) == [16]
    assert waves(FirstCorrect(16)) == [1, 2, 4, 8, 16]
    assert waves(FirstCorrect(10)) == [1, 2, 4, 8, 10]
    assert waves(FirstCorrect(1)) == [1]
    assert [FirstCorrect(16).more(drawn, 1) for drawn in (1, 2, 16)] == [0, 0, 0]
    assert waves(Interval(16, 0.2, 0.9)) == [8]
    # It can't be so narrow within 16 draws: then all are drawn at once.
    assert waves(Interval(16, 0.1, 0.9)) == [16]


@pytest.mark.parametrize("rule", [All(9), FirstCorrect(9), FirstCorrect(64), *INTERVALS], ids=str)
def test_no_rule_draws_more_than_most_and_void_draws_count_to_it(rule: Stopping) -> None:
    for void in range(rule.most + 1):
        for drawn in range(rule.most - void + 1):
            for right in range(drawn + 1):
                assert 0 <= rule.more(drawn, right, void) <= rule.most - drawn - void
    assert rule.more(0, 0, rule.most - 1) == 1 and rule.more(0, 0, rule.most) == 0
    # A record that has more than is asked, because more was asked before.
    assert rule.more(rule.most + 3, 0) == 0 and rule.more(rule.most, 0, 3) == 0


@pytest.mark.parametrize("rule", INTERVALS, ids=str)
def test_the_interval_holds_p_as_often_as_it_says_for_every_p_at_whatever_look(rule: Interval) -> None:
    for p in GRID:
        # Followed a draw at a time, on those paths that had p in every interval so far, also after the rule ended.
        alive = {0: 1.0}
        for drawn in range(1, rule.most + 1):
            after: dict[int, float] = {}
            for right, chance in alive.items():
                for new, way in ((1, p), (0, 1 - p)):
                    low, high = confidence_sequence(drawn, right + new, rule.level)
                    if low <= p <= high:
                        after[right + new] = after.get(right + new, 0.0) + chance * way
            alive = after
        assert sum(alive.values()) >= rule.level


@pytest.mark.parametrize("rule", INTERVALS, ids=str)
def test_where_it_stops_early_p_is_known_to_within_the_error(rule: Interval) -> None:
    stopped = set()
    for p in GRID:
        chance = {counts: value for counts, value in ends(rule, p).items() if rule.more(*counts) == 0}
        assert sum(chance.values()) == pytest.approx(1)
        held = 0.0
        for (drawn, right), value in chance.items():
            low, high = confidence_sequence(drawn, right, rule.level)
            assert drawn == rule.most or high - low <= 2 * rule.error
            held += value if low <= p <= high else 0.0
            stopped.add(drawn)
        assert held >= rule.level
    assert min(stopped) < rule.most or rule.error == 0.1


@pytest.mark.parametrize("rule", INTERVALS, ids=str)
def test_looking_in_waves_stops_where_looking_after_each_draw_stops(rule: Interval) -> None:
    for p in (0.02, 0.4, 0.9):
        each = {(0, 0): 1.0}
        for drawn, right in product(range(rule.most), repeat=2):
            chance = each.get((drawn, right), 0.0)
            if chance and not rule.narrow(drawn, right):
                for new, way in ((1, p), (0, 1 - p)):
                    each[drawn + 1, right + new] = each.get((drawn + 1, right + new), 0.0) + chance * way
        narrow = {counts for counts in each if counts[0] == rule.most or rule.narrow(*counts)}
        in_waves = ends(rule, p)
        assert {counts for counts in in_waves if rule.more(*counts) == 0} == narrow
        for counts in narrow:
            assert in_waves[counts] == pytest.approx(each[counts])


@given(st.integers(1, 60), st.floats(0.01, 0.99), st.data())
def test_the_interval_is_where_the_mixture_is_less_likely_than_p_times_the_bound(
    drawn: int, level: float, data: st.DataObject
) -> None:
    right = data.draw(st.integers(0, drawn))
    low, high = confidence_sequence(drawn, right, level)
    assert 0 <= low <= right / drawn <= high <= 1
    mirrored = confidence_sequence(drawn, drawn - right, level)
    assert (low, high) == pytest.approx((1 - mirrored[1], 1 - mirrored[0]), abs=1e-9)
    # The mixture's chance of these counts, as the mean of p^r (1 - p)^(n - r) over Jeffreys' prior, by a sum.
    shares = beta(0.5, 0.5).ppf([(number + 0.5) / 20000 for number in range(20000)])
    mixed = float((shares**right * (1 - shares) ** (drawn - right)).mean())
    for p, inside in ((low, False), (high, False), (low + 1e-3, True), (high - 1e-3, True)):
        if low < p < high or (p in (low, high) and 0 < p < 1):
            ratio = mixed * (1 - level) / (p**right * (1 - p) ** (drawn - right))
            assert ratio < 1.02 if inside else ratio == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize(("drawn", "right", "level"), [(3, 4, 0.9), (3, -1, 0.9), (3, 1, 0.0), (3, 1, 1.0)])
def test_an_interval_of_what_can_not_be_is_refused(drawn: int, right: int, level: float) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        confidence_sequence(drawn, right, level)


rules = st.one_of(
    st.integers(1, 99).map(All),
    st.integers(1, 99).map(FirstCorrect),
    st.builds(
        Interval,
        st.integers(1, 99),
        st.floats(0, 1, exclude_min=True, exclude_max=True),
        st.floats(0, 1, exclude_min=True, exclude_max=True),
    ),
)


@given(rules)
def test_a_rule_can_be_read_from_what_records_carry(rule: Stopping) -> None:
    assert parse(str(rule)) == rule


@pytest.mark.parametrize(
    "rule", ["", "all", "all(x)", "some(3)", "interval(16)", "all(3, error=0.1, level=0.2)",
             "interval(16, error=0.2.1, level=0.9)", "all(16) ", "pool[1/2+0 all(2)]"],
)  # fmt: skip
def test_another_rule_is_refused(rule: str) -> None:
    with refused("unreadable", field="rule", names=(repr(rule),)):
        parse(rule)


def test_a_recipes_rule_by_name() -> None:
    names = ("all", "first_right", "interval")
    assert [make_stopping(name, 8, 0.2, 0.9) for name in names] == [All(8), FirstCorrect(8), Interval(8, 0.2, 0.9)]
    with refused("unknown_name", field="stop", names=("'never'", "all, first_right, interval")):
        make_stopping("never", 8, 0.2, 0.9)


def test_what_a_record_lacks() -> None:
    record = StepRollouts("p//x", "p", ("x",), drawn=5, right=0, empty=2, failed=3)
    assert (num_remaining(All(16), None), num_remaining(All(16), record), num_remaining(FirstCorrect(16), record)) == (
        16,
        6,
        6,
    )
