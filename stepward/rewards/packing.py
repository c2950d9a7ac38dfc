"""Packs the solutions of one problem into one row, in which every shared prefix stands once.

A dozen solutions of a problem repeat its question and most first steps. A causal model's state at a token depends on
nothing but the tokens before it, so solutions can hang in one tree of tokens: each token attends to its ancestors, and
its position is its depth. The states are those of separate sequences, for a third of the tokens or less.

Tokens stand in depth-first order, so a token's descendants are the tokens up to its `reach`, and the whole attention
mask is one comparison (`attention`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.rendering import Rendered

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tree:
    """Some solutions of one problem as a tree of tokens in depth-first order.

    Attributes:
        ids: `[token]`.
        depths: `[token]`: how many tokens stand before it in its solutions: its position id.
        reach: `[token]`: index after its last descendant.
        members: `[solution]`: index of each solution in the sequence the tree was grown from.
        paths: `[solution][token of the solution]`: where the solution's tokens are in the tree.
    """

    ids: Ints
    depths: Ints
    reach: Ints
    members: tuple[int, ...]
    paths: tuple[Ints, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A tree with what its tokens should be scored.

    Attributes:
        tree: The tokens.
        targets: `[token]`: mean label of the solutions that label the token, in [0, 1]; 0 where none does.
        weights: `[token]`: how many solutions label the token.
    """

    tree: Tree
    targets: Floats
    weights: Floats


def grow(solutions: Sequence[Rendered], max_tokens: int, share: bool = True) -> list[Tree]:
    """Grows the trees that hold the solutions of one problem.

    Args:
        solutions: Rendered solutions of one problem, in any order.
        max_tokens: A tree takes no further solution that would bring it above this. One solution longer than this
            still gets a tree of its own: nothing is ever cut.
        share: False gives each solution a tree of its own, for models that can't share prefixes.

    Returns:
        Trees that together hold each solution once; equal solutions share all their tokens.
    """
    # Neighbours in sorted order share the longest prefixes, and adding them in that order is depth-first.
    order = sorted(range(len(solutions)), key=lambda index: solutions[index].ids)
    trees: list[Tree] = []
    growing = _Growing()
    for index in order:
        ids = solutions[index].ids
        full = len(growing.ids) + len(ids) - growing.shared(ids) > max_tokens
        if growing.members and (full or not share):
            trees.append(growing.tree())
            growing = _Growing()
        growing.add(index, ids)
    return [*trees, growing.tree()] if growing.members else trees


class _Growing:
    """A tree to which solutions are added in sorted order."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.members: list[int] = []
        self._depths: list[int] = []
        self._reach: list[int] = []
        self._paths: list[Ints] = []
        self._last: tuple[int, ...] = ()
        self._branch: list[int] = []

    def shared(self, ids: tuple[int, ...]) -> int:
        """How many first tokens of a solution are in the tree already."""
        pairs = zip(self._last, ids, strict=False)
        return next((depth for depth, (old, new) in enumerate(pairs) if old != new), min(len(self._last), len(ids)))

    def add(self, member: int, ids: tuple[int, ...]) -> None:
        """Hangs a solution into the tree."""
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
        self._last = ids

    def tree(self) -> Tree:
        """The finished tree."""
        for token in self._branch:
            self._reach[token] = len(self.ids)
        arrays = [np.array(values, dtype=np.int64) for values in (self.ids, self._depths, self._reach)]
        return Tree(arrays[0], arrays[1], arrays[2], tuple(self.members), tuple(self._paths))


def label(
    tree: Tree, solutions: Sequence[Rendered], labels: Sequence[Sequence[float | None]], every_token: bool
) -> Row:
    """Puts labels on a tree's tokens so that its loss equals that of the solutions as separate sequences.

    Binary cross-entropy is linear in the target, so a token that several solutions label costs exactly as much, in
    loss and in gradient, with the mean of their labels and their number as weight.

    Args:
        tree: A tree grown from `solutions`.
        solutions: The rendered solutions.
        labels: `[solution][step]`: a label in [0, 1], or None for no loss there.
        every_token: True puts a step's label on all its tokens (ORM), False on its last (PRM).
    """
    totals = np.zeros(len(tree.ids), dtype=np.float64)
    weights = np.zeros(len(tree.ids), dtype=np.float32)
    for member, path in zip(tree.members, tree.paths, strict=True):
        solution = solutions[member]
        for start, end, value in zip(solution.starts, solution.ends, labels[member], strict=True):
            if value is not None:
                tokens = path[start if every_token else end : end + 1]
                totals[tokens] += value
                weights[tokens] += 1
    return Row(tree, (totals / np.maximum(weights, 1)).astype(np.float32), weights)


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


def pad_reach(trees: Sequence[Tree], width: int) -> Ints:
    """Stacks the trees' `reach` into `[row, width]`; a padding token reaches itself only, so none sees nothing."""
    padded = np.tile(np.arange(1, width + 1, dtype=np.int64), (len(trees), 1))
    for row, tree in enumerate(trees):
        padded[row, : len(tree.reach)] = tree.reach
    return padded
