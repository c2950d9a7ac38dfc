"""Calibration: curves by hand and against sklearn, the Brier score's parts, intervals, and rows that are refused."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from stepward.errors import StepwardError
from stepward.evaluation.calibration import (
    LabelledScores,
    decompose,
    measure_calibration,
    read_labelled_scores,
    reliability,
)
from stepward.metrics import calibration_error, log_loss

SHARES = st.floats(0, 1)
MARKS = st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=60)
TIED = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 1 / 3, 0.9, 1.0]), SHARES), min_size=1, max_size=60)


def marks(count=4000, seed=0):
    random = np.random.default_rng(seed)
    scores = random.random(count)
    return scores, (random.random(count) < scores**2).astype(float)


def rows_of(scores, targets, size=4):
    return [
        LabelledScores(str(at), tuple(scores[at : at + size]), tuple(targets[at : at + size]))
        for at in range(0, len(scores), size)
    ]


def test_a_curve_by_hand():
    got = reliability([0.05, 0.15, 0.5, 1.0], [0, 1, 0.5, 1], bins=2)
    low, high = got.bins
    assert (low.low, low.high, low.count, low.mean_score, low.mean_target) == (0, 0.5, 2, pytest.approx(0.1), 0.5)
    assert (high.low, high.high, high.count, high.mean_score, high.mean_target) == (0.5, 1, 2, 0.75, 0.75)
    assert got.ece == pytest.approx(0.2)
    assert got.brier == pytest.approx((0.05**2 + 0.85**2) / 4)
    assert got.auc == 0.75  # of targets above a half, .15 and 1; half of the wrong ones are .05 and .5


def test_empty_bins_have_no_means():
    got = reliability([0.9], [1], bins=3)
    assert [(one.count, one.mean_score, one.mean_target) for one in got.bins] == [
        (0, None, None), (0, None, None), (1, 0.9, 1.0),
    ]  # fmt: skip
    assert got.auc is None


@given(MARKS)
def test_the_curve_has_every_score_and_the_known_error(given_marks):
    scores, targets = map(np.array, zip(*given_marks, strict=True))
    got = reliability(scores, targets)
    assert sum(one.count for one in got.bins) == len(scores)
    assert got.ece == pytest.approx(calibration_error(scores, targets))
    by_bins = sum(one.count * abs(one.mean_score - one.mean_target) for one in got.bins if one.count) / len(scores)
    assert got.ece == pytest.approx(by_bins)


@given(st.one_of(MARKS, TIED), st.integers(1, 20))
def test_bins_of_equal_mass_never_part_equal_scores(given_marks, bins):
    scores, targets = map(np.array, zip(*given_marks, strict=True))
    got = reliability(scores, targets, bins=bins, equal_mass=True)
    assert 1 <= len(got.bins) <= bins
    assert sum(one.count for one in got.bins) == len(scores)
    assert all(one.count for one in got.bins)
    assert all(one.high == other.low for one, other in pairwise(got.bins))
    for one in got.bins:
        inside = [score for score in scores if one.low <= score and (score < one.high or one is got.bins[-1])]
        assert (len(inside), np.mean(inside)) == (one.count, pytest.approx(one.mean_score))


def test_bins_of_equal_mass_hold_equally_many():
    scores, targets = marks(1500)
    assert [one.count for one in reliability(scores, targets, equal_mass=True).bins] == [100] * 15


@pytest.mark.parametrize(("equal_mass", "strategy"), [(False, "uniform"), (True, "quantile")], ids=["width", "mass"])
def test_curves_are_sklearns(equal_mass, strategy):
    scores, targets = marks()
    got = reliability(scores, targets, equal_mass=equal_mass)
    target, score = calibration_curve(targets, scores, n_bins=15, strategy=strategy)
    assert [one.mean_score for one in got.bins] == pytest.approx(score, abs=2e-3 if equal_mass else 1e-12)
    assert [one.mean_target for one in got.bins] == pytest.approx(target, abs=5e-3 if equal_mass else 1e-12)


def test_figures_are_sklearns():
    scores, targets = marks()
    got = measure_calibration(rows_of(scores, targets))
    assert got.brier == pytest.approx(brier_score_loss(targets, scores))
    assert got.log_loss == pytest.approx(sklearn_log_loss(targets, scores))
    assert got.auc == pytest.approx(roc_auc_score(targets, scores))
    assert (got.rows, got.count, got.unlabelled) == (1000, 4000, 0)
    for value, low, high in (
        (got.brier, got.brier_low, got.brier_high),
        (got.log_loss, got.log_loss_low, got.log_loss_high),
        (got.auc, got.auc_low, got.auc_high),
    ):
        assert low < value < high
        assert high - low < 0.1 * value


@given(st.one_of(MARKS, TIED))
def test_the_parts_of_the_brier_score_add_up(given_marks):
    scores, targets = map(np.array, zip(*given_marks, strict=True))
    parts = decompose(scores, targets)
    whole = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    assert whole == pytest.approx(np.mean((scores - targets) ** 2), abs=1e-12)
    assert parts.reliability >= 0
    assert -1e-12 <= parts.resolution <= parts.uncertainty + 1e-12


def test_murphys_parts_by_hand():
    # Scores .2 and .8, five each; one and three of them right.
    parts = decompose([0.2] * 5 + [0.8] * 5, [1, 0, 0, 0, 0, 1, 1, 1, 0, 0])
    assert parts.reliability == pytest.approx((0 + 0.2**2) / 2)
    assert parts.resolution == pytest.approx(0.2**2)
    assert (parts.uncertainty, parts.within) == (pytest.approx(0.24), pytest.approx(0))


def test_a_sure_and_wrong_score_costs_a_finite_loss():
    assert log_loss([1.0], [0.0]) == pytest.approx(-np.log(1e-15), rel=1e-3)
    assert log_loss([1.0, 0.0], [1.0, 0.0]) == pytest.approx(0, abs=1e-14)
    assert log_loss([0.25], [0.5]) == pytest.approx(-(np.log(0.25) + np.log(0.75)) / 2)
    assert log_loss([], []) is None


def test_perfect_scores():
    got = measure_calibration(rows_of([1.0, 0.0] * 20, [1.0, 0.0] * 20))
    assert (got.equal_width.ece, got.brier, got.auc) == (0.0, 0.0, 1.0)


def test_steps_without_a_label_are_counted_and_not_looked_at():
    got = measure_calibration(
        [LabelledScores("a", (0.5, 1.0, 0.0), (1.0, None, 0.0)), LabelledScores("b", (1,), (None,))]
    )
    assert (got.rows, got.count, got.unlabelled, got.mean_score, got.mean_target) == (2, 2, 2, 0.25, 0.5)


def test_one_class_has_no_auc():
    got = measure_calibration(rows_of([0.5, 0.9], [1.0, 1.0]))
    assert (got.auc, got.auc_low, got.auc_high) == (None, None, None)


def test_nothing_to_measure_is_refused():
    with refused("empty", field="labels"):
        measure_calibration([LabelledScores("a", (0.5,), (None,))])
    with refused("empty", field="scores"):
        reliability([], [])
    with pytest.raises(StepwardError) as beyond:
        reliability([1.5], [1])
    assert "scores[0]" in str(beyond.value) and "1.5" in str(beyond.value)


BAD_ROWS = {
    "repeated": ([{"id": 1, "step_scores": [0.5], "labels": [1]}] * 2, "duplicate", "id"),
    "counts": ([{"id": 1, "step_scores": [0.5], "labels": [1, 0]}], "mismatch", "labels"),
    "range": ([{"id": 1, "step_scores": [0.5], "labels": [-1]}], "bad_rows", "labels[0]"),
    "text": ([{"id": 1, "step_scores": [0.5], "labels": ["+"]}], "bad_rows", "labels[0]"),
    "NaN": ([{"id": 1, "step_scores": [float("nan")], "labels": [1]}], "bad_rows", "step_scores[0]"),
    "missing": ([{"id": 1, "step_scores": [0.5]}], "bad_rows", "labels"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_are_refused_by_their_number(tmp_path: Path, case):
    rows, code, field = BAD_ROWS[case]
    path = tmp_path / "scores.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with refused(code, file=path, row=len(rows), field=field):
        read_labelled_scores(path)


def test_labels_may_be_soft_true_or_null(tmp_path: Path):
    path = tmp_path / "scores.jsonl"
    path.write_text('{"id": "a", "step_scores": [0.1, 0.2, 1], "labels": [0.25, true, null]}\n')
    assert read_labelled_scores(path) == (LabelledScores("a", (0.1, 0.2, 1.0), (0.25, 1.0, None)),)
