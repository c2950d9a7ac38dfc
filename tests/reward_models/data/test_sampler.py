"""The order of rows: each once an epoch, the same optimiser batches however they are split, groups kept together."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stepward.reward_models.data.sampler import PromptGroupedSampler

rows = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 9)), min_size=1, max_size=120)


@given(rows, st.integers(1, 16), st.booleans(), st.integers(0, 3))
def test_an_epoch_holds_every_row_once(rows: list[tuple[int, int]], batch: int, grouped: bool, epoch: int) -> None:
    order = PromptGroupedSampler([one for one, _ in rows], [group for _, group in rows] if grouped else None, batch, 0)
    order.set_epoch(epoch)
    assert sorted(order) == list(range(len(rows))) and len(order) == len(rows)


def test_seed_and_epoch_decide_the_order() -> None:
    def found(seed: int, epoch: int) -> list[int]:
        order = PromptGroupedSampler(list(range(1, 65)), None, 4, seed)
        order.set_epoch(epoch)
        return list(order)

    assert found(0, 0) == found(0, 0)
    assert found(0, 0) != found(0, 1) != found(1, 1)


@given(rows, st.integers(1, 16))
def test_rows_of_a_group_stand_in_one_piece_but_for_where_a_batch_ends(rows: list[tuple[int, int]], batch: int) -> None:
    groups = [group for _, group in rows]
    order = [groups[row] for row in PromptGroupedSampler([one for one, _ in rows], groups, batch, 1)]
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        changes = sum(one != other for one, other in pairwise(part))
        assert changes == len(set(part)) - 1


def test_forward_passes_of_one_turn_are_about_as_long() -> None:
    lengths = [10, 200] * 32
    order = list(PromptGroupedSampler(lengths, None, 64, seed=3))
    assert all(len({lengths[row] for row in order[at : at + 4]}) == 1 for at in range(0, 64, 4))
