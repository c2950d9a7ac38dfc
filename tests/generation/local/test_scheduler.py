"""Decoding by the tree gives what a plain pass over each draw alone gives, and reads each distinct path once."""

from collections import deque
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stepward.generation.interface import Sampling, uniforms
from stepward.generation.local.engine import LocalGenerator
from stepward.generation.local.sampler import SamplingTable
from stepward.generation.local.scheduler import Scheduler, SequenceGroup

LENGTH = 24


@dataclass
class Recorded:
    """What one decoding wrote for each (place, draw), and the logits of each node as they were read."""

    written: dict[tuple[int, int], NDArray[np.int64]]
    logits: dict[int, torch.Tensor]
    reads: list[int]


def record(generator: LocalGenerator, starts: list[SequenceGroup], sampling: Sampling) -> Recorded:
    """Decodes with an empty memory and keeps what is read."""
    reader = generator.reader
    reader.clear()
    logits: dict[int, torch.Tensor] = {}
    reads: list[int] = []
    put = SamplingTable.put

    def putting(chances: SamplingTable, nodes: NDArray[np.int64], found: torch.Tensor, sampling: Sampling) -> None:
        reads.extend(nodes.tolist())
        logits.update(zip(nodes.tolist(), found.clone(), strict=True))
        put(chances, nodes, found, sampling)

    written = {}
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(SamplingTable, "put", putting)
        batch = Scheduler(reader, sampling, 0, generator.ends, lambda row: False)
        queue = deque(starts)
        while queue or len(batch):
            batch.admit(queue, 10_000)
            assert batch.has_capacity()
            written.update({(place, number): row for place, number, row in batch.step()})
    return Recorded(written, logits, reads)


def starts_of(generator: LocalGenerator, count: int) -> list[SequenceGroup]:
    """Six prompts of three lengths, one of them going on from another, with some draws each."""
    texts = [("abc" * (1 + index % 3) + " 1", ("ab.",) * (index // 3)) for index in range(6)]
    return [
        SequenceGroup(f"p{place}", tuple(generator.prompter.ids(question, steps)), range(count), place)
        for place, (question, steps) in enumerate(texts)
    ]


@pytest.mark.parametrize("temperature", [0, 0.3, 1.0])
def test_draws_follow_the_logits_of_a_plain_pass_over_each_draw_alone(
    generator: LocalGenerator, temperature: float
) -> None:
    """Every logit within 1e-4 of one pass without cache, padding or batch; the tokens are those the noise picks."""
    sampling = Sampling(temperature, max_new_tokens=LENGTH)
    starts = starts_of(generator, 4)
    found = record(generator, starts, sampling)
    assert sorted(found.written) == [(place, draw) for place in range(6) for draw in range(4)]
    for (place, draw), tokens in found.written.items():
        prompt = list(starts[place].tokens)
        with torch.inference_mode():
            plain = generator.model(torch.tensor([[*prompt, *tokens.tolist()]]), use_cache=False).logits[0]
        end, _ = generator.reader.tree.insert([*prompt, *tokens.tolist()[:-1]])
        path = generator.reader.tree.paths(np.array([end]))[0]
        read = torch.stack([found.logits[node] for node in path.tolist()])
        torch.testing.assert_close(read, plain[: len(read)], atol=1e-4, rtol=0)
        after = plain[len(prompt) - 1 : -1]
        alone = SamplingTable(plain.shape[1], False, torch.device("cpu"))
        nodes = np.arange(1, len(after) + 1)
        alone.put(nodes, after, sampling)
        noise = uniforms(0, starts[place].key, draw, LENGTH)
        assert alone.draw(nodes, noise[: len(after)]).tolist() == tokens.tolist()


def test_each_distinct_path_is_read_once(generator: LocalGenerator) -> None:
    starts = starts_of(generator, 8)
    found = record(generator, starts, Sampling(max_new_tokens=LENGTH))
    paths = {tuple(start.tokens[:end]) for start in starts for end in range(1, len(start.tokens) + 1)}
    for (place, _), tokens in found.written.items():
        # An end token, and the last before a cut, need not be read.
        paths |= {(*starts[place].tokens, *tokens[:end].tolist()) for end in range(len(tokens))}
    assert len(found.reads) == len(set(found.reads)) == len(paths)
    greedy = record(generator, starts, Sampling(0, max_new_tokens=LENGTH))
    assert all(
        np.array_equal(greedy.written[place, 0], greedy.written[place, draw]) for place in range(6) for draw in range(8)
    )


def test_parked_draws_begin_again(generator: LocalGenerator) -> None:
    generator.reader.clear()
    with torch.inference_mode():
        batch = Scheduler(generator.reader, Sampling(max_new_tokens=LENGTH), 0, generator.ends, lambda row: False)
        batch.admit(deque(starts_of(generator, 3)), 18)
        batch.step()
        held = len(batch)
        parked = batch.preempt()
    assert len(batch) == held // 2 and len(parked) == held - held // 2
    assert all(len(start.draws) == 1 for start in parked)
