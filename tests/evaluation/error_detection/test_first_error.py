"""First errors: the threshold against brute force, ProcessBench's F1 by hand and by an independent way, the slices."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.evaluation.error_detection.first_error import (
    UNREAD,
    choose_threshold,
    first_below,
    locate,
    mean_f1,
    minimum,
    wrong_process,
)
from stepward.metrics import first_error_f1

LEVELS = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]


@st.composite
def judged(draw):
    """Scores of few levels, so that they tie, with first errors of both kinds."""
    rows = draw(st.integers(2, 12))
    scores = [draw(st.lists(st.sampled_from(LEVELS), min_size=1, max_size=5)) for _ in range(rows)]
    first = [draw(st.integers(-1, len(one) - 1)) for one in scores]
    first[0], first[1] = -1, len(scores[1]) - 1
    return scores, first


def f1_by_hand(scores, first, threshold):
    """ProcessBench's F1, row by row."""
    right = {True: [], False: []}
    for one, error in zip(scores, first, strict=True):
        found = next((at for at, score in enumerate(one) if score < threshold), -1)
        right[error != -1].append(found == error)
    a, b = (sum(of) / len(of) for of in right.values())
    return 2 * a * b / (a + b) if a + b else 0.0


@given(judged())
def test_the_chosen_threshold_is_the_best_of_all(case):
    scores, first = case
    levels = sorted({score for one in scores for score in one})
    tried = [*levels, *[(a + b) / 2 for a, b in pairwise(levels)], levels[-1] + 1]
    value, best = choose_threshold(scores, first)
    assert best == pytest.approx(max(f1_by_hand(scores, first, one) for one in tried))
    assert f1_by_hand(scores, first, value) == pytest.approx(best)
    assert 0 <= value <= 1


@given(judged(), st.sampled_from(LEVELS))
def test_f1_is_that_of_the_step_metrics(case, threshold):
    scores, first = case
    marks = [
        (score, 0.0 if at == error else 1.0, row)
        for row, (one, error) in enumerate(zip(scores, first, strict=True))
        for at, score in enumerate(one)
        if error == -1 or at <= error
    ]
    wanted = first_error_f1(*zip(*marks, strict=True), threshold=threshold)
    got = locate("all", first_below(scores, threshold), np.array(first), 0)
    assert got.f1 == pytest.approx(wanted.f1) == pytest.approx(f1_by_hand(scores, first, threshold))
    assert (got.with_error, got.without_error) == pytest.approx((wanted.with_error, wanted.without_error))
    assert got.f1_low <= got.f1 <= got.f1_high or got.f1 == pytest.approx(got.f1_high)


def test_of_equally_good_thresholds_the_one_nearest_to_a_half_is_chosen():
    # Anything above .2 and up to .8 finds all.
    assert choose_threshold([[0.2, 0.9], [0.8, 0.8]], [0, -1]) == (0.5, 1.0)
    # Up to .375 and above .75 the F1 is 2/3: the middles .1875 and .875 lie .3125 and .375 from a half.
    scores, first = [[0.0], [1.0], [0.75], [0.375]], [0, -1, 0, -1]
    assert choose_threshold(scores, first) == (0.1875, pytest.approx(2 / 3))
    # Now both lie .3125 away, and the lower one is taken.
    assert choose_threshold([[0.0], [1.0], [0.625], [0.375]], first) == (0.1875, pytest.approx(2 / 3))


def test_neighbouring_floats_leave_a_threshold_between_them():
    low = 0.5
    high = np.nextafter(low, 1)
    value, best = choose_threshold([[low], [high]], [0, -1])
    assert (value, best) == (high, 1.0)


@pytest.mark.parametrize("first", [[0, 0], [-1, -1]], ids=["errors", "none"])
def test_a_threshold_needs_rows_of_both_kinds(first):
    with refused("too_few", field="--threshold", names=("2 rows",)):
        choose_threshold([[0.5], [0.2]], first)


def test_a_step_at_the_threshold_is_taken_for_right():
    assert first_below([[0.5, 0.4], [0.5, 0.5]], 0.5).tolist() == [1, -1]


def test_cases_and_accuracies_by_hand():
    found, first = np.array([1, 0, 2, -1, UNREAD, -1, 0]), np.array([1, 1, 1, 1, 1, -1, -1])
    got = locate("gsm8k", found, first, 0)
    assert got.cases == {"exact": 1, "none": 1, "early": 1, "late": 1, "missed": 1, "invented": 1, "unread": 1}
    assert (got.rows, got.rows_with_error, got.rows_without_error) == (7, 5, 2)
    assert (got.with_error, got.without_error, got.accuracy) == (0.2, 0.5, pytest.approx(2 / 7))
    assert got.f1 == pytest.approx(2 * 0.2 * 0.5 / 0.7)


def test_one_kind_of_rows_has_no_f1():
    got = locate("math", np.array([0, 1]), np.array([0, 0]), 0)
    assert (got.with_error, got.without_error, got.f1, got.f1_low) == (0.5, None, None, None)
    assert mean_f1([(np.array([0]), np.array([0]))], False, 0).value is None


def test_macro_and_weighted_means_by_hand():
    first = np.array([0, 0, -1, -1])
    good, half = (np.array([0, 0, -1, -1]), first), (np.tile([0, 1, -1, 0], 3), np.tile(first, 3))
    macro, weighted = mean_f1([good, half], False, 0), mean_f1([good, half], True, 0)
    assert macro.value == pytest.approx((1 + 0.5) / 2)
    assert weighted.value == pytest.approx((4 * 1 + 12 * 0.5) / 16)
    assert macro.low < macro.value < macro.high


def test_intervals_cover_the_truth():
    # 200 samples of rows whose first errors are found with chances .6 and .8.
    random = np.random.default_rng(5)
    first = np.array([0] * 120 + [-1] * 80)
    truth = 2 * 0.6 * 0.8 / 1.4
    hits = 0
    for index in range(200):
        right = random.random(200) < np.where(first == 0, 0.6, 0.8)
        found = np.where(right, first, np.where(first == 0, -1, 0))
        got = locate("all", found, first, index)
        hits += got.f1_low <= truth <= got.f1_high
    assert 180 <= hits <= 198  # 95% of 200, by four standard errors below


def test_where_the_lowest_score_lies():
    got = minimum([[0.9, 0.1, 0.5], [0.2, 0.9, 0.2], [0.3, 0.9]], [1, 1, -1])
    assert (got.rows, got.at, got.before, got.after) == (2, 0.5, 0.25, 0.25)
    assert (got.position, got.position_of_error, got.position_without_error) == (0.5, 0.5, 0.0)
    assert minimum([[0.5]], [-1]) is None


def test_right_answers_by_wrong_steps():
    found, first = np.array([0, 1, -1, -1, 0]), np.array([0, 0, 0, -1, 0])
    got = wrong_process(found, first, [True, True, True, True, False], 0)
    assert (got.rows, got.share, got.found) == (3, 0.75, pytest.approx(1 / 3))
    assert got.flagged == pytest.approx(2 / 3)
    assert wrong_process(found, first, [None] * 5, 0) is None
