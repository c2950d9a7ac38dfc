"""Trees of sequences: nothing is lost, nothing leaks, and what is shared stands once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stepward.reward_models.packing.prefix_tree import PrefixTree, attention, build_trees, pad_reach

sequences = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8).map(tuple), min_size=1, max_size=8)


def ancestors(tree: PrefixTree) -> np.ndarray:
    """Who sees whom, from the solutions' paths alone."""
    sees = np.zeros((len(tree.ids), len(tree.ids)), dtype=bool)
    for path in tree.paths:
        for depth, token in enumerate(path):
            sees[token, path[: depth + 1]] = True
    return sees


@given(sequences, st.integers(1, 40), st.booleans())
def test_every_solution_is_in_a_tree_whole_and_once(ids: list[tuple[int, ...]], limit: int, share: bool) -> None:
    trees = build_trees(ids, limit, share)
    assert sorted(member for tree in trees for member in tree.members) == list(range(len(ids)))
    for tree in trees:
        assert len(tree.ids) <= limit or len(set(map(len, tree.paths))) == 1 or len(tree.members) == 1
        if not share:
            assert len(tree.ids) == sum(map(len, tree.paths))
        for member, path in zip(tree.members, tree.paths, strict=True):
            assert tuple(tree.ids[path]) == ids[member]
            assert list(tree.depths[path]) == list(range(len(path)))


@given(sequences)
def test_a_shared_prefix_stands_once(ids: list[tuple[int, ...]]) -> None:
    (tree,) = build_trees(ids, 10_000)
    assert len(tree.ids) == len({one[: end + 1] for one in ids for end in range(len(one))})


@given(sequences)
def test_a_token_sees_its_ancestors_and_nothing_else(ids: list[tuple[int, ...]]) -> None:
    (tree,) = build_trees(ids, 10_000)
    assert np.array_equal(attention(tree.reach), ancestors(tree))


def test_padding_sees_itself_only_and_nobody_sees_it() -> None:
    (short,) = build_trees([(1, 2)], 100)
    (long,) = build_trees([(1, 2, 3, 4)], 100)
    mask = attention(pad_reach([short, long], 5))
    expected = np.eye(5, dtype=bool)
    expected[1, 0] = True
    assert np.array_equal(mask[0], expected)
    assert mask[1, :4, :4].sum() == 10 and not mask[1, :4, 4].any()


def test_a_row_is_split_where_it_would_grow_too_long() -> None:
    problem = (9, 9, 9)
    trees = build_trees([(*problem, 1, end) for end in range(5)], max_tokens=6)
    assert [len(tree.ids) for tree in trees] == [6, 6, 5]
    assert [len(tree.members) for tree in trees] == [2, 2, 1]


def test_a_solution_longer_than_a_row_gets_a_row_and_is_not_cut() -> None:
    (tree,) = build_trees([range(50)], max_tokens=10)
    assert list(tree.ids) == list(range(50))


@given(sequences, st.booleans())
def test_without_a_limit_all_stand_in_one_tree_and_nothing_leaks(ids: list[tuple[int, ...]], share: bool) -> None:
    (tree,) = build_trees(ids, None, share)
    assert sorted(tree.members) == list(range(len(ids)))
    assert np.array_equal(attention(tree.reach), ancestors(tree))


@given(sequences)
def test_what_a_sequence_adds_stands_in_one_piece_after_what_it_shares(ids: list[tuple[int, ...]]) -> None:
    (tree,) = build_trees(ids)
    added = [path[shared:] for path, shared in zip(tree.paths, tree.shared, strict=True)]
    assert np.array_equal(np.concatenate(added), np.arange(len(tree.ids)))
