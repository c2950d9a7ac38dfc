"""Every distinct path is in the tree once, under any order of insertions and of forgetting."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stepward.generation.local.prefix_tree import PrefixTree

tokens = st.lists(st.integers(0, 2), min_size=1, max_size=6)


@given(st.lists(tokens, min_size=1, max_size=12))
def test_a_path_is_there_once_and_is_read_back(paths: list[list[int]]) -> None:
    tree = PrefixTree(200)
    ends = np.array([tree.insert(path)[0] for path in paths])
    assert len(tree) == len({tuple(path[:end]) for path in paths for end in range(1, len(path) + 1)})
    found = tree.paths(ends)
    for row, path in zip(found, paths, strict=True):
        assert tree.token[row[: len(path)]].tolist() == path and not row[len(path) :].any()
        assert tree.depth[row[: len(path)]].tolist() == list(range(len(path)))
    assert all(tree.insert(path) == (end, []) for path, end in zip(paths, ends, strict=True))


@given(st.lists(st.tuples(tokens, st.booleans()), min_size=1, max_size=20))
def test_forgetting_keeps_what_is_used_and_no_orphans(calls: list[tuple[list[int], bool]]) -> None:
    tree = PrefixTree(400)
    kept: list[tuple[int, list[int]]] = []
    for path, use in calls:
        tree.touch()
        end, _ = tree.insert(path)
        if use:
            kept.append((end, path))
        before, room = len(tree), tree.free_slots()
        dropped = tree.evict(np.array([end for end, _ in kept], dtype=np.int64))
        assert len(tree) == before - len(dropped) and tree.free_slots() == room + len(dropped)
        assert all(tree.insert(path) == (end, []) for end, path in kept)
        nodes = set(tree._children.values())
        assert {parent for parent, _ in tree._children} <= nodes | {0}
        assert nodes.isdisjoint(tree._free) and len(nodes) + len(tree._free) == tree.slots - 1


def test_the_oldest_go_first() -> None:
    tree = PrefixTree(100)
    for path in ([1, 1], [2, 2], [3, 3], [4, 4]):
        tree.touch()
        tree.insert(path)
    tree.evict(np.zeros(0, dtype=np.int64))
    assert tree.child(0, 1) is None and tree.child(0, 4) is not None


def test_it_grows_to_its_most_and_uses_numbers_again() -> None:
    tree = PrefixTree(10_000)
    tree.insert(list(range(9_999)))
    assert tree.free_slots() == 1 and tree.slots == 10_001
    assert len(tree.evict(np.zeros(0, dtype=np.int64))) == 9_999
    end, new = tree.insert([7, 8])
    assert len(new) == 2 and 0 < end <= 10_000 and not tree.read[end]
