"""Attention over a row in which sequences share prefixes, as one kernel call a branch.

A tree of tokens (stepward.reward_models.packing.prefix_tree) can be attended to under a mask of [token, token], of
which most is
nothing: a branch sees its own path, not the other branches. Here each branch's own tokens ask, and the keys of its
path answer; the work is that of the sequences without what they share, and no square of the whole row ever exists.
Registered with transformers under `NAME`, so that every model that takes its attention from there can be read so.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from stepward.errors import StepwardError
from stepward.reward_models.packing.prefix_tree import PrefixTree

NAME = "stepward_branches"
"""The attention's name, for `attn_implementation`."""

# What a model may ask of its attention that this one does not do; in silence it would train another model.
_UNKNOWN = ("softcap", "s_aux", "position_bias", "cache")


@dataclass(frozen=True, slots=True)
class BranchLayout:
    """Which keys of a row each branch of its tree sees.

    Attributes:
        queries: `[branch]`: how many tokens of its own a branch has; branches stand one after another in the row.
        keys: `[branch]`: how many tokens its path has, its own included.
        gather: `[keys in all]`: the paths' tokens in the row, one path after another.
        masks: `[branch]`: `[query, key]` of booleans, or None where a branch starts at the row's root, so that plain
            causal attention is right.
    """

    queries: list[int]
    keys: list[int]
    gather: Tensor
    masks: list[Tensor | None]

    def to(self, device: torch.device | str) -> "BranchLayout":
        """The same on another device; accelerate moves a batch by this."""
        masks = [None if mask is None else mask.to(device) for mask in self.masks]
        return BranchLayout(self.queries, self.keys, self.gather.to(device), masks)


def branch_layout(tree: PrefixTree) -> BranchLayout:
    """The branches of a tree: for each of its sequences the tokens that no earlier one has."""
    queries: list[int] = []
    keys: list[int] = []
    masks: list[Tensor | None] = []
    paths: list[Tensor] = []
    for path, shared in zip(tree.paths, tree.shared, strict=True):
        own = len(path) - shared
        if not own:
            continue  # the sequence stands in the tree already
        queries.append(own)
        keys.append(len(path))
        paths.append(torch.from_numpy(path))
        masks.append(_mask(own, len(path)) if shared else None)
    return BranchLayout(queries, keys, torch.cat(paths), masks)


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    branches: BranchLayout | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it; with `branches`, over one row that is a tree.

    Args:
        module: The layer, which says how many queries share a key.
        query: `[row, head, token, size]`.
        key: `[row, key head, token, size]`.
        value: As `key`.
        attention_mask: `[row, 1, token, token]` of padding, or None for plain causal attention; not with `branches`,
            which say all.
        dropout: Of the attention's weights.
        scaling: Of the products.
        branches: The row's.
        others: What a model passes to any attention.

    Returns:
        `[row, token, head, size]`, and None for the weights.

    Raises:
        StepwardError: The model asks for something that this attention doesn't do.
    """
    if unknown := [name for name in _UNKNOWN if others.get(name) is not None]:
        raise StepwardError(
            f"{type(module).__name__} asks its attention for {unknown[0]}, which shared prefixes can't be read with: "
            "set pack to padded",
            code="unsupported",
            field="pack",
        )
    if attention_mask is not None and branches is not None:
        raise StepwardError(
            "a row that is a tree is given with a mask: its branches say who sees whom; leave attention_mask out",
            code="conflict",
            field="attention_mask",
        )
    if query.shape[2] != key.shape[2]:
        raise StepwardError(
            f"{query.shape[2]} tokens ask {key.shape[2]}, as with a cache of earlier ones: this attention reads whole "
            'rows; call set_attn_implementation("sdpa") to generate',
            code="unsupported",
            field="use_cache",
        )
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    window = others.get("sliding_window")
    if branches is None:
        tokens = query.shape[2]
        if attention_mask is None and window is not None and tokens > window:
            attention_mask = _mask(tokens, tokens).triu(1 - window).to(query.device)
        found = scaled_dot_product_attention(
            query, key, value, attention_mask, dropout, scale=scaling, is_causal=attention_mask is None
        )
        return found.transpose(1, 2).contiguous(), None
    masks = branches.masks if window is None or max(branches.keys) <= window else _windowed(branches, window)
    asked = torch.split(query, branches.queries, dim=2)
    seen = torch.split(key.index_select(2, branches.gather), branches.keys, dim=2)
    told = torch.split(value.index_select(2, branches.gather), branches.keys, dim=2)
    parts = [
        scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, scale=scaling, is_causal=mask is None)
        for q, k, v, mask in zip(asked, seen, told, masks, strict=True)
    ]
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def _mask(queries: int, keys: int) -> Tensor:
    """Causal, with the last query at the last key."""
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)


def _windowed(branches: BranchLayout, window: int) -> list[Tensor | None]:
    """The masks of a layer that sees so many tokens back, the asking one counted."""
    device = branches.gather.device
    return [
        None if mask is None and keys <= window else _mask(own, keys).triu(keys - own - window + 1).to(device)
        for own, keys, mask in zip(branches.queries, branches.keys, branches.masks, strict=True)
    ]


def _padding_mask(*, attention_mask: Tensor | None = None, **named: Any) -> Tensor | None:
    """The mask that transformers makes for `attend`: of rows with padding alone."""
    if attention_mask is None or bool(attention_mask.all()):
        return None
    found: Tensor | None = sdpa_mask(attention_mask=attention_mask, **named)
    return found


AttentionInterface.register(NAME, attend)
# Without it transformers drops a mask before it gets here.
AttentionMaskInterface.register(NAME, _padding_mask)
