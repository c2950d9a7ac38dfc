"""Token sequences as the tensors that a model reads, in one of four layouts, and where each sequence's tokens went."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from stepward.reward_models.packing.attention import branch_layout
from stepward.reward_models.packing.prefix_tree import Ints, PrefixTree, attention, build_trees, pad, pad_reach

Layout = Literal["branches", "mask", "restarts", "padded"]
"""How sequences are laid out in rows:

- `branches`: all in one row, for the attention of `stepward.reward_models.packing.attention`;
- `mask`: trees in rows of some length under a 4-D mask, for sdpa, eager and the like;
- `restarts`: all in one row, none sharing anything, told apart by where positions start again, as flash attention
  in transformers does;
- `padded`: a row each, with padding behind, which any causal model reads.
"""


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """Sequences laid out.

    Attributes:
        inputs: What the model's forward takes: `input_ids` `[row, token]` and what the layout needs beside it.
        places: `[sequence][token of the sequence]`: index of the token in the flattened `input_ids`.
        tokens: Tokens in the rows, without padding.
    """

    inputs: dict[str, Any]
    places: list[Ints]
    tokens: int

    def sizes(self, rows: int) -> dict[str, int]:
        """What a batch says of itself: rows of the data, tokens computed, and tokens of the sequences each alone."""
        return {"rows": rows, "tokens": self.tokens, "useful": sum(map(len, self.places))}


def pack_batch(
    sequences: Sequence[Sequence[int]], layout: Layout, share: bool = True, max_tokens: int = 512
) -> PackedBatch:
    """Lays sequences out as one batch.

    Args:
        sequences: `[sequence][token]` ids; at least one, none empty.
        layout: Where they go.
        share: Whether common first tokens stand once; only `branches` and `mask` can.
        max_tokens: The longest row of `mask`, where no one sequence is longer: attention's cost is the row's square.
    """
    if layout in ("branches", "restarts"):
        trees = build_trees(sequences, None, share and layout == "branches")
    else:
        trees = build_trees(sequences, max_tokens if layout == "mask" else 0, share and layout == "mask")
    width = max(len(tree.ids) for tree in trees)
    inputs: dict[str, Any] = {"input_ids": torch.from_numpy(pad([tree.ids for tree in trees], width))}
    if layout != "padded":
        inputs["position_ids"] = torch.from_numpy(pad([tree.depths for tree in trees], width))
    if layout == "branches":
        inputs["branches"] = branch_layout(trees[0])
    if layout == "mask":
        inputs["attention_mask"] = torch.from_numpy(attention(pad_reach(trees, width))[:, None])
    return PackedBatch(inputs, _places(trees, width, len(sequences)), sum(len(tree.ids) for tree in trees))


def _places(trees: Sequence[PrefixTree], width: int, count: int) -> list[Ints]:
    """Where each sequence's tokens are in the flattened rows."""
    places: list[Ints] = [np.empty(0, dtype=np.int64)] * count
    for row, tree in enumerate(trees):
        for member, path in zip(tree.members, tree.paths, strict=True):
            places[member] = path + row * width
    return places
