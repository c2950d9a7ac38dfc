"""Batches: every row once an epoch, in an order that only the seed and the epoch decide."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from stepward.rendering import Rendered
from stepward.rewards.batching import LengthBatches, rows_tensor, tokens_tensor
from stepward.rewards.packing import grow, label


@given(st.lists(st.integers(1, 300), min_size=1, max_size=200), st.integers(1, 9))
def test_an_epoch_holds_every_row_once(lengths: list[int], size: int) -> None:
    batches = list(LengthBatches(lengths, size, seed=0))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert len(batches) == len(LengthBatches(lengths, size, seed=0))
    assert max(map(len, batches)) <= size


def test_seed_and_epoch_decide_the_order() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        batches = LengthBatches(list(range(1, 65)), 4, seed)
        batches.set_epoch(epoch)
        return list(batches)

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1) != order(1, 1)


def test_rows_of_a_batch_are_of_similar_length() -> None:
    lengths = [10, 200] * 32
    assert all(len({lengths[row] for row in batch}) == 1 for batch in LengthBatches(lengths, 4, seed=3))


def test_a_batch_is_padded_and_masked() -> None:
    first = [Rendered((1, 2, 3), (1,), (2,)), Rendered((1, 2, 4, 5), (1,), (3,))]
    second = [Rendered((6, 7), (1,), (1,))]
    rows = [
        label(grow(first, 100)[0], first, [(1.0,), (0.0,)], every_token=False),
        label(grow(second, 100)[0], second, [(0.5,)], every_token=False),
    ]
    batch = rows_tensor(rows)
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5], [6, 7, 0, 0, 0]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 2, 3], [0, 1, 0, 0, 0]]
    assert batch["targets"].tolist() == [[0, 0, 1, 0, 0], [0, 0.5, 0, 0, 0]]
    assert batch["weights"].tolist() == [[0, 0, 1, 0, 1], [0, 1, 0, 0, 0]]
    mask = batch["attention_mask"]
    assert mask.shape == (2, 1, 5, 5) and mask.dtype == torch.bool
    assert mask[0, 0, 3].tolist() == [True, True, False, True, False]
    assert bool(mask.any(-1).all()), "a token that sees nothing has no attention weights"


def test_without_sharing_there_is_no_mask() -> None:
    trees = grow([Rendered((1, 2, 3), (1,), (2,)), Rendered((1, 2, 4, 5), (1,), (3,))], 100, share=False)
    batch = tokens_tensor(trees, share=False)
    assert set(batch) == {"input_ids"}
    assert batch["input_ids"].tolist() == [[1, 2, 3, 0], [1, 2, 4, 5]]
