"""Each filter takes away what it says, counts it, and leaves what it was given as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.labeling.filters import (
    NO_ERROR,
    Filtered,
    binarize,
    drop_unlabeled,
    filter_by_count,
    filter_by_interval,
    first_error,
    labels_up_to,
    truncate_after_first_error,
)
from stepward.labeling.rollouts.confidence import confidence_sequence
from stepward.records import Solution, StepLabels, StepRollouts, prefix_id, solution_id

STEPS = ("a", "b", "c")
SOLUTION = Solution(solution_id("p", STEPS), "p", STEPS, None, False)

some_labels = st.lists(st.none() | st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]), min_size=1, max_size=8)


def labels(*values: float | None, kind: str = "soft") -> StepLabels:
    return StepLabels(SOLUTION.id, "p", kind, values)


def count(found: Filtered) -> int:
    return sum(found.dropped.values())


@pytest.mark.parametrize(
    ("values", "above", "error"),
    [
        ((1.0, 1.0), 0.5, NO_ERROR),
        ((1.0, 0.0, None), 0.5, 1),
        ((0.0,), 0.5, 0),
        ((0.5, 1.0), 0.5, 0),
        ((0.1, 0.0), 0.0, 1),
        ((1.0, None, 0.0), 0.5, None),
        ((1.0, None), 0.5, None),
    ],
)
def test_the_first_error_of_labels(values: tuple[float | None, ...], above: float, error: int | None) -> None:
    assert first_error(values, above) == error


@given(st.integers(1, 6), st.data())
def test_labels_up_to_an_error_have_it_as_their_first(steps: int, data: st.DataObject) -> None:
    error = data.draw(st.integers(NO_ERROR, steps - 1))
    values = labels_up_to(error, steps)
    assert len(values) == steps and first_error(values) == error
    assert values.count(None) == (0 if error == NO_ERROR else steps - error - 1)


@given(some_labels, st.sampled_from([0.0, 0.5]))
def test_nothing_is_labelled_after_the_first_error(values: list[float | None], above: float) -> None:
    before = labels(*values)
    found = truncate_after_first_error([before], above)
    (after,) = found.labels
    wrong = [at for at, value in enumerate(after.labels) if value is not None and value <= above]
    assert len(wrong) <= 1 and all(value is None for at in wrong for value in after.labels[at + 1 :])
    kept = wrong[0] + 1 if wrong else len(values)
    assert after.labels[:kept] == before.labels[:kept]
    assert count(found) == after.labels.count(None) - before.labels.count(None)


@given(some_labels)
def test_thresholds_make_hard_labels_and_leave_out_what_lies_between(values: list[float | None]) -> None:
    found = binarize([labels(*values)], above=0.5, wrong_up_to=0.0)
    (after,) = found.labels
    expected = [None if value in (None, 0.3, 0.5) else float(value > 0.5) for value in values]
    assert list(after.labels) == expected and after.kind == "hard"
    assert found.dropped == ({"between the thresholds": count(found)} if count(found) else {})
    assert count(found) == sum(value in (0.3, 0.5) for value in values)


def test_one_threshold_leaves_nothing_out() -> None:
    one = StepLabels(SOLUTION.id, "p", "er", (0.2, 0.0, None), eta=2.0)
    found = binarize([one], above=0.0)
    assert found == Filtered([StepLabels(SOLUTION.id, "p", "hard", (1.0, 0.0, None))], {})
    assert one.labels == (0.2, 0.0, None)


@pytest.mark.parametrize(("above", "low"), [(1.0, None), (-0.1, None), (0.2, 0.3), (float("nan"), None)])
def test_thresholds_that_cannot_be_are_refused(above: float, low: float | None) -> None:
    with refused("bad_value", field="above"):
        binarize([labels(1.0)], above, low)


def rollouts(*counts: tuple[int, int], complete: bool = False) -> dict[str, StepRollouts]:
    found = {}
    for end, (right, drawn) in enumerate(counts, start=1):
        key = prefix_id("p", STEPS[:end])
        found[key] = StepRollouts(key, "p", STEPS[:end], drawn, right, complete)
    return found


def test_labels_of_few_completions_go_and_the_grade_stays() -> None:
    found = filter_by_count([SOLUTION], [labels(1.0, 0.0, 0.0)], rollouts((1, 1), (0, 16)), least=4)
    assert [one.labels for one in found.labels] == [(None, 0.0, 0.0)]
    assert found.dropped == {"fewer than 4 completions": 1}


def test_labels_without_counts_go_and_a_whole_solution_has_enough() -> None:
    found = filter_by_count([SOLUTION], [labels(1.0, 0.0, 0.0)], rollouts((1, 1), complete=True), least=4)
    assert [one.labels for one in found.labels] == [(1.0, None, 0.0)]
    assert found.dropped == {"no completions": 1}


def test_labels_of_wide_intervals_go() -> None:
    counts = rollouts((16, 16), (8, 16))
    low, high = confidence_sequence(16, 16, 0.9)
    width = high - low
    assert width < confidence_sequence(16, 8, 0.9)[1] - confidence_sequence(16, 8, 0.9)[0]
    found = filter_by_interval([SOLUTION], [labels(1.0, 0.5, 0.0)], counts, width=width, level=0.9)
    assert [one.labels for one in found.labels] == [(1.0, None, 0.0)]
    assert list(found.dropped.values()) == [1]
    assert filter_by_interval([SOLUTION], [labels(1.0, 0.5, 0.0)], counts, width=1.0).dropped == {}


@pytest.mark.parametrize(("width", "level"), [(0.0, 0.9), (1.5, 0.9), (0.2, 0.0), (0.2, 1.0)])
def test_a_width_or_level_that_cannot_be_is_refused(width: float, level: float) -> None:
    with refused("bad_value", field="width"):
        filter_by_interval([SOLUTION], [labels(1.0, 0.5, 0.0)], {}, width, level)


def test_labels_of_another_solution_are_refused_with_its_name() -> None:
    with refused("missing", field="p/else", names=("soft",)):
        filter_by_count([SOLUTION], [StepLabels("p/else", "p", "soft", (1.0,))], {}, 1)
    with refused("mismatch", names=(2, 3)):
        filter_by_count([SOLUTION], [labels(1.0, 1.0)], {}, 1)


def test_solutions_without_labels_are_dropped_and_counted() -> None:
    kept = labels(None, 1.0)
    found = drop_unlabeled([labels(None, None), kept])
    assert found == Filtered([kept], {"no label left": 1})
    assert drop_unlabeled([kept]).dropped == {}
