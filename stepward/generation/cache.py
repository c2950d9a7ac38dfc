"""A key-value cache with room ahead, so that a decoding step writes one position and copies none.

transformers' own DynamicLayer concatenates, which copies the whole cache at every token; for small models on a CPU
that copy costs more than the model. It rests on `DynamicLayer.keys/values`, `lazy_initialization`, `update` and
`batch_select_indices` (transformers 5.3 to 5.19).
"""

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

_ROOM = 48
"""Positions added whenever the buffer is full."""


class RoomyLayer(DynamicLayer):
    """A DynamicLayer whose `keys` and `values` are views of longer buffers, [batch, heads, room, head size]."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Appends the new positions and gives all of them, as DynamicLayer does."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
        used, added = self.keys.shape[-2], key_states.shape[-2]
        buffers = getattr(self, "_buffers_of", None)
        if buffers is None or used + added > buffers[0].shape[-2]:
            buffers = (_grown(self.keys, used + added + _ROOM), _grown(self.values, used + added + _ROOM))
            self._buffers_of = buffers
        buffers[0][:, :, used : used + added] = key_states
        buffers[1][:, :, used : used + added] = value_states
        self.keys = buffers[0][:, :, : used + added]
        self.values = buffers[1][:, :, : used + added]
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keeps, repeats or reorders rows of the batch."""
        super().batch_select_indices(indices)
        self._buffers_of = None


def _grown(states: torch.Tensor, room: int) -> torch.Tensor:
    batch, heads, used, size = states.shape
    buffer = states.new_empty((batch, heads, room, size))
    buffer[:, :, :used] = states
    return buffer


def roomy_cache() -> Cache:
    """An empty cache of RoomyLayers, one a layer of the model."""
    return Cache(layer_class_to_replicate=RoomyLayer)
