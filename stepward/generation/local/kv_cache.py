"""Keys and values of tokens in one pool, so that any number of paths can share the tokens they have alike.

transformers' own DynamicLayer holds a row a sequence: a fork copies a row, and what two rows share is there twice. Here
a layer holds a slot a token, and a reading gathers each row's keys and values by the slots on its path.

It rests on transformers (5.3 to 5.19) calling `update` of a `DynamicLayer` for each layer and attending to what it
gives, on `Cache(layer_class_to_replicate=...)` making a layer when the model first asks for it, and on a model that is
given a four-dimensional boolean mask and positions using both as they are.
"""

from functools import partial
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer


class CacheView:
    """Which slots a reading writes and which it attends to; the layers of one cache look through it.

    Attributes:
        slots: How many slots the pool must have.
        written: Slots of the new tokens, [row, new]; 0, which is nobody's, where a row has fewer.
        paths: Slots of all tokens of a row by their position, [row, position]; 0 behind the last.
    """

    slots: int = 0
    written: torch.Tensor
    paths: torch.Tensor


class PagedLayer(DynamicLayer):
    """A layer whose `keys` and `values` are pools, [slot, heads, head size]."""

    def __init__(self, window: CacheView) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.window = window

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Stores the new tokens and gives those of every path, [row, heads, position, head size]."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = (_empty(one, 1) for one in (key_states, value_states))
        self.keys = self._filled(self.keys, key_states)
        self.values = self._filled(self.values, value_states)
        return _gathered(self.keys, self.window.paths), _gathered(self.values, self.window.paths)

    def get_seq_length(self) -> int:
        """Tokens before those being read: what DynamicLayer tells of its rows."""
        return self.window.paths.shape[1] - self.window.written.shape[1]

    @property
    def slot_bytes(self) -> int:
        """Bytes of one token."""
        return sum(one[0].numel() * one.element_size() for one in (self.keys, self.values) if one is not None)

    def _filled(self, pool: torch.Tensor | None, states: torch.Tensor) -> torch.Tensor:
        assert pool is not None, "update makes it"
        if len(pool) < self.window.slots:
            larger = _empty(states, self.window.slots)
            larger[: len(pool)] = pool
            pool = larger
        pool[self.window.written] = states.transpose(1, 2)
        return pool


def _empty(states: torch.Tensor, slots: int) -> torch.Tensor:
    """A pool for states like these. Slot 0 is attended to under the mask, where a NaN would still be one."""
    pool = states.new_empty((slots, states.shape[1], states.shape[3]))
    pool[0] = 0
    return pool


def _gathered(pool: torch.Tensor, paths: torch.Tensor) -> torch.Tensor:
    # index_select takes a quarter of the time of pool[paths] on a CPU.
    return pool.index_select(0, paths.reshape(-1)).view(*paths.shape, *pool.shape[1:]).transpose(1, 2)


def paged_cache(window: CacheView) -> Cache:
    """An empty cache of PooledLayers, one a layer of the model."""
    layer: Any = partial(PagedLayer, window)
    return Cache(layer_class_to_replicate=layer)
