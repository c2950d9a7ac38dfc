"""Labels of solutions, computed from counts, grades and an exact checker."""

from dataclasses import replace

import pytest
from raising import refused

from stepward.labeling.labels import compute_labels, entropy_regularized, oracle_labels, outcome_labels, reward
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
    [("hard", 1.0, 1.0), ("soft", 0.25, 1.0), ("er", entropy_regularized(0.25, 3.0), 1.0)],
)
def test_a_steps_label_is_its_prefixs_reward_and_the_lasts_the_grade(kind: str, first: float, second: float) -> None:
    eta = 3.0 if kind == "er" else None
    assert compute_labels([RIGHT, WRONG], COUNTS, kind, eta=3.0) == [
        StepLabels(RIGHT.id, "p", kind, (first, second, 1.0), eta),
        # Its last step's counts are another solution's, which goes on from there.
        StepLabels(WRONG.id, "p", kind, (first, 0.0), eta),
    ]


def test_a_solution_without_rollouts_is_named() -> None:
    with refused("missing", field=RIGHT.id, names=(2,)):
        compute_labels([RIGHT], {key: one for key, one in COUNTS.items() if len(one.steps) == 1}, "soft")


def test_an_unknown_kind_is_refused() -> None:
    with refused("unknown_name", field="kind", names=("'medium'",)):
        reward(1, 2, "medium")


def test_the_reward_of_one_prefix() -> None:
    assert (reward(0, 4, "hard"), reward(1, 4, "hard"), reward(1, 4, "soft")) == (0.0, 1.0, 0.25)
    assert reward(1, 4, "er", 5.0) == entropy_regularized(0.25, 5.0)


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


def test_a_prefix_whose_draws_are_all_void_has_no_label_and_the_others_keep_theirs() -> None:
    void = StepRollouts(prefix_id("p", ("a",)), "p", ("a",), 0, 0, empty=7, failed=1)
    for kind, second in (("hard", 1.0), ("soft", 1.0), ("er", 1.0)):
        (labels,) = compute_labels([RIGHT], COUNTS | {void.id: void}, kind)
        assert labels.labels == (None, second, 1.0)


def test_soft_labels_are_the_estimate_that_the_rule_allows() -> None:
    early = [
        replace(counted("a", right=1, drawn=4), rule="first_right(16)"),
        replace(counted("a", "b", right=1, drawn=1), rule="first_right(16)"),
    ]
    rollouts = {one.id: one for one in early}
    assert [compute_labels([RIGHT], rollouts, kind)[0].labels for kind in ("hard", "soft", "er")] == [
        (1.0, 1.0, 1.0), (0.0, 1.0, 1.0), (0.0, 1.0, 1.0),
    ]  # fmt: skip
    impossible = replace(early[0], drawn=5)
    with refused("mismatch", names=("1 right of 5",)):
        compute_labels([RIGHT], rollouts | {impossible.id: impossible}, "soft")


FALLEN = solved("a", "b", "x", "y", "z", correct=False)


def of_counts(*right: int | None) -> dict[str, StepRollouts]:
    """Counts of the first prefixes of `FALLEN`, None for one that was not asked."""
    found = [counted(*FALLEN.steps[: end + 1], right=hits) for end, hits in enumerate(right) if hits is not None]
    return {one.id: one for one in found}


@pytest.mark.parametrize(
    ("right", "keep", "drop", "zero"),
    [
        # Nothing is known, so nothing is concluded but the grade.
        ((None,) * 4, (None,) * 4 + (0.0,), (None,) * 4 + (0.0,), (None,) * 4 + (0.0,)),
        ((None, 4, 0, None), (1.0, 1.0, 0.0, None, 0.0), (1.0, 1.0, 0.0, None, None), (1.0, 1.0, 0.0, 0.0, 0.0)),
        # What succeeds later does so from before, too, whatever few completions said.
        ((0, 4, 0, None), (1.0, 1.0, 0.0, None, 0.0), (1.0, 1.0, 0.0, None, None), (1.0, 1.0, 0.0, 0.0, 0.0)),
        ((0, 0, 0, 0), (0.0,) * 5, (0.0,) + (None,) * 4, (0.0,) * 5),
        ((None, None, None, 1), (1.0,) * 4 + (0.0,), (1.0,) * 4 + (0.0,), (1.0,) * 4 + (0.0,)),
        ((None, 1, None, 0), (1.0, 1.0, None, 0.0, 0.0), (1.0, 1.0, None, 0.0, None), (1.0, 1.0, None, 0.0, 0.0)),
    ],
)
def test_what_a_search_left_out_is_inferred(
    right: tuple[int | None, ...],
    keep: tuple[float | None, ...],
    drop: tuple[float | None, ...],
    zero: tuple[float | None, ...],
) -> None:
    for after, expected in (("keep", keep), ("drop", drop), ("zero", zero)):
        (labels,) = compute_labels(
            [FALLEN], of_counts(*right), "hard", missing="infer", after_first_error=after  # type: ignore[arg-type]
        )  # fmt: skip
        assert labels.labels == expected


def test_a_right_solution_vouches_for_its_prefixes_in_hard_labels_alone() -> None:
    (hard,) = compute_labels([RIGHT], {}, "hard", missing="infer")
    (soft,) = compute_labels([RIGHT], {}, "soft", missing="infer")
    assert (hard.labels, soft.labels) == ((1.0, 1.0, 1.0), (None, None, 1.0))
    _, fallen = compute_labels([RIGHT, FALLEN], {}, "hard", missing="infer")
    assert fallen.labels == (1.0, 1.0, None, None, 0.0)


def test_with_counts_everywhere_nothing_is_inferred_unless_asked() -> None:
    counts = of_counts(0, 4, 0, 2)
    labels = [compute_labels([FALLEN], counts, kind)[0].labels for kind in ("hard", "soft")]
    assert labels == [(0.0, 1.0, 0.0, 1.0, 0.0), (0.0, 0.5, 0.0, 0.25, 0.0)]
    dropped = [
        compute_labels([FALLEN], counts, kind, after_first_error="drop")[0].labels for kind in ("hard", "soft", "er")
    ]
    assert dropped == [(0.0, None, None, None, None)] * 3
    # A right solution has no first error, though some prefix of it never succeeded.
    unlucky = COUNTS | {one.id: one for one in [counted("a", right=0)]}
    (kept,) = compute_labels([RIGHT], unlucky, "hard", after_first_error="drop")
    assert kept.labels == (0.0, 1.0, 1.0)
