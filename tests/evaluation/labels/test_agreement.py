"""Agreement of hard labels with the oracle at every K, against every choice of K completions."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused
from sklearn.metrics import roc_auc_score

from stepward.evaluation.labels.agreement import label_quality
from stepward.records import StepRollouts


def _prefix(name: str, right: int, drawn: int, complete: bool = False) -> StepRollouts:
    return StepRollouts(name, "p", ("a step",), drawn, right, complete)


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=6), st.integers(1, 6))
def test_equal_to_every_choice_of_completions(prefixes: list[tuple[int, bool]], k: int) -> None:
    rollouts = [_prefix(str(i), right, 6) for i, (right, _) in enumerate(prefixes)]
    oracle = {str(i): truth for i, (_, truth) in enumerate(prefixes)}
    false_positives, false_negatives = [], []
    for right, truth in prefixes:
        drawn = [True] * right + [False] * (6 - right)
        positive = float(np.mean([any(chosen) for chosen in combinations(drawn, k)]))
        false_positives.append(0.0 if truth else positive)
        false_negatives.append(1 - positive if truth else 0.0)
    (row,) = label_quality(rollouts, oracle, ks=(k,)).by_k
    assert row.false_positives == pytest.approx(np.mean(false_positives))
    assert row.false_negatives == pytest.approx(np.mean(false_negatives))
    assert row.agreement == pytest.approx(1 - np.mean(false_positives) - np.mean(false_negatives))


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=20))
def test_auc_agrees_with_sklearn(prefixes: list[tuple[int, bool]]) -> None:
    rollouts = [_prefix(str(i), right, 4) for i, (right, _) in enumerate(prefixes)]
    oracle = {str(i): truth for i, (_, truth) in enumerate(prefixes)}
    auc = label_quality(rollouts, oracle).soft_auc
    truths = [truth for _, truth in prefixes]
    if len(set(truths)) == 1:
        assert auc is None
    else:
        assert auc == pytest.approx(roc_auc_score(truths, [right / 4 for right, _ in prefixes]))


def test_only_k_that_was_drawn_and_whole_solutions_apart() -> None:
    rollouts = [
        _prefix("a", 1, 8),
        _prefix("b", 0, 4),
        _prefix("right by wrong steps", 1, 1, complete=True),
        _prefix("right", 1, 1, complete=True),
    ]
    oracle = {"a": True, "b": False, "right by wrong steps": False, "right": True}
    quality = label_quality(rollouts, oracle)
    assert [(row.k, row.prefixes) for row in quality.by_k] == [(1, 2), (2, 2), (4, 2), (8, 1)]
    assert quality.by_k[0].false_negatives == pytest.approx(7 / 16)
    assert quality.by_k[-1].agreement == 1.0
    assert quality.oracle_right == 0.5
    assert quality.whole is not None
    assert (quality.whole.prefixes, quality.whole.agreement, quality.whole.false_positives) == (2, 0.5, 0.5)


def test_no_prefixes_at_all() -> None:
    quality = label_quality([], {})
    assert (quality.by_k, quality.whole, quality.soft_auc, quality.oracle_right) == ((), None, None, None)


def test_a_prefix_that_the_oracle_does_not_know_is_named() -> None:
    with refused("missing", field="oracle", names=("p//1",)):
        label_quality([_prefix("p//1", 1, 2)], {})


def test_impossible_counts_are_named() -> None:
    with refused("bad_value", field="right", names=("p//1", 3, 2)):
        label_quality([_prefix("p//1", 3, 2)], {"p//1": True})
