"""Each metric against scikit-learn or a count in plain Python."""

import math
from collections import defaultdict
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, roc_auc_score

from stepward.metrics import (
    F1,
    FirstError,
    accuracy,
    auc,
    best_of_n,
    brier,
    calibration_error,
    f1,
    first_error_f1,
    mean_margin,
    pair_accuracy,
    pair_metrics,
    step_metrics,
)

# Multiples of 1/64 are exact, so that ties, thresholds and the edges of bins are met.
SCORE = st.integers(0, 64).map(lambda k: k / 64)
MARKS = st.lists(st.tuples(SCORE, SCORE, st.integers(0, 3)), min_size=1, max_size=30)
HARD = st.lists(st.tuples(SCORE, st.booleans(), st.integers(0, 4)), min_size=1, max_size=30)
THRESHOLD = st.sampled_from([0.25, 0.5, 0.75])
Marks = list[tuple[float, float, int]]


def _columns(marks: Marks) -> tuple[list[float], list[float], list[int]]:
    scores, targets, last = (list(column) for column in zip(*marks, strict=True))
    return scores, [float(target) for target in targets], last


@given(HARD, THRESHOLD)
def test_accuracy_and_auc_are_scikit_learns(marks: Marks, threshold: float) -> None:
    scores, targets, weights = _columns(marks)
    taken = [score >= threshold for score in scores]
    truth = [target > 0.5 for target in targets]
    if sum(weights):
        expected = accuracy_score(truth, taken, sample_weight=weights)
        assert accuracy(scores, targets, weights, threshold) == pytest.approx(expected)
    assert accuracy(scores, targets, None, threshold) == pytest.approx(accuracy_score(truth, taken))
    if len(set(truth)) == 2:
        assert auc(scores, targets) == pytest.approx(roc_auc_score(truth, scores))
    else:
        assert auc(scores, targets) is None


@given(HARD)
def test_auc_is_the_share_of_pairs_in_order(marks: Marks) -> None:
    scores, targets, weights = _columns(marks)
    won = total = Fraction(0)
    for score, right, weight in zip(scores, targets, weights, strict=True):
        for other, other_right, other_weight in zip(scores, targets, weights, strict=True):
            if right and not other_right:
                total += weight * other_weight
                won += weight * other_weight * (Fraction(score > other) + Fraction(score == other) / 2)
    found = auc(scores, targets, weights)
    assert found is None if not total else found == pytest.approx(float(won / total))


@given(HARD, THRESHOLD)
def test_f1_is_scikit_learns(marks: Marks, threshold: float) -> None:
    scores, targets, weights = _columns(marks)
    taken, truth = [score >= threshold for score in scores], [target > 0.5 for target in targets]
    found = f1(scores, targets, weights, threshold)
    if not sum(weights):  # scikit-learn refuses them
        assert found == F1(None, None, None)
        return
    for value, which in ((found.wrong, False), (found.right, True)):
        expected = f1_score(
            truth, taken, pos_label=which, average="binary", sample_weight=weights, zero_division=np.nan
        )
        assert value is None if math.isnan(expected) else value == pytest.approx(expected)
    if found.wrong is not None and found.right is not None:
        assert found.macro == pytest.approx((found.wrong + found.right) / 2)
    else:
        assert found.macro is None


