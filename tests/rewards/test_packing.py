"""Trees of solutions: nothing is lost, nothing leaks, and labels weigh what they weigh in separate sequences."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stepward.rendering import Rendered
from stepward.rewards.losses import binary_cross_entropy
from stepward.rewards.packing import Tree, attention, grow, label, pad_reach

sequences = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8).map(tuple), min_size=1, max_size=8)


def plain(ids: tuple[int, ...]) -> Rendered:
    return Rendered(ids, (0,), (len(ids) - 1,))


def ancestors(tree: Tree) -> np.ndarray:
    """Who sees whom, from the solutions' paths alone."""
    sees = np.zeros((len(tree.ids), len(tree.ids)), dtype=bool)
    for path in tree.paths:
        for depth, token in enumerate(path):
            sees[token, path[: depth + 1]] = True
    return sees


@given(sequences, st.integers(1, 40), st.booleans())
def test_every_solution_is_in_a_tree_whole_and_once(ids: list[tuple[int, ...]], limit: int, share: bool) -> None:
    trees = grow([plain(one) for one in ids], limit, share)
    assert sorted(member for tree in trees for member in tree.members) == list(range(len(ids)))
    for tree in trees:
        assert len(tree.ids) <= limit or len(set(map(len, tree.paths))) == 1 or len(tree.members) == 1
        for member, path in zip(tree.members, tree.paths, strict=True):
            assert tuple(tree.ids[path]) == ids[member]
            assert list(tree.depths[path]) == list(range(len(path)))


@given(sequences)
def test_a_shared_prefix_stands_once(ids: list[tuple[int, ...]]) -> None:
    (tree,) = grow([plain(one) for one in ids], 10_000)
    assert len(tree.ids) == len({one[: end + 1] for one in ids for end in range(len(one))})


@given(sequences)
def test_a_token_sees_its_ancestors_and_nothing_else(ids: list[tuple[int, ...]]) -> None:
    (tree,) = grow([plain(one) for one in ids], 10_000)
    assert np.array_equal(attention(tree.reach), ancestors(tree))


def test_padding_sees_itself_only_and_nobody_sees_it() -> None:
    (short,) = grow([plain((1, 2))], 100)
    (long,) = grow([plain((1, 2, 3, 4))], 100)
    mask = attention(pad_reach([short, long], 5))
    expected = np.eye(5, dtype=bool)
    expected[1, 0] = True
    assert np.array_equal(mask[0], expected)
    assert mask[1, :4, :4].sum() == 10 and not mask[1, :4, 4].any()


def test_a_row_is_split_where_it_would_grow_too_long() -> None:
    problem = (9, 9, 9)
    trees = grow([plain((*problem, 1, end)) for end in range(5)], max_tokens=6)
    assert [len(tree.ids) for tree in trees] == [6, 6, 5]
    assert [len(tree.members) for tree in trees] == [2, 2, 1]


def test_a_solution_longer_than_a_row_gets_a_row_and_is_not_cut() -> None:
    (tree,) = grow([plain(tuple(range(50)))], max_tokens=10)
    assert list(tree.ids) == list(range(50))


@given(sequences, st.booleans(), st.data())
def test_loss_and_gradient_equal_those_of_separate_sequences(
    ids: list[tuple[int, ...]], every_token: bool, data: st.DataObject
) -> None:
    targets = [[data.draw(st.none() | st.floats(0, 1, width=16))] for _ in ids]
    solutions = [plain(one) for one in ids]
    # A token's logit depends on its prefix only, as a causal model's does.
    prefixes = sorted({one[: end + 1] for one in ids for end in range(len(one))})
    logits = torch.linspace(-3, 3, len(prefixes), dtype=torch.float64, requires_grad=True)
    alone = torch.zeros((), dtype=torch.float64)
    for one, (target,) in zip(ids, targets, strict=True):
        for end in range(0 if every_token else len(one) - 1, len(one) if target is not None else 0):
            probability = torch.sigmoid(logits[prefixes.index(one[: end + 1])])
            alone = alone - target * torch.log(probability) - (1 - target) * torch.log(1 - probability)
    (tree,) = grow(solutions, 10_000)
    row = label(tree, solutions, targets, every_token)
    where = {int(token): one[: depth + 1] for one, path in _pairs(ids, tree) for depth, token in enumerate(path)}
    together = binary_cross_entropy(
        logits[[prefixes.index(where[token]) for token in range(len(tree.ids))]],
        torch.from_numpy(row.targets),
        torch.from_numpy(row.weights),
    )
    assert together.item() == pytest.approx(alone.item(), rel=1e-5, abs=1e-6)
    if alone.requires_grad:
        (expected,) = torch.autograd.grad(alone, logits)
        (found,) = torch.autograd.grad(together, logits)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def _pairs(ids: list[tuple[int, ...]], tree: Tree) -> list[tuple[tuple[int, ...], np.ndarray]]:
    return [(ids[member], path) for member, path in zip(tree.members, tree.paths, strict=True)]


def test_process_labels_lie_on_step_ends_and_outcome_labels_on_every_token_of_a_step() -> None:
    solution = Rendered((7, 8, 1, 2, 9, 3, 4), starts=(2, 5), ends=(3, 6))
    (tree,) = grow([solution], 100)
    process = label(tree, [solution], [(0.25, None)], every_token=False)
    outcome = label(tree, [solution], [(1.0, 1.0)], every_token=True)
    assert process.weights.tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert process.targets.tolist() == [0, 0, 0, 0.25, 0, 0, 0]
    assert outcome.weights.tolist() == [0, 0, 1, 1, 0, 1, 1]
