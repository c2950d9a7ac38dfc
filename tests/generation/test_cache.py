"""The roomy cache holds what transformers' own holds, through growth, forks and departures."""

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.cache_utils import DynamicCache

from stepward.generation.cache import move_rows, roomy_cache


@given(st.data())
def test_it_equals_the_dynamic_cache_through_updates_and_moves(data: st.DataObject) -> None:
    mine, theirs = roomy_cache(), DynamicCache()
    random = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))
    rows = data.draw(st.integers(1, 4))
    for _ in range(data.draw(st.integers(1, 5))):
        # Lengths around and above the 48 positions of room.
        length = data.draw(st.sampled_from([1, 1, 7, 47, 48, 100]))
        for layer in range(2):
            keys, values = (torch.randn(rows, 2, length, 4, generator=random) for _ in range(2))
            for got, expected in zip(mine.update(keys, values, layer), theirs.update(keys, values, layer), strict=True):
                assert torch.equal(got, expected)
        source = torch.tensor(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=9)))
        targets = torch.nonzero(source != torch.arange(len(source)))[:, 0]
        rows = len(source)
        move_rows(mine, targets, source[targets], rows)
        theirs.batch_select_indices(source)
        assert mine.get_seq_length() == theirs.get_seq_length()
        pairs: Any = zip(mine.layers, theirs.layers, strict=True)
        for own, other in pairs:
            assert torch.equal(own.keys, other.keys) and torch.equal(own.values, other.values)


def test_a_forked_row_does_not_write_into_its_twin() -> None:
    cache = roomy_cache()
    cache.update(torch.zeros(1, 1, 2, 1), torch.zeros(1, 1, 2, 1), 0)
    move_rows(cache, torch.tensor([1]), torch.tensor([0]), 2)
    keys, _ = cache.update(torch.tensor([1.0, 2.0]).view(2, 1, 1, 1), torch.zeros(2, 1, 1, 1), 0)
    assert keys[:, 0, :, 0].tolist() == [[0, 0, 1], [0, 0, 2]]


def test_a_step_within_the_room_copies_nothing() -> None:
    cache = roomy_cache()
    first, _ = cache.update(torch.zeros(1, 1, 2, 1), torch.zeros(1, 1, 2, 1), 0)
    second, _ = cache.update(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1), 0)
    assert second.data_ptr() == first.data_ptr()
