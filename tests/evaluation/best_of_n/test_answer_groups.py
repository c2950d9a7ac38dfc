"""Which answers are one: by the grader, with right answers together, whatever order they come in."""

import random

import numpy as np
import pytest
from raising import refused

from stepward.evaluation.best_of_n.answer_groups import Equivalence, equivalence_fn, group_answers
from stepward.grading.algebra import pool


def _groups(
    answers: list[str | None], right: set[str], grader: str = "math", copies: list[int] | None = None
) -> list[int]:
    correct = np.array([answer in right for answer in answers])
    return group_answers(answers, correct, np.array(copies or [1] * len(answers)), equivalence_fn(grader)).tolist()


def test_numbers_are_in_the_order_of_first_appearance() -> None:
    assert _groups(["7", "5", None, "5", "9", "7"], {"9"}) == [0, 1, -1, 1, 2, 0]


def test_one_answer_in_many_notations_is_one() -> None:
    answers: list[str | None] = ["0.5", "3", r"\frac{1}{2}", "1/2", "3.0", "3.00", r"\frac{6}{2}", "50\\%"]
    numbers = _groups(answers, {"7"})
    assert numbers[:7] == [0, 1, 0, 0, 1, 1, 1]


def test_no_algebra_is_asked_about_two_wrong_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool.AlgebraPool, "compare", lambda *_, **__: pytest.fail("algebra was asked"))
    integrals: list[str | None] = [rf"\int_0^{n} \sin(x^2) \, dx" for n in range(1, 65)]
    assert _groups([*integrals, integrals[0]], set()) == [*range(64), 0]
    # What the exact path can tell is still one.
    assert _groups(["(x+1)^2", "x^2+2x+1", r"\frac{\sqrt{8}}{2}", r"\sqrt{2}"], set()) == [0, 0, 1, 1]


class _Slow:
    """A grader of 5 seconds a pair, by its own clock: numbers are one where they are alike modulo 100."""

    def __init__(self) -> None:
        self.calls, self.now = 0, 0.0

    def __call__(self, first: str, second: str) -> bool:
        self.calls += 1
        self.now += 5
        return int(first) % 100 == int(second) % 100


def test_what_is_left_when_the_time_is_over_stands_alone_and_is_counted() -> None:
    slow = _Slow()
    same = Equivalence(slow, seconds=60, clock=lambda: slow.now)
    # The most drawn first: 101 joins 1 after one call, and 2 to 5 take 1 + 2 + 3 + 4; there is time for 12 in all.
    texts = ["1", "101", *map(str, range(2, 64)), "201"]
    copies = np.arange(len(texts), 0, -1)
    numbers = group_answers(texts, np.zeros(len(texts), bool), copies, same).tolist()
    assert numbers == [0, 0, *range(1, 64)]
    assert (slow.calls, same.alone) == (12, len(texts) - 6)
    # Another problem has time of its own, and one that takes none of it leaves nothing alone.
    assert group_answers(["1", "101"], np.zeros(2, bool), np.ones(2, np.int64), same).tolist() == [0, 0]
    assert (slow.calls, same.alone) == (13, len(texts) - 6)


def test_no_algebra_is_asked_about_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool.AlgebraPool, "compare", lambda *_, **__: pytest.fail("algebra was asked"))
    same = equivalence_fn("math")
    answers: list[str | None] = [f"There are {n} apples left" for n in (5, 6, 5, 7)]
    found = group_answers(answers, np.zeros(4, dtype=bool), np.ones(4, dtype=np.int64), same)
    assert found.tolist() == [0, 1, 0, 2]
    assert same("5 apples", "5.0 apples") and same(r"\frac{1}{2}", "0.5")


def test_right_answers_are_one_and_never_one_with_a_wrong_one() -> None:
    # The two right ones differ from one another; the wrong one equals the first of them.
    assert _groups(["0.333333333333333", "0.3333333333333333", "1/3"], {"0.333333333333333", "0.3333333333333333"}) == [
        0,
        0,
        1,
    ]
    assert _groups(["", "a"], {"a"}) == [0, 1]


def test_a_verdict_that_is_not_transitive_gives_groups_that_do_not_depend_on_the_order() -> None:
    same = equivalence_fn("math")
    first, second, third = "0.333333333333333", "1/3", "0.3333333333333333"
    assert same(second, first) and same(second, third) and not same(first, third)
    answers: list[str | None] = [first, second, third, "7", second, first, first]
    expected = None
    for seed in range(10):
        order = random.Random(seed).sample(range(7), 7)
        numbers = _groups([answers[index] for index in order], set())
        groups = {frozenset(order[i] for i in range(7) if numbers[i] == number) for number in numbers}
        expected = expected or groups
        assert groups == expected == {frozenset({0, 1, 4, 5, 6}), frozenset({2}), frozenset({3})}


def test_the_most_drawn_text_stands_for_its_group() -> None:
    answers: list[str | None] = ["0.333333333333333", "1/3", "0.3333333333333333"]
    assert _groups(answers, set(), copies=[1, 5, 1]) == [0, 0, 0]
    assert _groups(answers, set(), copies=[5, 1, 1]) == [0, 0, 1]


@pytest.mark.parametrize(("grader", "numbers"), [("exact", [0, 1, 2]), ("string", [0, 0, 1]), ("math", [0, 0, 1])])
def test_the_grader_decides(grader: str, numbers: list[int]) -> None:
    assert _groups(["Paris", "paris.", "London"], set(), grader) == numbers


def test_plain_numbers_need_no_algebra_and_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool.AlgebraPool, "compare", lambda *_, **__: pytest.fail("algebra was asked"))
    answers: list[str | None] = [f"{number}{end}" for number in range(-30, 30) for end in ("", ".0", ".5")]
    assert len(set(_groups(answers, {"7", "7.0"}))) == 60 + 60
    same = equivalence_fn("math")
    for first, second, equal in [
        ("007", "7", True), ("-0", "0", True), (".5", "0.50", True), ("5.", "5", True),
        ("\u0663", "3", False), ("1,000", "1000", True), ("12 apples", "12", True), ("9" * 60, "9" * 59, False),
    ]:  # fmt: skip
        assert same(first, second) is equal, (first, second)


def test_an_unknown_grader_is_refused() -> None:
    with refused("unknown_name", field="grader", names=("'maths'", "math?")):
        equivalence_fn("maths")
