"""In which order rows are read: whole optimiser batches first, then their forward passes and processes.

What an optimiser batch holds depends on the seed, the epoch and its size alone, not on how it is split, so that 8 x 1,
2 x 4 and 1 x 8 (rows x accumulation), and one process or two, take the same steps. Within a batch rows are sorted so
that those of one prompt come in one forward pass and forward passes of one turn are about as long on every process.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


class PromptGroupedSampler(Sampler[int]):
    """Row indices, epoch by epoch.

    Args:
        lengths: `[row]`: tokens.
        groups: `[row]`: rows of one prompt have one number; None keeps no rows together.
        batch: Rows of an optimiser batch, over all forward passes and processes.
        seed: What the order derives from.
    """

    def __init__(self, lengths: Sequence[int], groups: Sequence[int] | None, batch: int, seed: int) -> None:
        self._lengths = np.asarray(lengths)
        self._groups = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        self._batch = batch
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch whose order the next iteration gives."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Rows in an epoch."""
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        """Each row once."""
        random = np.random.default_rng([self._seed, self._epoch])
        order = random.permutation(len(self._lengths))
        if self._groups is not None:
            # Groups in random order, each in one piece: a stable sort by the groups' dealt places.
            dealt = random.permutation(int(self._groups.max()) + 1)
            order = order[np.argsort(dealt[self._groups[order]], kind="stable")]
        batches = [order[start : start + self._batch] for start in range(0, len(order), self._batch)]
        # A last batch that is short stays last: the loader would otherwise cut the others across.
        whole = batches[:-1] if len(batches[-1]) < self._batch else batches
        for place in [*random.permutation(len(whole)), *range(len(whole), len(batches))]:
            yield from self._within(batches[place])

    def _within(self, rows: NDArray[np.int64]) -> Iterator[int]:
        keys: list[NDArray[np.int64]] = [rows, self._lengths[rows]]
        if self._groups is not None:
            groups = self._groups[rows]
            longest = {group: int(self._lengths[rows[groups == group]].max()) for group in set(groups.tolist())}
            keys += [groups, np.array([longest[group] for group in groups.tolist()])]
        yield from rows[np.lexsort(keys)].tolist()
