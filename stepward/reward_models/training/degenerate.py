"""Trainings that could not mean anything: on labels that are all equal, or that end where they began."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from stepward.errors import StepwardError

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def check_labels(labels: Iterable[Sequence[float]]) -> None:
    """Refuses labels that are all equal, hard or soft: a model would learn to say that number, whatever it reads.

    Args:
        labels: `[row][mark]`; read no further than the second value.

    Raises:
        StepwardError: They are.
    """
    values = (label for row in labels for label in row)
    first = next(values, None)
    if first is not None and all(label == first for label in values):
        _refuse(float(first))


def check_pairs(chosen: Iterable[Sequence[int]], rejected: Iterable[Sequence[int]]) -> None:
    """Refuses pairs that prefer nothing.

    Raises:
        StepwardError: In each the answers are the same tokens.
    """
    if all(list(better) == list(worse) for better, worse in zip(chosen, rejected, strict=True)):
        raise StepwardError(
            "chosen and rejected are the same tokens in every pair: expected answers that differ",
            code="degenerate",
            field="rejected",
        )


class WeightChangeCallback(TrainerCallback):
    """Remembers the weights that a training begins with, as one number each, and how far the labels reach.

    Labels are watched where they are streamed and can't be looked at before.
    """

    def __init__(self) -> None:
        self._before: list[int] = []
        self._low, self._high = float("inf"), float("-inf")

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: PreTrainedModel | None = None,
        **others: Any,
    ) -> None:
        """Takes the weights that are trained; of those that are spread over processes, this one's."""
        self._before = [] if model is None else _sums(model)

    def see(self, labels: Tensor | None) -> None:
        """Takes a batch's labels."""
        if labels is not None and len(labels):
            low, high = torch.aminmax(labels)
            self._low, self._high = min(self._low, float(low)), max(self._high, float(high))

    def check(self, model: Any, accelerator: Any, steps: int, from_start: bool) -> None:
        """Looks at what a training came to, on all its processes.

        Args:
            model: As it is now.
            accelerator: The trainer's.
            steps: The optimiser's, so far.
            from_start: Whether the training did not go on from a checkpoint.

        Raises:
            StepwardError: A weight is no number, all labels were equal, or no weight is another than at the beginning.
        """
        finite = all(bool(torch.isfinite(own).all()) for own in _trained(model))
        found = torch.tensor([-self._low, self._high, _sums(model) != self._before, not finite], dtype=torch.float32)
        if accelerator.num_processes > 1:
            found = accelerator.gather(found[None].to(accelerator.device)).amax(dim=0)
        low, high, moved, broken = -float(found[0]), float(found[1]), bool(found[2]), bool(found[3])
        if broken:
            # The last step's gradient does it unseen: no loss follows it.
            raise StepwardError(
                f"weights are not numbers after {steps:,} optimiser steps: lower learning_rate or max_grad_norm, or "
                "train in another precision",
                code="not_finite",
                field="learning_rate",
            )
        if low == high:
            _refuse(low)
        if from_start and not moved:
            raise StepwardError(
                f"the weights after {steps:,} optimiser steps are those before: nothing was learnt. Raise "
                "learning_rate or num_train_epochs, or train in a precision in which steps so small are not lost",
                code="degenerate",
                field="learning_rate",
            )


def _refuse(label: float) -> None:
    raise StepwardError(
        f"all labels are {label:g}: a model that says {label:g} of everything would be perfect, and nothing about "
        "steps is learnt; expected right and wrong ones, or soft ones that differ",
        code="degenerate",
        field="labels",
    )


def _sums(model: Any) -> list[int]:
    """The sum of the bits of each trained weight's numbers, exact whatever their type."""
    return [int(own.contiguous().view(_BITS[own.element_size()]).sum(dtype=torch.int64)) for own in _trained(model)]


def _trained(model: Any) -> Iterator[Tensor]:
    """Each trained weight, or what this process holds of one that is spread over several (FSDP, ZeRO-3)."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            here = (
                parameter.to_local() if hasattr(parameter, "to_local") else getattr(parameter, "ds_tensor", parameter)
            )
            yield here.detach()
