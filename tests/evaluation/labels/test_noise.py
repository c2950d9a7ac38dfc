"""The four ways in which labels err, counted; shares against a plain count, intervals against a plain bootstrap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused
from scipy.stats import binomtest

from stepward.evaluation.labels.noise import CASES, case_of, label_noise
from stepward.labeling.filters import labels_up_to
from stepward.metrics import first_error_f1
from stepward.records import LabelledSolution, StepLabels

STEPS = 4

errors = st.integers(-1, STEPS - 1)


def labels(at: int, error: int, problem: str = "") -> StepLabels:
    return StepLabels(f"s{at}", problem or f"p{at}", "any", labels_up_to(error, STEPS))


@pytest.mark.parametrize(
    ("found", "true", "case"),
    [
        (-1, -1, "none"), (2, -1, "invented"), (0, -1, "invented"), (-1, 0, "missed"), (-1, 3, "missed"),
        (2, 2, "exact"), (0, 2, "early"), (3, 2, "late"),
    ],
)  # fmt: skip
def test_cases(found: int, true: int, case: str) -> None:
    assert case_of(found, true) == case


@given(st.lists(st.tuples(errors, errors), min_size=1, max_size=30))
def test_shares_and_f1_are_a_plain_count(pairs: list[tuple[int, int]]) -> None:
    noise = label_noise(
        [labels(at, found) for at, (found, _) in enumerate(pairs)],
        [labels(at, true) for at, (_, true) in reversed(list(enumerate(pairs)))],
    )
    named = [case_of(found, true) for found, true in pairs]
    assert [(one.case, one.count) for one in noise.shares] == [(case, named.count(case)) for case in CASES]
    assert sum(one.share for one in noise.shares) == pytest.approx(1)
    assert all(0 <= one.low <= one.share <= one.high <= 1 for one in noise.shares)
    assert noise.solutions == noise.problems == len(pairs)
    erring = [found == true for found, true in pairs if true >= 0]
    fine = [found == true for found, true in pairs if true < 0]
    assert noise.with_error == (pytest.approx(np.mean(erring)) if erring else None)
    assert noise.without_error == (pytest.approx(np.mean(fine)) if fine else None)
    # What Stepward measures of a reward model's scores, of labels as scores.
    scores = [0.0 if at == found else 1.0 for found, _ in pairs for at in range(STEPS)]
    targets = [0.0 if at == true else 1.0 for _, true in pairs for at in range(STEPS)]
    owners = [number for number in range(len(pairs)) for _ in range(STEPS)]
    assert noise.f1 == pytest.approx(first_error_f1(scores, targets, owners, 0.5).f1)


def test_intervals_are_those_of_a_plain_bootstrap_over_problems() -> None:
    random = np.random.default_rng(5)
    rows = [(f"p{at % 25}", int(random.integers(-1, 4)), int(random.integers(-1, 4))) for at in range(150)]
    noise = label_noise(
        [labels(at, found, problem) for at, (problem, found, _) in enumerate(rows)],
        [labels(at, true, problem) for at, (problem, _, true) in enumerate(rows)],
    )
    assert noise.problems == 25
    of = {name: [case_of(found, true) for problem, found, true in rows if problem == name] for name, *_ in rows}
    names = list(of)
    shares = []
    for _ in range(2000):
        drawn = [case for at in random.integers(0, 25, 25) for case in of[names[at]]]
        shares.append([drawn.count(case) / len(drawn) for case in CASES])
    low, high = np.percentile(shares, [2.5, 97.5], axis=0)
    assert [one.low for one in noise.shares] == pytest.approx(low, abs=0.015)
    assert [one.high for one in noise.shares] == pytest.approx(high, abs=0.015)


def test_of_a_case_that_never_was_the_interval_is_the_exact_one() -> None:
    noise = label_noise([labels(at, 1) for at in range(20)], [labels(at, 1) for at in range(20)])
    exact, missed = noise.share("exact"), noise.share("missed")
    none, every = (binomtest(count, 20).proportion_ci() for count in (0, 20))
    assert (missed.low, missed.high) == (0.0, pytest.approx(none.high))
    assert (exact.low, exact.high) == (pytest.approx(every.low), 1.0)


def test_what_cannot_be_compared_is_left_out_and_counted() -> None:
    gap = StepLabels("s2", "p2", "any", (1.0, None, 0.0, None))
    noise = label_noise(
        [labels(0, 1), labels(1, -1), gap, labels(3, 0), labels(4, 0)],
        [labels(0, 1), labels(2, 2), StepLabels("s3", "p3", "any", (None,) * 4), labels(4, 1), labels(5, 0)],
    )
    assert noise.solutions == 2 and (noise.share("exact").count, noise.share("early").count) == (1, 1)
    assert noise.left_out == {
        "without true labels": 1,
        "first error not labelled": 1,
        "true first error not labelled": 1,
        "without labels": 1,
    }


def test_shares_of_right_completions_have_their_own_threshold() -> None:
    soft = StepLabels("s0", "p0", "soft", (0.2, 0.0, 0.0, 0.0))
    assert label_noise([soft], [labels(0, 1)], above=0.0).share("exact").count == 1
    assert label_noise([soft], [labels(0, 1)]).share("early").count == 1


def test_peoples_labels_of_a_published_solution_are_compared_by_its_steps() -> None:
    def published(error: int) -> LabelledSolution:
        return LabelledSolution("How many?", ("a", "b", "c", "d"), labels_up_to(error, STEPS))

    people, model = published(2), published(-1)
    assert label_noise([model], [people]).share("missed").count == 1
    mine = StepLabels(people.id, people.problem_id, "judge", labels_up_to(3, STEPS))
    assert label_noise([mine], [people]).share("late").count == 1


def test_what_is_no_comparison_is_refused() -> None:
    with refused("empty", field="labels", names=("1 without true labels", "1 without labels")):
        label_noise([labels(0, 1)], [labels(1, 1)])
    with refused("duplicate", field="id", names=("s0",)):
        label_noise([labels(0, 1), labels(0, 2)], [labels(0, 1)])
    with refused("mismatch", field="labels", names=("s0", 3, 4)):
        label_noise([StepLabels("s0", "p0", "any", (1.0, 1.0, 1.0))], [labels(0, 1)])
    tree = LabelledSolution("?", ("a", "b"), (1.0, 1.0), parents=(-1, -1))
    with refused("unsupported", field="parents"):
        label_noise([tree], [tree])
