"""Trees as tensors: which go into one batch, and how a batch is padded and masked."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from stepward.rewards.packing import Row, Tree, attention, pad, pad_reach

_CHUNK_BATCHES = 16


class LengthBatches:
    """Seeded batches of rows of similar length; another order each epoch.

    Rows are shuffled, sorted by length within chunks of some batches, and the batches shuffled again: little padding,
    and yet no epoch repeats another's batches.
    """

    def __init__(self, lengths: Sequence[int], batch_rows: int, seed: int) -> None:
        """Takes `[row]` lengths in tokens, how many rows a batch has, and what the order derives from."""
        self.batch_size = batch_rows
        self.drop_last = False
        self._lengths = np.array(lengths)
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch whose order the next iteration gives."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self._lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        """Indices of the rows of each batch."""
        random = np.random.default_rng([self._seed, self._epoch])
        order = random.permutation(len(self._lengths))
        chunk = self.batch_size * _CHUNK_BATCHES
        for start in range(0, len(order), chunk):
            rows = order[start : start + chunk]
            order[start : start + chunk] = rows[np.argsort(self._lengths[rows], kind="stable")]
        batches = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        for index in random.permutation(len(batches)):
            yield [int(row) for row in batches[index]]


def tokens_tensor(trees: Sequence[Tree], share: bool = True) -> dict[str, Tensor]:
    """What a transformers model reads of a batch of trees.

    Args:
        trees: The rows.
        share: False if each tree is one plain sequence; then there is no mask, which any causal model understands,
            and padding comes last, where nothing sees it.

    Returns:
        `input_ids` and `position_ids` `[row, token]`, and `attention_mask` `[row, 1, query, key]` of booleans.
    """
    width = max(len(tree.ids) for tree in trees)
    batch = {"input_ids": torch.from_numpy(pad([tree.ids for tree in trees], width))}
    if share:
        batch["position_ids"] = torch.from_numpy(pad([tree.depths for tree in trees], width))
        batch["attention_mask"] = torch.from_numpy(attention(pad_reach(trees, width))[:, None])
    return batch


def rows_tensor(rows: Sequence[Row], share: bool = True) -> dict[str, Tensor]:
    """A training batch: `tokens_tensor` with `targets` and `weights` `[row, token]`, 0 on padding."""
    batch = tokens_tensor([row.tree for row in rows], share)
    width = batch["input_ids"].shape[1]
    batch["targets"] = torch.from_numpy(pad([row.targets for row in rows], width))
    batch["weights"] = torch.from_numpy(pad([row.weights for row in rows], width))
    return batch
