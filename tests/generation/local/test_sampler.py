"""Tokens are drawn by their chances, each draw from its own node."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from stepward.generation.interface import Sampling, uniforms
from stepward.generation.local.sampler import SamplingTable, cumulative


def table(logits: torch.Tensor, sampling: Sampling, kept: bool = False) -> SamplingTable:
    """Chances of nodes 1, 2, ..."""
    found = SamplingTable(logits.shape[1], kept, torch.device("cpu"))
    found.put(np.arange(1, len(logits) + 1), logits, sampling)
    return found


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_the_softmax_says(temperature: float) -> None:
    """Chi-square over 4,000 draws; tokens that are expected less than 5 times are taken together."""
    draws = 4_000
    logits = 2 * torch.randn(1, 40, generator=torch.Generator().manual_seed(1))
    expected = draws * torch.softmax(logits[0].double() / temperature, -1).numpy()
    noise = np.concatenate([uniforms(1, "p", draw, 1) for draw in range(draws)])
    tokens = table(logits, Sampling(temperature)).draw(np.ones(draws, dtype=np.int64), noise)
    observed = np.bincount(tokens, minlength=40).astype(float)
    rare = expected < 5
    grouped = [np.append(values[~rare], values[rare].sum()) for values in (observed, expected)]
    assert chisquare(*(values[values > 0] for values in grouped)).pvalue > 0.001


@pytest.mark.parametrize("kept", [False, True])
def test_each_draw_reads_its_own_node(kept: bool) -> None:
    logits = torch.full((3, 5), float("-inf"))
    logits[[0, 1, 2], [4, 0, 2]] = 0.0
    nodes = np.array([1, 1, 2, 3, 3, 3])
    noise = np.linspace(0, 1 - 2**-24, 6, dtype=np.float32)
    for sampling in (Sampling(), Sampling(temperature=0)):
        chances = table(logits, sampling, kept)
        assert chances.draw(nodes, noise).tolist() == [4, 4, 0, 2, 2, 2]
        assert chances.known(np.array([0, 1, 2, 3, 4])).tolist() == [False, True, True, True, False]
    chances.put(np.array([9]), logits[1:2], Sampling(temperature=0))
    assert chances.known(np.array([1, 9, 90])).tolist() == [kept, True, False]
    assert chances.draw(np.array([9]), noise[:1]).tolist() == [0]
    chances.forget(np.array([9]))
    assert chances.known(np.array([1, 9])).tolist() == [kept, False]


def test_top_p_drops_the_tail_and_keeps_the_rest_in_proportion() -> None:
    logits = torch.tensor([[0.05, 0.5, 0.15, 0.3]]).log()
    noise = np.linspace(0, 1 - 2**-24, 4_001, dtype=np.float32)

    def shares(top_p: float) -> list[float]:
        tokens = table(logits, Sampling(top_p=top_p)).draw(np.ones(len(noise), dtype=np.int64), noise)
        return [float((tokens == token).mean()) for token in range(4)]

    assert shares(1.0) == pytest.approx([0.05, 0.5, 0.15, 0.3], abs=0.001)
    assert shares(0.9) == pytest.approx([0, 0.5 / 0.95, 0.15 / 0.95, 0.3 / 0.95], abs=0.001)
    assert shares(0.7) == pytest.approx([0, 0.625, 0, 0.375], abs=0.001)
    assert shares(0.4) == shares(1e-6) == [0, 1, 0, 0]


def test_tokens_without_a_chance_are_never_drawn_however_many_rows_lie_before() -> None:
    logits = torch.full((2000, 50), float("-inf"))
    logits[:, [7, 20]] = torch.tensor([0.0, 0.3])
    noise = np.array([0.0, 0.5, 1 - 2**-24], dtype=np.float32)
    chances = table(logits, Sampling(), kept=True)
    for node in (1, 1000, 2000):
        assert chances.draw(np.full(3, node), noise).tolist() == [7, 20, 20]


def test_the_sums_are_those_of_the_softmax() -> None:
    logits = torch.randn(3, 30, generator=torch.Generator().manual_seed(0))
    expected = torch.softmax(logits.double() / 0.7, -1).cumsum(-1)
    torch.testing.assert_close(cumulative(logits, Sampling(0.7)), expected, atol=1e-6, rtol=0)
    assert (cumulative(logits, Sampling(0.7))[:, -1] == 1).all()
