"""Which loss a batch of labelled marks has, as a sum, and by how many units it is divided."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stepward.errors import StepwardError
from stepward.reward_models.data.collators import Batch
from stepward.reward_models.data.dataset import is_streamed
from stepward.reward_models.heads import NEUTRAL, class_targets, margins
from stepward.reward_models.losses import binary_cross_entropy, class_weights, cross_entropy, q_ranking, squared_error


def step_loss(logits: Tensor, labels: Tensor, weights: Tensor, owners: Tensor, loss: str, zeta: float) -> Tensor:
    """The sum of a batch's losses, in float32.

    Args:
        logits: `[mark, class]`.
        labels: `[mark]` in [0, 1], or below 0 for neutral as a class of its own.
        weights: `[mark]`.
        owners: `[mark]`: the row of each.
        loss: `cross_entropy`, `mse` or `q_ranking`.
        zeta: The ranking loss's margin.
    """
    if logits.shape[-1] > NEUTRAL:
        return cross_entropy(logits, class_targets(labels, logits.shape[-1]), weights)
    if loss == "mse":
        return squared_error(margins(logits), labels, weights)
    if loss == "q_ranking":
        rows = torch.ones(int(owners.max()) + 1, device=logits.device)
        return q_ranking(margins(logits), labels > 0.5, owners, rows, zeta)
    # Of two classes the softmax's cross-entropy is the binary one of their difference.
    return binary_cross_entropy(margins(logits), labels, weights)


def step_units(batches: Sequence[Batch], loss: str) -> Tensor:
    """By what the sum of some batches is divided: the number of their labels, or for a ranking of their rows.

    Labels are counted and not weighed: a batch of the commoner class alone shall weigh less, not the same.
    """
    if loss == "q_ranking":
        return torch.tensor(float(sum(len(batch["owners"].unique()) for batch in batches)))
    return torch.tensor(float(sum(int((batch["weights"] > 0).sum()) for batch in batches)))


def weights_of_classes(asked: str | float | None, classes: int, rows: Any) -> tuple[float, ...] | None:
    """What a label of each class weighs; None where all weigh 1.

    Raises:
        StepwardError: `balanced` is asked for, and labels are streamed, or there is none of a class.
    """
    if asked is None:
        return None
    if asked != "balanced":
        return (float(asked), *[1.0] * (max(classes, 2) - 1))
    if rows is None or is_streamed(rows):
        raise StepwardError(
            "class_weight balanced needs all labels before training: give a number for streamed rows",
            code="conflict",
            field="class_weight",
        )
    labels = torch.tensor([label for row in rows["labels"] for label in row])
    return tuple(class_weights(class_targets(labels, classes), torch.ones_like(labels)).tolist())
