"""What may follow a node, and the drawing of it: next-token probabilities summed up, a row a node."""

import numpy as np
import torch
from numpy.typing import NDArray

from stepward.generation.interface import Sampling
from stepward.generation.local.prefix_tree import Nodes


class SamplingTable:
    """Cumulative next-token probabilities of nodes in one sorted table.

    Row r holds numbers in (r, r + 1], so that one search of the whole table finds every draw's token.

    Args:
        vocabulary: Tokens there are.
        kept: Whether rows are kept, a row a node; else only those put last are there.
        device: Where the table is.
    """

    def __init__(self, vocabulary: int, kept: bool, device: torch.device) -> None:
        self.vocabulary = vocabulary
        self.kept = kept
        self._table = torch.zeros((0, vocabulary), dtype=torch.float64, device=device)
        self._row = np.full(1, -1, dtype=np.int64)

    def known(self, nodes: Nodes) -> NDArray[np.bool_]:
        """Which nodes' chances are there, [node]."""
        self._cover(nodes)
        return self._row[nodes] >= 0

    def forget(self, nodes: Nodes | None = None) -> None:
        """Drops rows; all of them if none are named."""
        self._row[slice(None) if nodes is None else nodes] = -1

    def put(self, nodes: Nodes, logits: torch.Tensor, sampling: Sampling) -> None:
        """Takes in the chances of nodes.

        Args:
            nodes: [node], none twice.
            logits: Of the token after each, [node, vocabulary].
            sampling: Temperature and top_p.
        """
        self._cover(nodes)
        if not self.kept:
            self.forget()
        rows = nodes if self.kept else np.arange(len(nodes), dtype=np.int64)
        self._reach(int(rows.max()) + 1)
        places = torch.from_numpy(rows).to(self._table.device)
        self._table[places] = cumulative(logits, sampling) + places[:, None]
        self._row[nodes] = rows

    def draw(self, nodes: Nodes, noise: NDArray[np.float32]) -> NDArray[np.int64]:
        """A token a draw: the first whose cumulative chance is above the draw's number.

        Args:
            nodes: The node of each draw, [draw]; all known.
            noise: Uniform numbers in [0, 1), [draw].
        """
        rows = self._row[nodes]
        points = torch.from_numpy(rows + noise.astype(np.float64)).to(self._table.device)
        # Every draw at once, on the table laid flat; the row's own last number is above every point in it.
        found = torch.searchsorted(self._table.view(-1), points, right=True)
        return np.asarray(found.cpu().numpy()) - rows * self.vocabulary

    def _cover(self, nodes: Nodes) -> None:
        lacking = int(nodes.max(initial=0)) + 1 - len(self._row)
        if lacking > 0:
            self._row = np.r_[self._row, np.full(lacking + len(self._row), -1, dtype=np.int64)]

    def _reach(self, rows: int) -> None:
        """Makes the table at least so long; a row that holds nothing must still be in order."""
        before = len(self._table)
        if before < rows:
            longer = max(rows, before + before // 2)
            ends = torch.arange(before, longer, dtype=torch.float64, device=self._table.device) + 1
            self._table = torch.cat([self._table, ends[:, None].expand(-1, self.vocabulary)])


def cumulative(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Cumulative next-token probabilities, [row, vocabulary]; the last is 1. A token without a chance adds nothing.

    Args:
        logits: [row, vocabulary].
        sampling: Temperature, where 0 gives the likeliest token all, and top_p, which drops the tail.
    """
    if sampling.temperature == 0:
        chances = torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    else:
        chances = torch.softmax(logits.float() / sampling.temperature, -1)
        if sampling.top_p < 1:
            ordered, places = chances.sort(-1, descending=True)
            dropped = ordered.cumsum(-1) - ordered >= sampling.top_p
            chances = chances.scatter(-1, places, ordered.masked_fill(dropped, 0))
    sums = chances.cumsum(-1, dtype=torch.float64)
    return sums / sums[:, -1:]
