"""Decoding by branches gives what a plain pass over each draw alone gives, and draws tokens by their chances."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare

from stepward.generation import decoding
from stepward.generation.decoding import choose, decode
from stepward.generation.local import LocalGenerator
from stepward.generation.protocol import Sampling, uniforms

LENGTH = 24


@dataclass
class Recorded:
    """What one decoding wrote, and the logits that each draw read at each of its positions."""

    prompts: list[list[int]]
    written: list[NDArray[np.int64]]
    logits: list[torch.Tensor]
    rows: list[int]


def record(generator: LocalGenerator, counts: list[int], noise: NDArray[np.float32], sampling: Sampling) -> Recorded:
    """Decodes prompts of three lengths and keeps every step's logits."""
    prompts = [generator.renderer.prefix("abc" * (1 + index % 3) + " 1", ()) for index in range(len(counts))]
    steps: list[tuple[torch.Tensor, NDArray[np.int64]]] = []

    def recording(
        logits: torch.Tensor, noise: NDArray[np.float32], branch_of: NDArray[np.int64], sampling: Sampling
    ) -> NDArray[np.int64]:
        steps.append((logits.clone(), branch_of))
        return choose(logits, noise, branch_of, sampling)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "choose", recording)
        ends = generator.ends
        written = decode(generator.model, prompts, counts, noise, ends, sampling, torch.device("cpu"))
    read: list[list[torch.Tensor]] = [[] for _ in written]
    for position, (logits, branch_of) in enumerate(steps):
        going = [draw for draw, tokens in enumerate(written) if len(tokens) > position]
        for draw, branch in zip(going, branch_of, strict=True):
            read[draw].append(logits[branch])
    return Recorded(prompts, written, [torch.stack(one) for one in read], [len(logits) for logits, _ in steps])


def own_noise(draws: int) -> NDArray[np.float32]:
    """A stream for each draw."""
    return np.stack([uniforms(0, str(draw), 0, LENGTH) for draw in range(draws)])


@pytest.mark.parametrize("temperature", [0, 0.3, 1.0])
def test_branches_read_the_logits_of_a_plain_pass_over_each_draw_alone(
    generator: LocalGenerator, temperature: float
) -> None:
    """Every logit within 1e-4 of one pass without cache, padding or batch; the tokens are those the noise picks."""
    counts = [4] * 6
    noise = own_noise(sum(counts))
    sampling = Sampling(temperature, max_new_tokens=LENGTH)
    found = record(generator, counts, noise, sampling)
    owners = np.repeat(np.arange(len(counts)), counts)
    for draw, tokens in enumerate(found.written):
        prompt = found.prompts[owners[draw]]
        with torch.inference_mode():
            plain = generator.model(torch.tensor([[*prompt, *tokens.tolist()]]), use_cache=False).logits[0]
        plain = plain[len(prompt) - 1 : -1]
        torch.testing.assert_close(found.logits[draw], plain, atol=1e-4, rtol=0)
        assert torch.equal(found.logits[draw].argmax(-1), plain.argmax(-1))
        own = np.arange(len(tokens))
        assert choose(plain, noise[draw, : len(tokens)], own, sampling).tolist() == tokens.tolist()


def test_what_draws_write_alike_is_computed_once(generator: LocalGenerator) -> None:
    twins = np.repeat(own_noise(3), 5, axis=0)
    found = record(generator, [15], twins, Sampling(max_new_tokens=LENGTH))
    assert found.rows[0] == 1 and 1 < max(found.rows) <= 3
    assert [tokens.tolist() for tokens in found.written[:5]] == [found.written[0].tolist()] * 5
    greedy = record(generator, [8, 8], own_noise(16), Sampling(0, max_new_tokens=LENGTH))
    assert max(greedy.rows) == 2
    alone = record(generator, [15], own_noise(15), Sampling(max_new_tokens=LENGTH))
    assert max(alone.rows) > 8 and alone.rows[-1] < max(alone.rows), "branches part, and leave when they have ended"


@given(st.lists(st.integers(0, 6), min_size=1, max_size=12))
def test_new_branches_get_rows_0_to_n_and_stay_where_they_can(parents: list[int]) -> None:
    ordered = np.array(sorted(parents))
    rows = decoding._rows_for(ordered)
    assert sorted(rows.tolist()) == list(range(len(parents)))
    for parent in set(parents):
        if parent < len(parents):
            assert parent in rows[ordered == parent]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_the_softmax_says(temperature: float) -> None:
    """Chi-square over 4,000 draws; tokens that are expected less than 5 times are taken together."""
    draws = 4_000
    logits = 2 * torch.randn(1, 40, generator=torch.Generator().manual_seed(1))
    expected = draws * torch.softmax(logits[0].double() / temperature, -1).numpy()
    noise = np.concatenate([uniforms(1, "p", draw, 1) for draw in range(draws)])
    tokens = choose(logits, noise, np.zeros(draws, dtype=np.int64), Sampling(temperature))
    observed = np.bincount(tokens, minlength=40).astype(float)
    rare = expected < 5
    grouped = [np.append(values[~rare], values[rare].sum()) for values in (observed, expected)]
    assert chisquare(*(values[values > 0] for values in grouped)).pvalue > 0.001


def test_each_draw_reads_its_own_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.full((3, 5), float("-inf"))
    logits[[0, 1, 2], [4, 0, 2]] = 0.0
    branch_of = np.array([0, 0, 1, 2, 2, 2])
    noise = np.linspace(0, 0.999, 6, dtype=np.float32)
    whole = choose(logits, noise, branch_of, Sampling())
    assert whole.tolist() == [4, 4, 0, 2, 2, 2]
    assert choose(logits, noise, branch_of, Sampling(temperature=0)).tolist() == whole.tolist()
    monkeypatch.setattr(decoding, "_MOST_CHANCES", 10)
    assert choose(logits, noise, branch_of, Sampling()).tolist() == whole.tolist()


def test_top_p_drops_the_tail_and_keeps_the_rest_in_proportion() -> None:
    logits = torch.tensor([[0.05, 0.5, 0.15, 0.3]]).log()
    noise = np.linspace(0, 1 - 2**-24, 4_001, dtype=np.float32)

    def shares(top_p: float) -> list[float]:
        tokens = choose(logits, noise, np.zeros(len(noise), dtype=np.int64), Sampling(top_p=top_p))
        return [float((tokens == token).mean()) for token in range(4)]

    assert shares(1.0) == pytest.approx([0.05, 0.5, 0.15, 0.3], abs=0.001)
    assert shares(0.9) == pytest.approx([0, 0.5 / 0.95, 0.15 / 0.95, 0.3 / 0.95], abs=0.001)
    assert shares(0.7) == pytest.approx([0, 0.625, 0, 0.375], abs=0.001)
    assert shares(0.4) == shares(1e-6) == [0, 1, 0, 0]


def test_tokens_without_a_chance_are_never_drawn() -> None:
    logits = torch.full((1, 50), float("-inf"))
    logits[0, [7, 20]] = torch.tensor([0.0, 0.3])
    noise = np.array([0.0, 0.5, 1 - 2**-24], dtype=np.float32)
    assert choose(logits, noise, np.zeros(3, dtype=np.int64), Sampling()).tolist() == [7, 20, 20]