def test_f1_where_there_is_nothing_to_find() -> None:
    assert f1([0.9, 0.8], [1.0, 1.0]) == F1(None, 1.0, None)
    assert f1([0.9, 0.1], [1.0, 1.0]) == F1(0.0, pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert f1([], []) == F1(None, None, None)


def _plain_first_errors(marks: Marks, threshold: float) -> FirstError:
    solutions: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for score, target, owner in marks:
        solutions[owner].append((score, target))
    found: dict[bool, list[bool]] = {True: [], False: []}
    for steps in solutions.values():
        actual = next((index for index, (_, target) in enumerate(steps) if target <= 0.5), -1)
        guess = next((index for index, (score, _) in enumerate(steps) if score < threshold), -1)
        found[actual >= 0].append(guess == actual)
    one, other = (sum(hits) / len(hits) if hits else None for hits in (found[True], found[False]))
    if one is None or other is None:
        return FirstError(one, other, None)
    return FirstError(one, other, 2 / (1 / one + 1 / other) if one and other else 0.0)


@given(st.lists(st.tuples(SCORE, SCORE, st.integers(0, 6)), min_size=1, max_size=30), THRESHOLD)
def test_first_errors_are_found_as_a_loop_finds_them(marks: Marks, threshold: float) -> None:
    scores, targets, owners = _columns(marks)
    found, expected = first_error_f1(scores, targets, owners, threshold), _plain_first_errors(marks, threshold)
    for value, wanted in zip(found, expected, strict=True):
        assert value is None if wanted is None else value == pytest.approx(wanted)


def test_first_errors_by_hand() -> None:
    # Found; the step before it is taken for wrong; none and none found; none but one is found.
    owners = ["a", "a", "b", "b", "c", "c", "d"]
    scores, targets = [0.9, 0.2, 0.4, 0.1, 0.9, 0.5, 0.3], [1, 0, 1, 0, 1, 1, 1]
    assert first_error_f1(scores, targets, owners) == FirstError(0.5, 0.5, 0.5)
    # What is scored after the first error changes nothing.
    assert first_error_f1([0.1, 0.9, 0.2, 0.8], [0, 1, 0, 1], [0, 0, 0, 1]).f1 == 1.0


def test_no_first_error_found_is_zero_not_undefined() -> None:
    assert first_error_f1([0.9, 0.1], [0, 1], [0, 1]) == FirstError(0.0, 0.0, 0.0)
    assert first_error_f1([0.9], [1], [0]) == FirstError(None, 1.0, None)


@given(MARKS, st.sampled_from([1, 4, 10, 15]))
def test_calibration_error_is_the_mean_gap_of_the_bins(marks: Marks, bins: int) -> None:
    scores, targets, weights = _columns(marks)
    found, total = Fraction(0), sum(weights)
    for which in range(bins):
        low, high = Fraction(which, bins), Fraction(which + 1, bins)
        inside = [
            (Fraction(s), Fraction(t), w)
            for s, t, w in zip(scores, targets, weights, strict=True)
            if low <= Fraction(s) < high or (s == 1 and high == 1)
        ]
        heft = sum(w for *_, w in inside)
        if heft:
            mean_score = sum(s * w for s, _, w in inside) / heft
            mean_target = sum(t * w for _, t, w in inside) / heft
            found += abs(mean_target - mean_score) * heft / total
    measured = calibration_error(scores, targets, weights, bins)
    assert measured is None if not total else measured == pytest.approx(float(found), abs=1e-12)


def test_scores_that_are_the_targets_are_calibrated() -> None:
    scores = np.linspace(0, 1, 50)
    assert calibration_error(scores, scores) == 0
    assert calibration_error([0.7] * 10, [1] * 7 + [0] * 3) == pytest.approx(0, abs=1e-12)
    assert calibration_error([1.0, 1.0], [0, 0]) == 1.0


@given(HARD)
def test_brier_is_scikit_learns(marks: Marks) -> None:
    scores, targets, _ = _columns(marks)
    truth = [int(target) for target in targets]
    assert brier(scores, targets) == pytest.approx(brier_score_loss(truth, scores, pos_label=1))


def test_brier_keeps_targets_soft() -> None:
    assert brier([0.3, 0.5], [0.3, 0.25]) == pytest.approx(0.0625 / 2)


@given(MARKS, THRESHOLD)
def test_a_weight_is_a_number_of_copies(marks: Marks, threshold: float) -> None:
    scores, targets, weights = _columns(marks)
    copied = [(score, target, 1) for score, target, weight in marks for _ in range(weight)]
    many, wanted, _ = _columns(copied) if copied else ([], [], [])
    for measure in (accuracy, auc, brier, calibration_error):
        assert measure(scores, targets, weights) == pytest.approx(measure(many, wanted), abs=1e-12)
    found, expected = f1(scores, targets, weights, threshold), f1(many, wanted, None, threshold)
    assert found == pytest.approx(expected)


@given(MARKS, st.randoms(use_true_random=False))
def test_step_metrics_gather_the_labelled_steps(marks: Marks, random: Any) -> None:
    labels = [random.choice([0.0, 1.0]) for _ in marks]
    scores, targets, owners = _columns(marks)
    found = step_metrics(scores, targets, owners, 0.25, labels)
    kept = [mark for mark, label in zip(marks, labels, strict=True) if label]
    some, wanted, whose = _columns(kept) if kept else ([], [], [])
    first, classes = first_error_f1(some, wanted, whose, 0.25), f1(some, wanted, None, 0.25)
    assert found == {
        "accuracy": accuracy(some, wanted, None, 0.25),
        "auc": auc(some, wanted),
        "f1_wrong": classes.wrong,
        "f1_right": classes.right,
        "f1_macro": classes.macro,
        "first_error_f1": first.f1,
        "first_error_accuracy": first.with_error,
        "no_error_accuracy": first.without_error,
        "calibration_error": calibration_error(some, wanted),
        "brier": brier(some, wanted),
        "mean_score": pytest.approx(sum(some) / len(some)) if some else None,
        "mean_target": pytest.approx(sum(wanted) / len(wanted)) if wanted else None,
    }
    assert all(value is None or (type(value) is float and 0 <= value <= 1) for value in found.values())


def test_without_labelled_steps_everything_is_undefined() -> None:
    assert set(step_metrics([], [], []).values()) == {None}
    assert set(step_metrics([0.2, 0.9], [0, 1], [0, 0], weights=[0, 0]).values()) == {None}
    assert set(pair_metrics([], []).values()) == {None}
    assert best_of_n([], [], []) is None


def test_perfect_scores() -> None:
    found = step_metrics(np.array([1.0, 0, 1]), np.array([1.0, 0, 1]), np.array([0, 0, 1]))
    ends = {"calibration_error": 0.0, "brier": 0.0, "mean_score": 2 / 3, "mean_target": 2 / 3}
    assert found == {name: ends.get(name, 1.0) for name in found}


# Pairs and best of N.


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=20))
def test_pairs_are_counted(pairs: list[tuple[int, int]]) -> None:
    chosen, rejected = (list(column) for column in zip(*pairs, strict=True))
    won = sum(1.0 if c > r else 0.5 if c == r else 0.0 for c, r in pairs)
    assert pair_accuracy(chosen, rejected) == pytest.approx(won / len(pairs))
    assert mean_margin(chosen, rejected) == pytest.approx(sum(c - r for c, r in pairs) / len(pairs))
    assert pair_metrics(chosen, rejected) == {
        "pair_accuracy": pair_accuracy(chosen, rejected),
        "mean_margin": mean_margin(chosen, rejected),
    }


