"""The pooled cache gives each row the keys and values of its path; and transformers still calls it as it is written."""

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from stepward.generation.local.kv_cache import CacheView, PagedLayer, paged_cache


@given(st.data())
def test_a_row_reads_what_its_own_row_of_a_dynamic_cache_would_hold(data: st.DataObject) -> None:
    """Rows that are forked from one another at random, each beside a DynamicCache of its own."""
    window = CacheView()
    mine = paged_cache(window)
    random = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))
    paths: list[list[int]] = [[]]
    theirs = [DynamicCache()]
    window.slots = 1
    for _ in range(data.draw(st.integers(1, 5))):
        rows, new = len(paths), data.draw(st.integers(1, 3))
        slots = torch.arange(window.slots, window.slots + rows * new).view(rows, new)
        window.slots += rows * new
        window.written = slots
        paths = [path + slots[row].tolist() for row, path in enumerate(paths)]
        window.paths = torch.tensor(paths)
        for layer in range(2):
            keys, values = (torch.randn(rows, 2, new, 4, generator=random) for _ in range(2))
            got = mine.update(keys, values, layer)
            for row, cache in enumerate(theirs):
                expected = cache.update(keys[row : row + 1], values[row : row + 1], layer)
                assert torch.equal(got[0][row], expected[0][0]) and torch.equal(got[1][row], expected[1][0])
        forks = data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=4))
        paths = [list(paths[row]) for row in forks]
        theirs = [_copy(theirs[row]) for row in forks]


def _copy(cache: DynamicCache) -> DynamicCache:
    copied = DynamicCache()
    for index, layer in enumerate(cache.layers):
        assert isinstance(layer, DynamicLayer) and layer.keys is not None and layer.values is not None
        copied.update(layer.keys, layer.values, index)
    return copied


def test_what_stands_behind_a_paths_end_is_finite() -> None:
    window = CacheView()
    window.slots, window.written, window.paths = 3, torch.tensor([[2, 0]]), torch.tensor([[2, 0, 0]])
    keys, _ = paged_cache(window).update(torch.ones(1, 1, 2, 4), torch.ones(1, 1, 2, 4), 0)
    assert keys.shape == (1, 1, 3, 4) and bool(keys.isfinite().all())


def test_transformers_calls_what_the_engine_rests_on() -> None:
    """Each sentence names the call that an upgrade changed."""
    model: Any = LlamaForCausalLM(
        LlamaConfig(vocab_size=11, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2)
    ).eval()
    updates: list[tuple[int, ...]] = []

    class Watched(DynamicLayer):
        def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            updates.append(tuple(key_states.shape))
            return super().update(key_states, value_states, *args, **kwargs)

    tokens = torch.tensor([[1, 2, 3, 4]])
    for name in ("lazy_initialization", "update", "get_seq_length"):
        assert callable(getattr(DynamicLayer, name, None)), f"DynamicLayer.{name} is gone"
    cache = Cache(layer_class_to_replicate=Watched)
    with torch.inference_mode():
        plain = model(tokens, use_cache=False).logits
        mask = torch.ones(1, 1, 4, 4, dtype=torch.bool).tril()
        positions = torch.arange(4)[None]
        found = model(tokens, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True).logits
        assert len(cache.layers) == 2, "Cache(layer_class_to_replicate=...) no longer makes a layer at its first update"
        assert updates == [(1, 2, 4, 8)] * 2, "DynamicLayer.update is no longer given [row, heads, position, head size]"
        torch.testing.assert_close(found, plain, msg="a causal four-dimensional mask is no longer used as it is")
        assert model(tokens, logits_to_keep=1).logits.shape[1] == 1, "logits_to_keep no longer keeps the last position"
        assert model(tokens, logits_to_keep=0).logits.shape[1] == 4, "logits_to_keep=0 no longer keeps every position"
        mask[..., -1, 0] = False
        changed = model(tokens, attention_mask=mask, position_ids=positions).logits
        assert not torch.allclose(changed[:, -1], plain[:, -1]), "a four-dimensional boolean mask is ignored"
        torch.testing.assert_close(changed[:, :-1], plain[:, :-1], msg="a mask's row changes another position")
        apart = model(tokens, position_ids=3 * positions).logits
        assert not torch.allclose(apart[:, -1], plain[:, -1]), "position_ids are ignored"
    layer = PagedLayer(CacheView())
    layer.lazy_initialization(torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 1, 4))
    assert layer.is_initialized, "DynamicLayer.lazy_initialization no longer sets is_initialized"
