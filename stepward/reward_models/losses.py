"""The losses of every reward model here: sums in float32, whatever the model computes in.

Each gives a sum and no mean. The caller divides it by the units of the whole optimiser batch (weights of marks, pairs,
prompts or solutions), over every forward pass and process, which one forward pass does not know. That is why a batch
of 8 costs the same as 2 of 4 or 8 of 1.

A mark is a scored token: where a step ends, or each token of an ORM's solution. A logit z stands for the score s(z),
s being the logistic function. Every loss stays finite, and so does its gradient, for logits as far out as 1e4.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from stepward.errors import StepwardError


def binary_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of -(y log s(z) + (1 - y) log(1 - s(z))), in nats.

    It is Math-Shepherd's PRM loss (sum over steps of BCE at the step's end) and, as a two-way softmax over z and 0 is
    s(z), ER-PRM's cross-entropy with target [v, 1 - v].

    Args:
        logits: `[...]`, of any float type.
        targets: `[...]` in [0, 1]; soft labels stay soft.
        weights: `[...]`, 0 where there is no label.

    Returns:
        A scalar in float32; divide it by the sum of the weights for the mean.
    """
    return torch.nn.functional.binary_cross_entropy_with_logits(
        logits.float(), targets.float(), weight=weights.float(), reduction="sum"
    )


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of -sum over classes of y log softmax(z), in nats, for two or three classes.

    Let's Verify Step by Step trains on positive, negative and neutral steps this way, by the logits of three tokens at
    the step's end; with two tokens it is ER-PRM's loss. The softmax is over the given classes only, never over the
    vocabulary.

    Args:
        logits: `[mark, classes]`, of any float type.
        targets: `[mark, classes]`, each row a distribution: 0 and a single 1 for a hard label.
        weights: `[mark]`, 0 where there is no label.

    Returns:
        A scalar in float32; divide it by the sum of the weights for the mean.
    """
    surprise = -(targets.float() * torch.log_softmax(logits.float(), dim=-1)).sum(dim=-1)
    return (weights.float() * surprise).sum()


def squared_error(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of (s(z) - y)^2: the Brier score as a loss, PQM's "MSE" baseline (its authors' `train_main.py`).

    Args:
        logits: `[...]`, of any float type.
        targets: `[...]` in [0, 1].
        weights: `[...]`, 0 where there is no label.

    Returns:
        A scalar in float32; divide it by the sum of the weights for the mean.
    """
    return (weights.float() * (torch.sigmoid(logits.float()) - targets.float()).square()).sum()


def q_ranking(logits: Tensor, right: Tensor, owners: Tensor, weights_of_owner: Tensor, zeta: float = 4.0) -> Tensor:
    """Weighted sum over solutions of PQM's ranking loss, in nats.

    Li and Li, "Process Reward Model with Q-Value Rankings" (2024), equation 10, the practical loss. The logit is Q
    itself, and the start of every solution has Q = 0. With the right steps c_1, c_2, ... in their order, c_0 the start
    and W the wrong steps, a solution costs the mean over its terms t of

        -log( exp(Q_ct) / (sum over q <= t of exp(Q_cq) + sum over w in W of exp(Q_w + zeta)) )

    so that each right step lies above those before it, and wrong steps lie below the start by a margin of zeta. Its
    terms are the right steps, and also the start (t = 0) if any step is wrong: that, and the mean, are as in the
    authors' `PQM_loss` of February 2025 (their first release counted each right step but the first twice below the
    line). Thus:

    - without wrong steps the right ones rise above the start and each other; a single one costs -log s(Q);
    - without right steps it costs log(1 + sum of exp(Q_w + zeta)), the start's term;
    - without any marks it costs 0: the caller must not count it as a solution.

    Args:
        logits: `[mark]`, of any float type; only steps with a label, in order within their solution.
        right: `[mark]` booleans: whether the step is right.
        owners: `[mark]`: which solution a mark belongs to, an index of `weights_of_owner`.
        weights_of_owner: `[owner]`: what each solution weighs.
        zeta: The margin between right and wrong steps, in logits; 4 in the paper.

    Returns:
        A scalar in float32; divide it by the sum of the weights for the mean.
    """
    q, nothing = logits.float(), float("-inf")
    steps = torch.bincount(owners, minlength=len(weights_of_owner))
    shape = (len(weights_of_owner), max(steps.tolist(), default=0))
    places = _places(owners, steps)

    def spread(values: Tensor, fill: float) -> Tensor:
        """Values `[mark]` as `[owner, place]`."""
        return values.new_full(shape, fill).index_put((owners, places), values)

    wrongs = spread(torch.where(right, nothing, q + zeta), nothing)
    rights = spread(torch.where(right, q, nothing), nothing)
    # Column 0 is the start's denominator, Q = 0 and the wrong steps, which every later one contains. It is never -inf.
    start = torch.logsumexp(torch.cat([q.new_zeros(shape[0], 1), wrongs], dim=1), dim=1)
    denominators = torch.logcumsumexp(torch.cat([start[:, None], rights], dim=1), dim=1)
    costs = torch.where(right, denominators[owners, places + 1] - q, 0.0)
    right_steps = spread(right.long(), 0).sum(dim=1)
    any_wrong = steps > right_steps
    cost = spread(costs, 0.0).sum(dim=1) + torch.where(any_wrong, start, 0.0)
    return (weights_of_owner.float() * cost / (right_steps + any_wrong).clamp(min=1)).sum()