@given(st.lists(st.tuples(st.integers(-2, 2), st.sampled_from("abc"), st.booleans()), min_size=1, max_size=20))
def test_best_of_n_is_what_a_loop_over_problems_finds(solutions: list[tuple[int, str, bool]]) -> None:
    groups: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for score, problem, correct in solutions:
        groups[problem].append((score, correct))
    chances = []
    for group in groups.values():
        tied = [correct for score, correct in group if score == max(score for score, _ in group)]
        chances.append(Fraction(sum(tied), len(tied)))
    scores, problems, correct = (list(column) for column in zip(*solutions, strict=True))
    assert best_of_n(scores, problems, correct) == pytest.approx(float(sum(chances) / len(chances)))


# What is refused.


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.1, 1.5])
def test_a_score_that_is_no_probability_is_refused(bad: float) -> None:
    code = "bad_value" if math.isfinite(bad) else "not_finite"
    with refused(code, field="scores", names=("scores[1]", bad)):
        step_metrics([0.5, bad], [0, 1], [0, 0])
    with refused(code, field="targets", names=("targets[0]", bad)):
        step_metrics([0.5, 0.5], [bad, 1], [0, 0])


def test_other_bad_numbers_are_refused() -> None:
    with refused("bad_value", field="weights", names=("weights[0]", -1.0)):
        accuracy([0.5], [1], [-1])
    with refused("not_finite", field="rejected", names=("rejected[0]",)):
        pair_metrics([1.0], [math.nan])
    with refused("not_finite", field="scores", names=("scores[1]",)):
        best_of_n([1.0, math.nan], [0, 0], [True, False])


@pytest.mark.parametrize("short", ["targets", "owners", "weights"])
def test_arrays_of_other_lengths_are_refused(short: str) -> None:
    columns = {"scores": [0.5, 0.5], "targets": [0, 1], "owners": [0, 0], "weights": [1, 1]}
    columns[short] = columns[short][:1]
    with refused("mismatch", field=short):
        step_metrics(**columns)


def test_pairs_and_solutions_of_other_lengths_are_refused() -> None:
    with refused("mismatch", field="rejected"):
        pair_metrics([1.0, 2.0], [1.0])
    with refused("mismatch", field="problems"):
        best_of_n([1.0, 2.0], ["a"], [True, False])
    with refused("mismatch", field="correct"):
        best_of_n([1.0, 2.0], ["a", "a"], [True])
