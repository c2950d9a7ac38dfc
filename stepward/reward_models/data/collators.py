"""Rows of one forward pass as the tensors of a batch: the model's inputs, and what its scores are compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from stepward.reward_models.heads import class_targets
from stepward.reward_models.losses import position_weights
from stepward.reward_models.packing.layout import Layout, PackedBatch, pack_batch

Batch = dict[str, Any]


@dataclass(frozen=True)
class Collator:
    """How rows of a data set are laid out.

    Attributes:
        layout: Of the rows.
        share: Whether common first tokens stand once.
        max_tokens: The longest row under a mask.
    """

    layout: Layout
    share: bool
    max_tokens: int = 512

    def pack(self, sequences: Sequence[Sequence[int]]) -> PackedBatch:
        """The sequences in this layout."""
        return pack_batch(sequences, self.layout, self.share, self.max_tokens)


@dataclass(frozen=True)
class StepCollator(Collator):
    """Rows with labelled steps: `input_ids`, `marks`, `labels`.

    Attributes:
        of_class: What a label of each class weighs; None where all weigh 1.
    """

    of_class: tuple[float, ...] | None = None

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Batch:
        """The batch: the model's inputs, and `marks`, `labels`, `weights` and `owners`, each `[mark]`.

        A mark's owner is its row's place in `rows`; marks of an owner are in the order of its steps.
        """
        laid = self.pack([row["input_ids"] for row in rows])
        marks = [laid.places[owner][np.asarray(row["marks"], dtype=np.int64)] for owner, row in enumerate(rows)]
        labels = torch.tensor([label for row in rows for label in row["labels"]], dtype=torch.float32)
        owners = torch.repeat_interleave(torch.tensor([len(row["marks"]) for row in rows]))
        weights = torch.ones_like(labels)
        if self.of_class is not None:
            weights = position_weights(class_targets(labels, len(self.of_class)), weights, torch.tensor(self.of_class))
        return {
            **laid.inputs,
            "marks": torch.from_numpy(np.concatenate(marks)),
            "labels": labels,
            "weights": weights,
            "owners": owners,
            **laid.sizes(len(rows)),
        }


@dataclass(frozen=True)
class PairCollator(Collator):
    """Preferences: `chosen_ids`, `rejected_ids`, `margin`, `weight`."""

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Batch:
        """The batch: the model's inputs, `marks` `[2 x pair]`, chosen first, and `margins` and `weights` `[pair]`."""
        laid = self.pack([row["chosen_ids"] for row in rows] + [row["rejected_ids"] for row in rows])
        return {
            **laid.inputs,
            "marks": torch.tensor([int(places[-1]) for places in laid.places]),
            "margins": torch.tensor([float(row.get("margin") or 0.0) for row in rows]),
            "weights": torch.tensor([float(row.get("weight", 1.0)) for row in rows]),
            **laid.sizes(len(rows)),
        }