def bradley_terry(
    chosen: Tensor,
    rejected: Tensor,
    margins: Tensor | None = None,
    centring: float = 0.0,
    weights: Tensor | None = None,
) -> Tensor:
    """Weighted sum over pairs of -log s(c - r - m) + centring (c + r)^2, in nats.

    Bradley and Terry (1952) as InstructGPT (equation 1) trains it; the margin is Llama 2's (equation 2); centring,
    Eisenstein et al. (2023), keeps rewards about 0, which differences alone leave free.

    Args:
        chosen: `[pair]` rewards c, of any float type.
        rejected: `[pair]` rewards r.
        margins: `[pair]` m: by how much c should exceed r; 0 if not given.
        centring: How much centring costs; 0.01 is usual.
        weights: `[pair]`; 1 if not given.

    Returns:
        A scalar in float32; divide it by the sum of the weights, or the number of pairs, for the mean.
    """
    better, worse = chosen.float(), rejected.float()
    lead = better - worse if margins is None else better - worse - margins.float()
    cost = centring * (better + worse).square() - torch.nn.functional.logsigmoid(lead)
    return (cost if weights is None else weights.float() * cost).sum()


def class_weights(targets: Tensor, weights: Tensor) -> Tensor:
    """What each class must weigh for all classes to weigh the same, while all labels together weigh what they did.

    A label brings each class as much mass as its target gives it: a soft label of 0.3 brings 0.3 to the positive class
    and 0.7 to the negative one. With K classes of masses M_c, class c weighs sum(M) / (K M_c), which is scikit-learn's
    "balanced". Take them from the whole training set, once: a batch's own would make the loss depend on how the
    batches are split. `position_weights` applies them.

    Args:
        targets: `[mark]` in [0, 1], for the classes (negative, positive), or `[mark, classes]`.
        weights: `[mark]`, 0 where there is no label.

    Returns:
        `[classes]` in float32.

    Raises:
        StepwardError: A class has no mass.
    """
    mass = (weights.double()[:, None] * _by_class(targets).double()).sum(dim=0)
    if not bool((mass > 0).all()):
        absent = (mass <= 0).nonzero()[0].item()
        raise StepwardError(
            f"classes can't be weighed against each other: no label of class {absent} of {len(mass)} in the training "
            "set; train without class weighting, or add such labels",
            code="degenerate",
            field="class_weight",
        )
    return (mass.sum() / (len(mass) * mass)).float()


def position_weights(targets: Tensor, weights: Tensor, of_class: Tensor) -> Tensor:
    """The weights of marks under class weighting: each weight times the mean class weight under the mark's target.

    A mark's weight scales its whole loss, so that a soft label is still what the loss wants of that mark.

    Args:
        targets: As in `class_weights`, of any batch.
        weights: `[mark]`, 0 where there is no label.
        of_class: `[classes]`, from `class_weights`.

    Returns:
        `[mark]` in float32.
    """
    return weights.float() * (_by_class(targets).float() * of_class.float()).sum(dim=1)


def up_to_first_error(labels: Sequence[float | None], threshold: float = 0.5) -> tuple[float | None, ...]:
    """The labels of a solution up to its first negative one; None after it.

    Let's Verify Step by Step labels and trains this way: what follows an error is neither right nor wrong.

    Args:
        labels: One a step, None where there is none; such a step is no error.
        threshold: A label of at most this is negative.
    """
    for index, label in enumerate(labels):
        if label is not None and label <= threshold:
            return (*labels[: index + 1], *(None,) * (len(labels) - index - 1))
    return tuple(labels)


def _places(owners: Tensor, steps: Tensor) -> Tensor:
    """The place `[mark]` of each mark among its owner's, from 0; owners may come in any order, and mixed."""
    order = torch.argsort(owners, stable=True)
    first = steps.cumsum(dim=0) - steps
    places = torch.empty_like(owners)
    places[order] = torch.arange(len(owners), device=owners.device) - first[owners[order]]
    return places


def _by_class(targets: Tensor) -> Tensor:
    """Targets as `[mark, classes]`; those of one column become (negative, positive)."""
    return targets if targets.dim() == 2 else torch.stack([1 - targets, targets], dim=1)
