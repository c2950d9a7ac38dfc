"""A key-value cache with room ahead, so that a decoding step writes one position and copies none.

transformers' own DynamicLayer concatenates, which copies the whole cache at every token, and forks by copying every
row; for small models on a CPU those copies cost more than the model. It rests on `DynamicLayer.keys/values`,
`lazy_initialization` and `update`, and on `Cache(layer_class_to_replicate=...)` (transformers 5.3 to 5.19).
"""

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

_ROOM = 48
"""Positions added whenever the buffer is full."""


class RoomyLayer(DynamicLayer):
    """A DynamicLayer whose `keys` and `values` are views of larger buffers, [rows, heads, room, head size]."""

    _buffers: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Appends the new positions and gives all of them, as DynamicLayer does."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
        assert self.keys is not None and self.values is not None, "lazy_initialization sets both"
        rows, used, added = len(key_states), self.keys.shape[-2], key_states.shape[-2]
        keys, values = self._with_room(rows, used + added, _ROOM)
        keys[:rows, :, used : used + added] = key_states
        values[:rows, :, used : used + added] = value_states
        return self._view(rows, used + added)

    def move(self, targets: torch.Tensor, sources: torch.Tensor, rows: int) -> None:
        """Copies rows over others, or behind the last, and keeps the first `rows`.

        Args:
            targets: Rows to be written, [moves], none twice.
            sources: What they become, [moves]; a row may be a source and a target.
            rows: How many rows there are afterwards.
        """
        assert self.keys is not None, "a layer is filled before its rows are moved"
        used = self.keys.shape[-2]
        for buffer in self._with_room(rows, used, 0):
            # Indexing copies the sources before any of them is written over.
            buffer[targets, :, :used] = buffer[sources, :, :used]
        self._view(rows, used)

    def _with_room(self, rows: int, used: int, ahead: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The buffers, made larger where they lack rows or positions."""
        assert self.keys is not None and self.values is not None, "update fills both first"
        if self._buffers is None or rows > len(self._buffers[0]) or used > self._buffers[0].shape[-2]:
            # Half as many rows again, since one fork is seldom the last.
            most = rows + rows // 2 if rows > len(self.keys) else len(self.keys)
            room = used + ahead if ahead or self._buffers is None else self._buffers[0].shape[-2]
            self._buffers = (_grown(self.keys, most, room), _grown(self.values, most, room))
        return self._buffers

    def _view(self, rows: int, used: int) -> tuple[torch.Tensor, torch.Tensor]:
        assert self._buffers is not None, "a view is of a buffer"
        self.keys, self.values = (buffer[:rows, :, :used] for buffer in self._buffers)
        return self.keys, self.values


def _grown(states: torch.Tensor, rows: int, room: int) -> torch.Tensor:
    before, heads, used, size = states.shape
    buffer = states.new_empty((rows, heads, room, size))
    buffer[:before, :, :used] = states
    return buffer


def roomy_cache() -> Cache:
    """An empty cache of RoomyLayers, one a layer of the model."""
    return Cache(layer_class_to_replicate=RoomyLayer)


def move_rows(cache: Cache, targets: torch.Tensor, sources: torch.Tensor, rows: int) -> None:
    """`RoomyLayer.move` in every layer of a `roomy_cache`."""
    for layer in cache.layers:
        assert isinstance(layer, RoomyLayer), "a roomy cache has roomy layers"
        layer.move(targets, sources, rows)
