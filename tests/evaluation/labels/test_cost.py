"""What rollouts cost and are worth, against every order in which their completions could have come."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.errors import StepwardError
from stepward.evaluation.labels.cost import LabelCost, RolloutBudget, label_costs
from stepward.labeling.rollouts.stopping import FirstCorrect
from stepward.records import Solution, StepRollouts, prefix_id, solution_id

DRAWN = 4
WAY = RolloutBudget("run", "tiny", prefilled=50)


def attempt(*steps: str, correct: bool) -> Solution:
    return Solution(solution_id("p", steps), "p", steps, "1" if correct else None, correct)


def counts(*steps: str, right: int, drawn: int = DRAWN, tokens: int = 40, rule: str = "", **more: int) -> StepRollouts:
    return StepRollouts(
        prefix_id("p", steps), "p", steps, drawn, right, tokens=tokens, rule=rule or f"all({DRAWN})", **more
    )


def oracle(problem_id: str, steps: tuple[str, ...]) -> int | None:
    return next((at for at, step in enumerate(steps) if "wrong" in step), None)


def row(rows: list[LabelCost], strategy: str) -> LabelCost:
    (found,) = [one for one in rows if one.strategy == strategy]
    return found


# Two solutions that share their first step; the second errs in its second.
GOOD = attempt("a", "b", "end", correct=True)
BAD = attempt("a", "wrong", "end", correct=False)
PREFIXES = (("a",), ("a", "b"), ("a", "wrong"))


@given(st.tuples(*[st.integers(0, DRAWN)] * 3), st.sampled_from([1, 2]))
def test_fewer_completions_are_every_order_of_those_drawn(right: tuple[int, ...], k: int) -> None:
    rollouts = [counts(*steps, right=number) for steps, number in zip(PREFIXES, right, strict=True)]
    rows = label_costs(WAY, [GOOD, BAD], rollouts, oracle)
    orders = [sorted(set(permutations([True] * number + [False] * (DRAWN - number)))) for number in right]
    agreed, found = [], []
    for first in orders[0]:
        for second in orders[1]:
            for third in orders[2]:
                labels = [any(order[:k]) for order in (first, second, third)]
                agreed.append(np.mean([labels[0], labels[1], not labels[2]]))
                found.append(np.mean([labels[0] and labels[1], labels[0] and not labels[2]]))
    at_k = row(rows, f"every all({k})")
    assert at_k.simulated and at_k.prefixes == 3 and at_k.solutions == 2
    assert at_k.agreement == pytest.approx(np.mean(agreed))
    assert at_k.first_error == pytest.approx(np.mean(found))
    assert at_k.agreement == pytest.approx(1 - at_k.false_positives - at_k.false_negatives)
    assert (at_k.completions, at_k.tokens, at_k.prefilled) == (3 * k, pytest.approx(120 * k / DRAWN), None)


@given(st.tuples(*[st.integers(0, DRAWN)] * 3))
def test_stopping_at_the_first_right_one_costs_what_every_order_does(right: tuple[int, ...]) -> None:
    rollouts = [counts(*steps, right=number) for steps, number in zip(PREFIXES, right, strict=True)]
    whole, *others = label_costs(WAY, [GOOD, BAD], rollouts, oracle)
    stopped = row(others, f"every first_right({DRAWN})")
    rule, expected = FirstCorrect(DRAWN), 0.0
    for number in right:
        draws = []
        for order in set(permutations([True] * number + [False] * (DRAWN - number))):
            drawn = 0
            while more := rule.more(drawn, sum(order[:drawn])):
                drawn += more
            draws.append(drawn)
        expected += float(np.mean(draws))
    assert stopped.completions == pytest.approx(expected)
    assert (stopped.agreement, stopped.first_error) == (whole.agreement, whole.first_error)


def test_the_way_itself_is_told_by_its_own_counts() -> None:
    rollouts = [counts("a", right=4), counts("a", "b", right=0), counts("a", "wrong", right=1)]
    whole = label_costs(WAY, [GOOD, BAD], rollouts, oracle)[0]
    assert (whole.strategy, whole.simulated, whole.void) == ("every all(4)", False, 0)
    assert (whole.completions, whole.tokens, whole.prefilled) == (12, 120, 50)
    assert whole.agreement == pytest.approx(1 / 3)
    assert (whole.false_positives, whole.false_negatives) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert whole.first_error == 0.0


def test_a_search_is_judged_by_what_it_concludes() -> None:
    rollouts = [counts("a", "wrong", right=0, rule="first_right(4)")]
    (found,) = label_costs(WAY._replace(search="first_error"), [GOOD, BAD], rollouts, oracle)
    # That a and a, b succeed follows from the right solution: both were never drawn from.
    assert found.strategy == "first_error first_right(4)"
    assert (found.prefixes, found.completions, found.agreement, found.first_error) == (3, 4, 1.0, 1.0)


def test_void_draws_make_no_label_and_failed_ones_no_completion() -> None:
    rollouts = [
        counts("a", right=4), counts("a", "b", right=2, drawn=2, failed=1, empty=1, tokens=30),
        counts("a", "wrong", right=0, drawn=0, empty=2, failed=2, tokens=2),
    ]  # fmt: skip
    whole, *others = label_costs(WAY, [GOOD, BAD], rollouts, oracle)
    assert (whole.prefixes, whole.void, whole.completions, whole.tokens) == (2, 1, 4 + 3 + 2, 72)
    assert (whole.agreement, whole.first_error) == (1.0, 0.5)
    assert row(others, "every all(2)").completions == pytest.approx((4 + 3 + 2) / 2)


def test_a_solution_that_stops_too_early_errs_in_its_last_step() -> None:
    short = attempt("a", "b", correct=False)
    whole = label_costs(WAY, [short], [counts("a", right=4)], oracle)[0]
    assert whole.first_error == 1.0


def test_whole_solutions_prefixes_are_not_compared() -> None:
    answered = StepRollouts(prefix_id("p", ("a", "b")), "p", ("a", "b"), 1, 1, complete=True)
    whole = label_costs(WAY, [GOOD], [counts("a", right=4), answered], oracle)[0]
    assert (whole.prefixes, whole.completions, whole.first_error) == (1, 4, 1.0)


def test_drawing_that_depends_on_what_was_drawn_holds_no_cheaper_way() -> None:
    rollouts = [counts(*steps, right=1, drawn=1, rule="first_right(4)") for steps in PREFIXES]
    assert [one.strategy for one in label_costs(WAY, [GOOD, BAD], rollouts, oracle)] == ["every first_right(4)"]


def test_tokens_that_were_not_counted_are_not_told() -> None:
    rollouts = [counts(*steps, right=1, tokens=0) for steps in PREFIXES]
    assert {one.tokens for one in label_costs(WAY, [GOOD, BAD], rollouts, oracle)} == {None}


def test_nothing_to_compare_is_refused() -> None:
    with refused("empty", file="run", names=("1 prefixes",)):
        label_costs(WAY, [GOOD], [counts("a", right=0, drawn=0, empty=4)], oracle)
    with pytest.raises(StepwardError) as without:
        label_costs(WAY, [GOOD], [counts("a", right=1)], oracle)
    assert GOOD.id in str(without.value) and "2 steps" in str(without.value)
