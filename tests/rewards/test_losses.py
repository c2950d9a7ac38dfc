"""The loss against its formula."""

import math

import pytest
import torch

from stepward.rewards.losses import binary_cross_entropy


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
