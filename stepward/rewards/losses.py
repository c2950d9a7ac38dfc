"""The loss of every reward model here; in float32 whatever the model computes in."""

import torch
from torch import Tensor


def binary_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of -(y log s(z) + (1 - y) log(1 - s(z))), s being the logistic function.

    It is Math-Shepherd's PRM loss (sum over steps of BCE at the step's end) and, as a two-way softmax over z and 0 is
    s(z), ER-PRM's cross-entropy with target [v, 1 - v].

    Args:
        logits: `[...]`, of any float type.
        targets: `[...]` in [0, 1]; soft labels stay soft.
        weights: `[...]`, 0 where there is no label.

    Returns:
        A scalar in float32. It is a sum: the caller divides it by the weights of the whole optimiser batch, which
        one forward pass does not know under gradient accumulation.
    """
    return torch.nn.functional.binary_cross_entropy_with_logits(
        logits.float(), targets.float(), weight=weights.float(), reduction="sum"
    )
