"""Only solutions on whose first error both sources agree are kept, and why the others are not is counted."""

from hypothesis import given
from hypothesis import strategies as st

from stepward.labeling.filters import NO_ERROR, consensus, first_error, labels_up_to
from stepward.records import StepLabels

STEPS = 4

verdicts = st.lists(st.tuples(st.integers(NO_ERROR, STEPS - 1), st.integers(NO_ERROR, STEPS - 1)), max_size=8)


def labels(name: str, *values: float | None, kind: str = "hard") -> StepLabels:
    return StepLabels(name, "p", kind, values)


@given(verdicts)
def test_kept_are_those_with_equal_first_errors(pairs: list[tuple[int, int]]) -> None:
    ours = [labels(str(at), *labels_up_to(one, STEPS)) for at, (one, _) in enumerate(pairs)]
    theirs = [labels(str(at), *labels_up_to(other, STEPS), kind="judge") for at, (_, other) in enumerate(pairs)]
    found = consensus(ours, reversed(theirs))
    assert [one.solution_id for one in found.labels] == [str(at) for at, (one, two) in enumerate(pairs) if one == two]
    assert all(one.kind == "consensus" for one in found.labels)
    assert [first_error(one.labels) for one in found.labels] == [one for one, two in pairs if one == two]
    assert sum(found.dropped.values()) == sum(one != two for one, two in pairs)


def test_every_reason_is_counted_by_its_name() -> None:
    ours = [
        labels("same", 1.0, 0.0, 1.0),
        labels("step", 1.0, 0.0, 0.0),
        labels("first", 0.0, 0.0, 0.0),
        labels("second", 1.0, 1.0, 1.0),
        labels("gap", 1.0, None, 0.0),
        labels("alone", 1.0, 1.0, 1.0),
    ]
    theirs = [
        labels("same", 1.0, 0.0, None),
        labels("step", 0.0, None, None),
        labels("first", 1.0, 1.0, 1.0),
        labels("second", 1.0, 1.0, 0.0),
        labels("gap", 1.0, 1.0, 0.0),
        labels("other", 1.0),
    ]
    found = consensus(ours, theirs)
    assert [(one.solution_id, one.labels) for one in found.labels] == [("same", (1.0, 0.0, None))]
    assert found.dropped == {
        "another step": 1,
        "an error for the first alone": 1,
        "an error for the second alone": 1,
        "first error not known": 1,
        "in one alone": 1,
    }


def test_shares_are_right_above_their_own_threshold() -> None:
    soft, judged = labels("s", 0.2, 0.0, kind="soft"), labels("s", 1.0, 0.0, kind="judge")
    assert len(consensus([soft], [judged], one_above=0.0).labels) == 1
    assert consensus([soft], [judged]).dropped == {"another step": 1}
