"""Packs token sequences into rows in which every shared prefix stands once.

A dozen solutions of a problem repeat its question and most first steps; the answers of a preference repeat their
prompt. A causal model's state at a token depends on nothing but the tokens before it, so sequences can hang in one
tree of tokens: each token attends to its ancestors, and its position is its depth. The states are those of separate
sequences, for a third of the tokens or less. Sequences that share nothing stand in one row all the same, as a tree
with several roots: no padding, and nothing leaks.

Tokens stand in depth-first order, so a token's descendants are the tokens up to its `reach`, and the whole attention
mask is one comparison (`attention`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PrefixTree:
    """Some sequences as a tree of tokens in depth-first order; it may have several roots.

    Attributes:
        ids: `[token]`.
        depths: `[token]`: how many tokens stand before it in its sequences: its position id.
        reach: `[token]`: index after its last descendant.
        members: `[sequence]`: index of each sequence in what the tree was grown from.
        paths: `[sequence][token of the sequence]`: where the sequence's tokens are in the tree.
        shared: `[sequence]`: how many of its first tokens stood in the tree before it was added.
    """

    ids: Ints
    depths: Ints
    reach: Ints
    members: tuple[int, ...]
    paths: tuple[Ints, ...]
    shared: tuple[int, ...]


def build_trees(
    sequences: Sequence[Sequence[int]], max_tokens: int | None = None, share: bool = True
) -> list[PrefixTree]:
    """Grows the trees that hold the sequences.

    Args:
        sequences: Token ids, in any order.
        max_tokens: A tree takes no further sequence that would bring it above this. One sequence longer than this
            still gets a tree of its own: nothing is ever cut. None puts all of them into one tree; 0 gives each its
            own.
        share: False lets no two sequences share a token, for models that can't read a tree.

    Returns:
        Trees that together hold each sequence once; equal sequences share all their tokens.
    """
    tokens = [tuple(ids) for ids in sequences]
    # Neighbours in sorted order share the longest prefixes, and adding them in that order is depth-first.
    order = sorted(range(len(tokens)), key=lambda index: tokens[index]) if share else range(len(tokens))
    trees: list[PrefixTree] = []
    growing = _TreeBuilder(share)
    for index in order:
        ids = tokens[index]
        full = max_tokens is not None and len(growing.ids) + len(ids) - growing.shared(ids) > max_tokens
        if growing.members and full:
            trees.append(growing.tree())
            growing = _TreeBuilder(share)
        growing.add(index, ids)
    return [*trees, growing.tree()] if growing.members else trees


class _TreeBuilder:
    """A tree to which sequences are added in sorted order."""

    def __init__(self, share: bool) -> None:
        self.ids: list[int] = []
        self.members: list[int] = []
        self._share = share
        self._depths: list[int] = []
        self._reach: list[int] = []
        self._paths: list[Ints] = []
        self._shared: list[int] = []
        self._last: tuple[int, ...] = ()
        self._branch: list[int] = []

    def shared(self, ids: tuple[int, ...]) -> int:
        """How many first tokens of a sequence are in the tree already."""
        if not self._share:
            return 0
        pairs = zip(self._last, ids, strict=False)
        return next((depth for depth, (old, new) in enumerate(pairs) if old != new), min(len(self._last), len(ids)))

    def add(self, member: int, ids: tuple[int, ...]) -> None:
        """Hangs a sequence into the tree."""
        depth, size = self.shared(ids), len(self.ids)
        for token in self._branch[depth:]:
            self._reach[token] = size
        added = len(ids) - depth
        self._branch[depth:] = range(size, size + added)
        self.ids += ids[depth:]
        self._depths += range(depth, len(ids))
        self._reach += [0] * added
        self.members.append(member)
        self._paths.append(np.array(self._branch, dtype=np.int64))
        self._shared.append(depth)
        self._last = ids

    def tree(self) -> PrefixTree:
        """The finished tree."""
        for token in self._branch:
            self._reach[token] = len(self.ids)
        arrays = [np.array(values, dtype=np.int64) for values in (self.ids, self._depths, self._reach)]
        return PrefixTree(arrays[0], arrays[1], arrays[2], tuple(self.members), tuple(self._paths), tuple(self._shared))


def attention(reach: Ints) -> NDArray[np.bool_]:
    """The mask `[..., query, key]` under which each token sees its ancestors and itself.

    Args:
        reach: `[..., token]` of trees in depth-first order.
    """
    order = np.arange(reach.shape[-1])
    earlier: NDArray[np.bool_] = order[None, :] <= order[:, None]
    return earlier & (order[:, None] < reach[..., None, :])


def pad(values: Sequence[NDArray[np.generic]], width: int) -> NDArray[np.generic]:
    """Stacks `[row][token]` into `[row, width]`, with zeros after each row's end."""
    padded = np.zeros((len(values), width), dtype=values[0].dtype)
    for row, value in enumerate(values):
        padded[row, : len(value)] = value
    return padded


def pad_reach(trees: Sequence[PrefixTree], width: int) -> Ints:
    """Stacks the trees' `reach` into `[row, width]`; a padding token reaches itself only, so none sees nothing."""
    padded = np.tile(np.arange(1, width + 1, dtype=np.int64), (len(trees), 1))
    for row, tree in enumerate(trees):
        padded[row, : len(tree.reach)] = tree.reach
    return padded
