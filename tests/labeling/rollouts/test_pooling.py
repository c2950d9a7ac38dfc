"""Counts of several completers together, and records of several runs merged."""

from dataclasses import replace

import pytest
from labeling.completers import OTHER, PROBLEM, SAMPLING, ChanceCompleter, attempt, same
from raising import refused

from stepward.labeling.labels import compute_labels
from stepward.labeling.rollouts.estimators import estimate
from stepward.labeling.rollouts.pooling import merge, pool
from stepward.labeling.rollouts.sampling import draw_rollouts
from stepward.labeling.rollouts.stopping import All, FirstCorrect, Interval, Stopping
from stepward.records import Solution, StepRollouts, prefix_id


def counted(step: str, completer: str, right: int, drawn: int, rule: str = "", **more: int) -> StepRollouts:
    rule = rule or f"all({drawn})"
    return StepRollouts(prefix_id("p", (step,)), "p", (step,), drawn, right, completer=completer, rule=rule, **more)


def test_counts_add_up_and_each_completer_has_the_same_say() -> None:
    one, other = counted("a", "one", 3, 4, tokens=9), counted("a", "two", 1, 8, empty=2, failed=1, tokens=30)
    alone = counted("b", "two", 0, 4)
    pooled, kept = pool([other, one, alone])
    assert (pooled.drawn, pooled.right, pooled.empty, pooled.failed, pooled.tokens) == (12, 4, 2, 1, 39)
    assert (pooled.completer, kept) == ("one+two", alone)
    assert estimate(pooled) == (3 / 4 + 1 / 8) / 2
    assert pool([one, alone, other]) == [pooled, kept]


def test_rules_that_differ_are_each_taken_at_their_word() -> None:
    parts = [
        counted("a", "one", 1, 4, "first_right(16)"),
        counted("a", "two", 8, 8, "interval(16, error=0.2, level=0.9)"),
        counted("a", "three", 1, 2, "all(2)"),
        counted("a", "mute", 0, 0, "all(2)", empty=2),
    ]
    (pooled,) = pool(parts)
    shares = [share for part in parts if (share := estimate(part)) is not None]
    assert shares == [0.0, 1.0, 0.5] and estimate(pooled) == pytest.approx(0.5)
    assert (pooled.right, pooled.drawn, pooled.empty) == (10, 14, 2)
    (mute,) = pool([replace(parts[3], completer=name) for name in ("one", "two")])
    assert estimate(mute) is None and mute.draws == 4


def test_whole_solutions_and_single_completers_stay_as_they_are() -> None:
    graded = [StepRollouts("p//x", "p", ("x",), 1, 1, True, name) for name in ("one", "two")]
    assert pool(graded) == graded[:1]
    assert pool([counted("a", "one", 1, 4)]) == [counted("a", "one", 1, 4)]
    with refused("duplicate", names=("'one'",)):
        pool([counted("a", "one", 1, 4)] * 2)


SOLUTIONS = [attempt("a", f"b{number}", f"c{number}", answer=None) for number in range(6)]


def draw(
    solutions: list[Solution], stopping: Stopping, seed: int = 1, before: list[StepRollouts] | None = None
) -> list[StepRollouts]:
    completer = ChanceCompleter(lambda steps: 0.3)
    return draw_rollouts(
        [PROBLEM, OTHER], solutions, completer, same, stopping=stopping, sampling=SAMPLING, seed=seed,
        before=before or (),
    )  # fmt: skip


@pytest.mark.parametrize("rule", [All(8), FirstCorrect(8), Interval(8, 0.3, 0.5)], ids=str)
def test_two_machines_parts_are_the_whole(rule: Stopping) -> None:
    whole = draw(SOLUTIONS, rule)
    assert {one.id: one for one in merge(draw(SOLUTIONS[:4], rule), draw(SOLUTIONS[2:], rule))} == {
        one.id: one for one in whole
    }
    assert merge(whole, whole) == whole


def test_the_longer_of_a_grown_record_is_kept_and_another_seed_refused() -> None:
    small, large = draw(SOLUTIONS, All(4)), draw(SOLUTIONS, All(8))
    assert merge(small, large) == merge(large, small) == large
    with refused("mismatch", names=("'chance'", "right")):
        merge(draw(SOLUTIONS, All(8)), draw(SOLUTIONS, All(8), seed=2))
    with refused("mismatch", names=("drawn, right",)):
        merge([counted("a", "one", 3, 4)], [counted("a", "one", 2, 8)])
    with refused("mismatch", names=("drawn, right",)):
        merge([counted("a", "one", 0, 4)], [counted("a", "one", 6, 8)])


def test_other_completers_records_stay_and_a_graded_prefix_needs_no_counts() -> None:
    one, other = counted("a", "one", 3, 4), counted("a", "two", 3, 4)
    assert merge([one], [other], [one]) == [one, other]
    whole = StepRollouts(one.id, "p", one.steps, 1, 1, True, "one")
    assert merge([one], [whole]) == merge([whole], [one]) == [whole]
    with refused("mismatch", field=whole.id, names=("right",)):
        merge([whole], [replace(whole, right=0)])


def test_labels_of_pooled_counts() -> None:
    solution = attempt("a", "The answer is 6.", answer="6")
    pooled = {one.id: one for one in pool([counted("a", "one", 0, 4), counted("a", "two", 1, 2)])}
    hard, soft = (compute_labels([solution], pooled, kind)[0].labels for kind in ("hard", "soft"))
    assert (hard, soft) == ((1.0, 1.0), (0.25, 1.0))
