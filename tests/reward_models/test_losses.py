"""Each loss against its formula in plain Python, in float64, one number at a time; gradients against differences."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from raising import refused
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from stepward.reward_models import losses
from stepward.reward_models.losses import (
    binary_cross_entropy,
    bradley_terry,
    class_weights,
    cross_entropy,
    position_weights,
    q_ranking,
    squared_error,
    up_to_first_error,
)

FAR = [1e4, -1e4, 0.0, 30.0, -30.0]
LOGIT = st.floats(-20, 20, width=32)
SHARE = st.floats(0, 1, width=32)
WEIGHT = st.sampled_from([0.0, 0.5, 1.0, 3.0])


def _gradient(loss: Callable[[Sequence[float]], float], at: Sequence[float]) -> list[float]:
    """Central differences of a loss in plain Python."""
    found, step = [], 1e-5
    for index in range(len(at)):
        up, down = list(at), list(at)
        up[index] += step
        down[index] -= step
        found.append((loss(up) - loss(down)) / (2 * step))
    return found


def _agree(mine: Callable[[Tensor], Tensor], plain: Callable[[Sequence[float]], float], at: Sequence[float]) -> None:
    """Value and gradient of a loss are those of its plain twin."""
    logits = torch.tensor(at, requires_grad=True)
    loss = mine(logits)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.shape == ()
    assert loss.item() == pytest.approx(plain(at), rel=1e-5, abs=1e-5)
    assert logits.grad is not None
    assert logits.grad.tolist() == pytest.approx(_gradient(plain, at), rel=1e-3, abs=1e-4)


# Two-way cross-entropy.


@pytest.mark.parametrize("target", [0.0, 0.062, 0.5, 1.0])
@pytest.mark.parametrize("logit", [-4.0, 0.3, 2.0])
def test_it_is_the_two_way_cross_entropy_with_soft_targets(logit: float, target: float) -> None:
    loss = binary_cross_entropy(torch.tensor([logit]), torch.tensor([target]), torch.tensor([2.0]))
    good = math.exp(logit) / (math.exp(logit) + 1)
    expected = -2 * (target * math.log(good) + (1 - target) * math.log(1 - good))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_positions_without_weight_cost_nothing() -> None:
    logits = torch.tensor([1.0, 50.0], requires_grad=True)
    loss = binary_cross_entropy(logits, torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0]))
    loss.backward()
    assert loss.item() == pytest.approx(math.log1p(math.exp(-1)))
    assert logits.grad is not None and logits.grad[1] == 0


def test_it_computes_in_float32() -> None:
    loss = binary_cross_entropy(torch.tensor([20.0], dtype=torch.bfloat16), torch.tensor([1.0]), torch.tensor([1.0]))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.exp(-20), rel=1e-3)


# Cross-entropy over classes, and the squared error.


@given(st.integers(2, 3), st.data())
def test_cross_entropy_is_its_formula(classes: int, data: st.DataObject) -> None:
    marks = data.draw(st.integers(1, 4))
    logits = data.draw(st.lists(LOGIT, min_size=marks * classes, max_size=marks * classes))
    shares = data.draw(st.lists(st.integers(1, 9), min_size=marks * classes, max_size=marks * classes))
    weights = data.draw(st.lists(WEIGHT, min_size=marks, max_size=marks))
    targets = [[shares[m * classes + c] for c in range(classes)] for m in range(marks)]
    targets = [[one / sum(row) for one in row] for row in targets]

    def plain(at: Sequence[float]) -> float:
        total = 0.0
        for mark in range(marks):
            row = at[mark * classes : (mark + 1) * classes]
            norm = math.fsum(math.exp(one) for one in row)
            for logit, target in zip(row, targets[mark], strict=True):
                total -= weights[mark] * target * math.log(math.exp(logit) / norm)
        return total

    _agree(
        lambda z: cross_entropy(z.reshape(marks, classes), torch.tensor(targets), torch.tensor(weights)), plain, logits
    )


def test_two_classes_are_the_binary_loss_of_their_difference() -> None:
    logits = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    targets = torch.linspace(0, 1, 7)
    weights = torch.arange(7.0)
    two = cross_entropy(logits, torch.stack([1 - targets, targets], dim=1), weights)
    assert two.item() == pytest.approx(
        binary_cross_entropy(logits[:, 1] - logits[:, 0], targets, weights).item(), rel=1e-6
    )


@given(st.lists(st.tuples(LOGIT, SHARE, WEIGHT), min_size=1, max_size=5))
def test_squared_error_is_its_formula(marks: list[tuple[float, float, float]]) -> None:
    logits, targets, weights = (list(column) for column in zip(*marks, strict=True))

    def plain(at: Sequence[float]) -> float:
        return math.fsum(w * (1 / (1 + math.exp(-z)) - y) ** 2 for z, y, w in zip(at, targets, weights, strict=True))

    _agree(lambda z: squared_error(z, torch.tensor(targets), torch.tensor(weights)), plain, logits)


# PQM's ranking loss.


def _plain_q_ranking(
    logits: Sequence[float], right: Sequence[bool], owners: Sequence[int], weights: Sequence[float], zeta: float
) -> float:
    total = 0.0
    for owner, weight in enumerate(weights):
        mine = [mark for mark in range(len(logits)) if owners[mark] == owner]
        wrong = math.fsum(math.exp(logits[mark] + zeta) for mark in mine if not right[mark])
        chain = [0.0] + [logits[mark] for mark in mine if right[mark]]
        terms = []
        for t, q in enumerate(chain):
            if t == 0 and all(right[mark] for mark in mine):
                continue
            below = math.fsum(math.exp(one) for one in chain[: t + 1]) + wrong
            terms.append(-math.log(math.exp(q) / below))
        if terms:
            total += weight * math.fsum(terms) / len(terms)
    return total


@given(
    st.lists(st.tuples(LOGIT, st.booleans(), st.integers(0, 3)), min_size=1, max_size=12),
    st.lists(WEIGHT, min_size=4, max_size=4),
    st.sampled_from([0.0, 2.0, 4.0]),
)
def test_q_ranking_is_equation_10(marks: list[tuple[float, bool, int]], weights: list[float], zeta: float) -> None:
    logits, right, owners = (list(column) for column in zip(*marks, strict=True))
    _agree(
        lambda z: q_ranking(z, torch.tensor(right), torch.tensor(owners), torch.tensor(weights), zeta),
        lambda at: _plain_q_ranking(at, right, owners, weights, zeta),
        logits,
    )


def _ranked(logits: list[float], right: list[bool], zeta: float = 4.0) -> float:
    owners = torch.zeros(len(logits), dtype=torch.long)
    return q_ranking(torch.tensor(logits), torch.tensor(right), owners, torch.ones(1), zeta).item()


def test_q_ranking_by_hand() -> None:
    # e^0 + e^1 + e^(-3 + 4) = 1 + 2e: the start's term is log(1 + e), the right step's log((1 + 2e) / e).
    expected = (math.log(1 + math.e) + math.log((1 + 2 * math.e) / math.e)) / 2
    assert _ranked([1.0, -3.0], [True, False]) == pytest.approx(expected, rel=1e-6)


def test_q_ranking_of_a_solution_of_one_kind_of_step() -> None:
    assert _ranked([1.5], [True]) == pytest.approx(math.log1p(math.exp(-1.5)), rel=1e-6)
    wrong = math.log(1 + math.exp(-1 + 4) + math.exp(-2 + 4))
    assert _ranked([-1.0, -2.0], [False, False]) == pytest.approx(wrong, rel=1e-6)


def test_q_ranking_of_nothing_costs_nothing() -> None:
    logits = torch.zeros(0, requires_grad=True)
    loss = q_ranking(logits, torch.zeros(0, dtype=torch.bool), torch.zeros(0, dtype=torch.long), torch.ones(2))
    loss.backward()
    assert loss.item() == 0
    padded = q_ranking(torch.tensor([1.0]), torch.tensor([True]), torch.tensor([1]), torch.ones(3))
    assert padded.item() == pytest.approx(math.log1p(math.exp(-1)), rel=1e-6)


def test_q_ranking_keeps_steps_in_order() -> None:
    assert _ranked([1.0, 3.0], [True, True]) < _ranked([3.0, 1.0], [True, True])


def test_q_ranking_refuses_an_owner_that_has_no_weight() -> None:
    with pytest.raises(IndexError):
        q_ranking(torch.zeros(2), torch.tensor([True, True]), torch.tensor([0, 1]), torch.ones(1))


# Preferences.


@given(
    st.lists(st.tuples(LOGIT, LOGIT, st.floats(0, 3, width=32), WEIGHT), min_size=1, max_size=5),
    st.sampled_from([0.0, 0.01]),
)
def test_bradley_terry_is_its_formula(pairs: list[tuple[float, float, float, float]], centring: float) -> None:
    chosen, rejected, margins, weights = (list(column) for column in zip(*pairs, strict=True))

    def plain(at: Sequence[float]) -> float:
        total = 0.0
        for c, r, m, w in zip(at[: len(pairs)], at[len(pairs) :], margins, weights, strict=True):
            total += w * (math.log1p(math.exp(-(c - r - m))) + centring * (c + r) ** 2)
        return total

    _agree(
        lambda z: bradley_terry(
            z[: len(pairs)], z[len(pairs) :], torch.tensor(margins), centring, torch.tensor(weights)
        ),
        plain,
        chosen + rejected,
    )


def test_bradley_terry_without_margins_or_weights_is_a_plain_sum() -> None:
    loss = bradley_terry(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0]))
    assert loss.item() == pytest.approx(math.log1p(math.exp(-1)) + math.log1p(math.exp(2)), rel=1e-6)


# Every loss, far out and in every type.


def _every(logits: Tensor) -> dict[str, Tensor]:
    """Each loss of five logits, by its name."""
    targets, weights = torch.tensor([0.0, 1.0, 0.3, 0.0, 1.0]), torch.ones(5)
    right, owners = torch.tensor([False, True, True, True, False]), torch.tensor([0, 0, 0, 1, 1])
    other = logits.flip(0)
    return {
        "binary_cross_entropy": binary_cross_entropy(logits, targets, weights),
        "cross_entropy": cross_entropy(torch.stack([logits, other], dim=1), torch.eye(2)[[0, 1, 0, 1, 0]], weights),
        "squared_error": squared_error(logits, targets, weights),
        "q_ranking": q_ranking(logits, right, owners, torch.ones(2)),
        "bradley_terry": bradley_terry(logits, other, torch.ones(5), 0.01),
    }


LOSSES = sorted(_every(torch.zeros(5)))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("turn", range(len(FAR)))
def test_far_logits_give_finite_losses_and_gradients(name: str, turn: int) -> None:
    logits = torch.tensor(FAR[turn:] + FAR[:turn], requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        loss = _every(logits)[name]
        loss.backward()
    assert logits.grad is not None
    assert math.isfinite(loss.item()) and bool(torch.isfinite(logits.grad).all())


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_every_loss_is_a_float32_scalar_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    logits = torch.tensor([0.5, -1.0, 2.0, 0.25, -3.0])
    loss, expected = _every(logits.to(dtype))[name], _every(logits)[name]
    assert loss.dtype == torch.float32 and loss.shape == ()
    assert loss.item() == expected.item()  # these logits are the same number in every type


@pytest.mark.parametrize("name", LOSSES)
def test_a_logit_that_is_no_number_is_not_hidden(name: str) -> None:
    for index in range(5):
        logits = torch.zeros(5)
        logits[index] = math.nan
        assert math.isnan(_every(logits)[name].item())


def test_every_loss_of_the_module_is_in_the_tests_above() -> None:
    others = {"class_weights", "position_weights", "up_to_first_error"}
    functions = {name for name, one in vars(losses).items() if callable(one) and one.__module__ == losses.__name__}
    assert {name for name in functions if not name.startswith("_")} - others == set(LOSSES)


# Class weights.


def test_hard_labels_weigh_as_scikit_learn_balances_them() -> None:
    labels = [0, 1, 1, 1, 1, 0, 1]
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=labels)
    found = class_weights(torch.tensor(labels, dtype=torch.float), torch.ones(7))
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-6)


@given(st.lists(st.tuples(st.floats(1 / 64, 63 / 64, width=32), WEIGHT), min_size=1, max_size=9))
def test_classes_weigh_the_same_and_all_together_what_they_did(marks: list[tuple[float, float]]) -> None:
    marks = [*marks, (0.5, 1.0)]
    negative, positive = class_weights(
        torch.tensor([y for y, _ in marks]), torch.tensor([w for _, w in marks])
    ).tolist()
    below = math.fsum(negative * w * (1 - y) for y, w in marks)
    above = math.fsum(positive * w * y for y, w in marks)
    assert below == pytest.approx(above, rel=1e-5)
    weighed = position_weights(
        torch.tensor([y for y, _ in marks]), torch.tensor([w for _, w in marks]), torch.tensor([negative, positive])
    )
    assert weighed.sum().item() == pytest.approx(math.fsum(w for _, w in marks), rel=1e-5)
    assert weighed.tolist() == pytest.approx([w * (positive * y + negative * (1 - y)) for y, w in marks], rel=1e-5)


def test_three_classes_weigh_the_same() -> None:
    targets = torch.eye(3)[[0, 0, 0, 1, 2, 2]]
    found = class_weights(targets, torch.ones(6))
    assert found.tolist() == pytest.approx([6 / 9, 6 / 3, 6 / 6])
    assert position_weights(targets, torch.ones(6), found).tolist() == pytest.approx([2 / 3] * 3 + [2.0, 1.0, 1.0])


def test_a_class_without_labels_can_not_be_weighed() -> None:
    with refused("degenerate", field="class_weight", names=(0, 2)):
        class_weights(torch.tensor([1.0, 1.0, 0.0]), torch.tensor([1.0, 1.0, 0.0]))


# Up to the first error.


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ((), ()),
        ((1.0, 1.0), (1.0, 1.0)),
        ((1.0, 0.0, 1.0, 0.0), (1.0, 0.0, None, None)),
        ((1.0, None, 0.5, 1.0), (1.0, None, 0.5, None)),
        ((None, 0.51), (None, 0.51)),
        ((0.0,), (0.0,)),
    ],
)
def test_labels_end_with_the_first_error(labels: tuple[float | None, ...], expected: tuple[float | None, ...]) -> None:
    assert up_to_first_error(labels) == expected


def test_the_threshold_says_what_an_error_is() -> None:
    assert up_to_first_error([0.9, 0.2, 0.9], threshold=0.0) == (0.9, 0.2, 0.9)
    assert up_to_first_error([0.9, 0.0, 0.9], threshold=0.0) == (0.9, 0.0, None)
    assert up_to_first_error([0.7, 0.9], threshold=0.8) == (0.7, None)
