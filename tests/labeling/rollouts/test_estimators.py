"""The unbiased estimate, against the enumeration of every sequence of draws."""

from itertools import product
from math import comb

import pytest
from raising import refused

from stepward.labeling.rollouts.estimators import (
    estimate,
    expected_draws,
    mixed_stopping_distribution,
    stopping_distribution,
    unbiased,
)
from stepward.labeling.rollouts.stopping import All, FirstCorrect, Interval, Stopping
from stepward.records import StepRollouts

RULES = (
    All(1),
    All(5),
    FirstCorrect(1),
    FirstCorrect(6),
    FirstCorrect(8),
    Interval(8, 0.3, 0.6),
    Interval(9, 0.4, 0.5),
)
SHARES = (0.0, 0.01, 0.2, 0.5, 0.77, 1.0)


def followed(rule: Stopping, draws: str) -> tuple[int, int, int, int]:
    """The counts at which a rule ends that meets these draws: r right, w wrong, v void. And whether the first is r."""
    drawn = right = void = 0
    while more := rule.more(drawn, right, void):
        wave = draws[drawn + void : drawn + void + more]
        right, void = right + wave.count("r"), void + wave.count("v")
        drawn = drawn + more - wave.count("v")
    return drawn, right, void, int(draws[: drawn + void].replace("v", "").startswith("r"))


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_it_is_the_share_of_all_orders_that_begin_with_a_right_one(rule: Stopping) -> None:
    begins: dict[tuple[int, int, int], list[int]] = {}
    seen: set[str] = set()
    for draws in map("".join, product("rwv", repeat=min(rule.most, 8))):
        *counts, begin = followed(rule, draws + "v" * (rule.most - len(draws)))
        used = draws[: counts[0] + counts[2]]
        if used not in seen and counts[0]:
            seen.add(used)
            begins.setdefault((counts[0], counts[1], counts[2]), []).append(begin)
    assert begins
    for (drawn, right, void), found in begins.items():
        if sum((drawn, void)) <= 8:
            assert unbiased(rule, drawn, right, void) == pytest.approx(sum(found) / len(found))


@pytest.mark.parametrize(
    "rule", [*RULES, FirstCorrect(32), Interval(16, 0.2, 0.9), Interval(40, 0.15, 0.8), Interval(12, 0.3, 0.7)], ids=str
)
@pytest.mark.parametrize("p", SHARES)
def test_its_mean_is_p_where_every_draw_counts(rule: Stopping, p: float) -> None:
    found = list(stopping_distribution(rule, p))
    assert sum(chance for *_, chance in found) == pytest.approx(1)
    assert sum(chance * unbiased(rule, drawn, right) for drawn, right, chance in found) == pytest.approx(p, abs=1e-12)
    assert all(0 <= unbiased(rule, drawn, right) <= 1 for drawn, right, _ in found)


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("lost", [0.3, 0.8])
def test_its_mean_is_p_among_prefixes_with_a_draw_that_counts_whatever_share_is_void(
    rule: Stopping, lost: float
) -> None:
    for p in SHARES:
        mean = seen = 0.0
        states = {(0, 0, 0): 1.0}
        while states:
            (drawn, right, void), chance = states.popitem()
            wave = rule.more(drawn, right, void)
            if wave == 0:
                seen += chance if drawn else 0.0
                mean += chance * unbiased(rule, drawn, right, void) if drawn else 0.0
                continue
            for new_void in range(wave + 1):
                for new in range(wave - new_void + 1):
                    way = comb(wave, new_void) * lost**new_void * (1 - lost) ** (wave - new_void)
                    way *= comb(wave - new_void, new) * p**new * (1 - p) ** (wave - new_void - new)
                    after = (drawn + wave - new_void, right + new, void + new_void)
                    states[after] = states.get(after, 0.0) + chance * way
        assert mean / seen == pytest.approx(p, abs=1e-12)


def test_known_cases() -> None:
    assert unbiased(All(16), 16, 4) == 0.25
    assert unbiased(All(16), 10, 4, 6) == 0.4
    # One that looks for a yes tells by its first draw alone.
    assert [unbiased(FirstCorrect(16), *counts) for counts in ((1, 1), (2, 1), (4, 2), (16, 0))] == [1.0, 0.0, 0.0, 0.0]
    # A void draw can't be the first that counts.
    assert unbiased(FirstCorrect(16), 1, 1, 1) == 1.0
    # It looks at 8 first, and stops if all or none are right.
    rule = Interval(16, 0.2, 0.9)
    assert unbiased(rule, 8, 8) == 1.0 and unbiased(rule, 8, 0) == 0.0
    # The two orders of 16 with 8 right that began with 8 alike are missing, one of each kind.
    assert unbiased(rule, 16, 8) == pytest.approx(0.5)


def test_the_mean_number_of_draws() -> None:
    for p in SHARES:
        assert expected_draws(All(5), p) == pytest.approx(5)
        waves = 1 + (1 - p) + 2 * (1 - p) ** 2 + 4 * (1 - p) ** 4
        assert expected_draws(FirstCorrect(8), p) == pytest.approx(waves)


@pytest.mark.parametrize(("drawn", "right", "void"), [(3, 0, 0), (16, 0, 1), (2, 2, 0), (16, 16, 0)])
def test_counts_that_a_rule_never_comes_to_are_refused(drawn: int, right: int, void: int) -> None:
    with pytest.raises(ValueError, match=f"first_right.16. never comes to {right} right of {drawn} with {void} void"):
        unbiased(FirstCorrect(16), drawn, right, void)
    with pytest.raises(ValueError, match="expected drawn >= 1"):
        unbiased(FirstCorrect(16), 0, 0, 1)


def record(drawn: int, right: int, rule: str, empty: int = 0) -> StepRollouts:
    return StepRollouts("p//x", "p", ("x",), drawn, right, completer="c", empty=empty, rule=rule)


def test_a_records_estimate() -> None:
    assert estimate(record(4, 1, "all(4)")) == 0.25
    assert estimate(record(4, 1, "first_right(16)")) == 0.0
    assert estimate(record(4, 1, "")) == 0.25
    assert estimate(record(0, 0, "all(4)", empty=4)) is None
    assert estimate(record(6, 4, "pool[1/4+0 first_right(16); 2/2+0 all(2)]")) == 0.5
    with refused("mismatch", field="p//x", names=("'c'", "first_right(16)", 0)):
        estimate(record(3, 0, "first_right(16)"))
    for rule in ("pool[1/4 all(4)]", "pool[a/4+0 all(4)]", "pool[]"):
        with refused("unreadable", field="p//x", names=(rule,)):
            estimate(record(4, 1, rule))


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_endings_where_all_chances_are_as_likely_are_the_mean_over_them(rule: Stopping) -> None:
    shares = [(number + 0.5) / 400 for number in range(400)]
    mean: dict[tuple[int, int], float] = {}
    for p in shares:
        for drawn, right, chance in stopping_distribution(rule, p):
            mean[drawn, right] = mean.get((drawn, right), 0.0) + chance / len(shares)
    found = {(drawn, right): chance for drawn, right, chance in mixed_stopping_distribution(rule)}
    assert found == pytest.approx(mean, abs=1e-4)
    assert sum(found.values()) == pytest.approx(1)
