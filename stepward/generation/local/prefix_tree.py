"""Every distinct path of tokens once: a tree whose nodes are the tokens that a model has read, or shall read.

Prompts and what is drawn after them are alike here. A prefix begins with every shorter prefix, two solutions of a
problem share its question, and draws write much alike; each such token is one node, read once.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Nodes = NDArray[np.int64]
"""Numbers of nodes. Node 0 is the root, which is no token."""


class PrefixTree:
    """Nodes by their parent and token. A node's number is its slot in the cache.

    Args:
        most: How many nodes there may be.

    Attributes:
        parent: [node].
        token: [node].
        depth: The token's position, [node]; -1 for the root.
        read: Whether the cache holds the node, [node].
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._children: dict[tuple[int, int], int] = {}
        self._make(min(most, 1 << 12) + 1)
        self._free = list(range(len(self.parent) - 1, 0, -1))
        self._now = 0

    def __len__(self) -> int:
        """Nodes there are, without the root."""
        return len(self._children)

    @property
    def slots(self) -> int:
        """Numbers that nodes may have by now: it grows as nodes come."""
        return len(self.parent)

    def touch(self) -> None:
        """What is touched from here on is younger than what was before."""
        self._now += 1

    def child(self, node: int, token: int) -> int | None:
        """The node of a token after another, and touches it; None where it is not there."""
        found = self._children.get((node, token))
        if found is not None:
            self._touched[found] = self._now
        return found

    def free_slots(self) -> int:
        """How many nodes can be added."""
        return self.most - len(self)

    def add(self, node: int, token: int) -> int:
        """A new node; there must be room."""
        if not self._free:
            self._grow()
        new = self._free.pop()
        self._children[node, token] = new
        self.parent[new], self.token[new], self.depth[new] = node, token, self.depth[node] + 1
        self.read[new], self._touched[new] = False, self._now
        return new

    def insert(self, tokens: Sequence[int]) -> tuple[int, list[int]]:
        """Adds a path from the root.

        Returns:
            Its last node, and those of its nodes that are new, in order.
        """
        node = 0
        new: list[int] = []
        for token in tokens:
            following = self.child(node, token) if not new else None
            if following is None:
                following = self.add(node, token)
                new.append(following)
            node = following
        return node, new

    def paths(self, nodes: Nodes) -> Nodes:
        """The nodes from the first token to each of some nodes, [node, position], with 0 behind the last."""
        longest = int(self.depth[nodes].max()) + 1
        found = np.zeros((len(nodes), longest + 1), dtype=np.int64)
        rows, at = np.arange(len(nodes)), nodes
        for _ in range(longest):
            found[rows, self.depth[at] + 1] = at
            at = self.parent[at]
        # The root stands in column 0 of those that are short.
        return found[:, 1:]

    def evict(self, used: Nodes) -> Nodes:
        """Drops the older half of the nodes, or more, but none that leads to a used one; gives those dropped."""
        kept = np.zeros(self.slots, dtype=bool)
        kept[0] = True
        at = np.unique(used)
        while len(at) and not kept[at].all():
            at = np.unique(at[~kept[at]])
            kept[at] = True
            at = self.parent[at]
        there = np.fromiter(self._children.values(), dtype=np.int64, count=len(self))
        loose = there[~kept[there]]
        if len(loose) == 0:
            return np.zeros(0, dtype=np.int64)
        # A node is never younger than its parent: who touches it comes by the parent. So no child loses its parent.
        ages = self._touched[loose]
        dropped: Nodes = loose[ages <= np.partition(ages, len(loose) // 2)[len(loose) // 2]]
        for node in dropped.tolist():
            del self._children[int(self.parent[node]), int(self.token[node])]
        self.read[dropped] = False
        self._free.extend(dropped[::-1].tolist())
        return dropped

    def _make(self, slots: int) -> None:
        self.parent, self.token, self._touched = (np.zeros(slots, dtype=np.int64) for _ in range(3))
        self.depth = np.full(slots, -1, dtype=np.int64)
        self.read = np.zeros(slots, dtype=bool)

    def _grow(self) -> None:
        before = (self.parent, self.token, self._touched, self.depth, self.read)
        slots = len(self.parent)
        self._make(min(2 * slots, self.most + 1))
        for old, new in zip(before, (self.parent, self.token, self._touched, self.depth, self.read), strict=True):
            new[:slots] = old
        self._free = list(range(self.slots - 1, slots - 1, -1))
