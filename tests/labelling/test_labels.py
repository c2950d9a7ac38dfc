"""Labels of solutions, computed from counts, grades and an exact checker."""

import pytest

from stepward.errors import StepwardError
from stepward.labelling.labels import oracle_labels, outcome_labels, reward, rollout_labels
from stepward.labelling.rewards import entropy_regularised
from stepward.records import Solution, StepLabels, StepRollouts, prefix_id


def solved(*steps: str, correct: bool, finished: bool = True) -> Solution:
    return Solution("s" + "".join(steps) + str(finished), "p", steps, None, correct, finished=finished)


def counted(*steps: str, right: int, drawn: int = 8) -> StepRollouts:
    return StepRollouts(prefix_id("p", steps), "p", steps, drawn, right)


RIGHT = solved("a", "b", "c", correct=True)
WRONG = solved("a", "x", correct=False)
COUNTS = {one.id: one for one in (counted("a", right=2), counted("a", "b", right=8), counted("a", "x", right=5))}


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [("hard", 1.0, 1.0), ("soft", 0.25, 1.0), ("er", entropy_regularised(0.25, 3.0), 1.0)],
)
def test_a_steps_label_is_its_prefixs_reward_and_the_lasts_the_grade(kind: str, first: float, second: float) -> None:
    eta = 3.0 if kind == "er" else None
    assert rollout_labels([RIGHT, WRONG], COUNTS, kind, eta=3.0) == [
        StepLabels(RIGHT.id, "p", kind, (first, second, 1.0), eta),
        # Its last step's counts are another solution's, which goes on from there.
        StepLabels(WRONG.id, "p", kind, (first, 0.0), eta),
    ]


def test_a_solution_without_rollouts_is_named() -> None:
    with pytest.raises(StepwardError, match=f"solution {RIGHT.id}: no rollouts for its prefix of 2 steps"):
        rollout_labels([RIGHT], {key: one for key, one in COUNTS.items() if len(one.steps) == 1}, "soft")


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(StepwardError, match="'medium': expected hard, soft or er"):
        reward(1, 2, "medium")


def test_the_reward_of_one_prefix() -> None:
    assert (reward(0, 4, "hard"), reward(1, 4, "hard"), reward(1, 4, "soft")) == (0.0, 1.0, 0.25)
    assert reward(1, 4, "er", 5.0) == entropy_regularised(0.25, 5.0)


def test_outcome_labels_are_the_grade_at_every_step() -> None:
    assert [one.labels for one in outcome_labels([RIGHT, WRONG])] == [(1.0, 1.0, 1.0), (0.0, 0.0)]


@pytest.mark.parametrize(("wrong", "labels"), [(None, (1.0, 1.0, 1.0)), (0, (0.0,) * 3), (1, (1.0, 0.0, 0.0))])
def test_oracle_labels_are_right_up_to_the_first_wrong_step(wrong: int | None, labels: tuple[float, ...]) -> None:
    asked = []

    def oracle(problem_id: str, steps: tuple[str, ...]) -> int | None:
        asked.append((problem_id, steps))
        return wrong

    assert [one.labels for one in oracle_labels([RIGHT], oracle)] == [labels]
    assert asked == [("p", ("a", "b", "c"))]
