"""Has a model read the nodes of a tree, many at once, within a bound of memory."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from stepward.errors import StepwardError
from stepward.generation.interface import Sampling
from stepward.generation.local.kv_cache import CacheView, PagedLayer, paged_cache
from stepward.generation.local.prefix_tree import Nodes, PrefixTree
from stepward.generation.local.sampler import SamplingTable

_PROBE = 4
"""Tokens that are read to learn what a slot takes."""


class CachedForward:
    """A model with what it has read.

    Args:
        model: The causal language model.
        device: Where it is.
        memory: Bytes for what is read and for reading it.

    Attributes:
        tree: What is read, or shall be.
        chances: What may follow it.
        vocabulary: Tokens there are.
        computed: Positions that were read since the start.
    """

    def __init__(self, model: torch.nn.Module, device: torch.device, memory: int) -> None:
        self.model = model
        self.device = device
        self.computed = 0
        self._window = CacheView()
        self._cache = paged_cache(self._window)
        config = model.config.get_text_config()  # type: ignore[operator, union-attr]
        self._hidden, self.vocabulary = int(config.hidden_size), int(config.vocab_size)
        slot = self._slot_bytes()
        row = 8 * self.vocabulary
        # Chances are kept with a token where they are about as small as its keys and values. Those of a large
        # vocabulary are not: a token from which more is drawn later is read once more instead.
        kept = row <= 2 * slot
        # Three quarters are for what is kept. Pools grow by doubling, and one of them is there twice meanwhile.
        most = max(1, int(0.75 * memory / (1.25 * slot + (1.5 * row if kept else 0))))
        self._work = memory // 4
        self.tree = PrefixTree(most)
        self.chances = SamplingTable(self.vocabulary, kept, device)

    def clear(self) -> None:
        """Forgets everything that was read."""
        self.tree = PrefixTree(self.tree.most)
        self.chances.forget()

    def read(self, chains: Sequence[list[int]], sampling: Sampling, *, draws: bool) -> None:
        """Reads chains of nodes, each of which goes on from a node that is read.

        Args:
            chains: Nodes in order, each the parent of the next.
            sampling: How tokens will be drawn after them.
            draws: Whether tokens are drawn after these now. Then they are of one node each.
        """
        for part in self._parts(chains):
            nodes = [node for chain in part for node in chain]
            logits = self._run(part, everywhere=self.chances.kept)
            if self.chances.kept:
                real = torch.tensor([place < len(chain) for chain in part for place in range(max(map(len, part)))])
                logits = logits.reshape(-1, logits.shape[-1])
                if len(nodes) < len(logits):
                    logits = logits[real.to(self.device)]
                self.chances.put(np.array(nodes, dtype=np.int64), logits, sampling)
            elif draws:
                self.chances.put(np.array(nodes, dtype=np.int64), logits[:, -1], sampling)
            self.tree.read[nodes] = True
            self.computed += len(nodes)

    def rows(self, nodes: Nodes) -> Nodes:
        """As many of these nodes, first those with the fewest tokens, as are read at once."""
        ordered = nodes[np.argsort(self.tree.depth[nodes], kind="stable")]
        lengths = self.tree.depth[ordered] + 1
        work = np.arange(1, len(ordered) + 1) * self._work_of(1, lengths)
        return np.asarray(ordered[: max(1, int((work <= self._work).sum()))])

    def _parts(self, chains: Sequence[list[int]]) -> Iterator[list[list[int]]]:
        """Chains of like length, as many at once as the memory for work allows."""
        part: list[list[int]] = []
        positions = 0
        for chain in sorted(chains, key=len):
            positions = max(positions, int(self.tree.depth[chain[-1]]) + 1)
            if part and (len(part) + 1) * self._work_of(len(chain), positions) > self._work:
                yield part
                part, positions = [], int(self.tree.depth[chain[-1]]) + 1
            part.append(chain)
        if part:
            yield part

    def _work_of(self, new: int, positions: Any) -> Any:
        """About how many bytes a row takes while it is read.

        That is one layer's gathered keys and values, the mask and the scores, the new tokens' hidden states, and their
        logits and chances.
        """
        chances = 20 * self.vocabulary * (new if self.chances.kept else 1)
        return positions * (3 * self._layer + 8 * new) + new * 64 * self._hidden + chances

    def _slot_bytes(self) -> int:
        """Bytes that a token takes in the cache, learnt by reading a few tokens.

        Raises:
            StepwardError: What the model gives by the cache is not what it gives without.
        """
        self._window.slots = _PROBE + 1
        self._window.written = torch.arange(1, _PROBE + 1, device=self.device)[None]
        self._window.paths = self._window.written
        positions = self._window.written - 1
        tokens = positions * 7 % self.vocabulary
        plain = self.model(input_ids=tokens, use_cache=False).logits[:, -1]
        for written in (self._window.written[:, :-1], self._window.written[:, -1:]):
            self._window.written = written
            self._window.paths = torch.arange(1, int(written[0, -1]) + 1, device=self.device)[None]
            read = self._forward(tokens[:, written[0] - 1], positions[:, written[0] - 1], 1)[:, -1]
        layers = [layer for layer in self._cache.layers if isinstance(layer, PagedLayer) and layer.is_initialized]
        tolerance = 1e-3 if plain.dtype == torch.float32 else 0.1
        if not layers or not torch.allclose(read, plain, rtol=tolerance, atol=tolerance * float(plain.abs().max())):
            raise StepwardError(
                "the model keeps more of what it has read than keys and values, or reads them otherwise than "
                "transformers 5.3 to 5.19 does; run it by engine: vllm or engine: server",
                code="unsupported",
            )
        self._layer = max(layer.slot_bytes for layer in layers)
        return sum(layer.slot_bytes for layer in layers)

    def _run(self, chains: list[list[int]], everywhere: bool) -> torch.Tensor:
        """The logits after the nodes of some chains, [chain, place, vocabulary], or [chain, 1, vocabulary]."""
        new = max(map(len, chains))
        written = np.zeros((len(chains), new), dtype=np.int64)
        for row, chain in enumerate(chains):
            written[row, : len(chain)] = chain
        ends = np.array([chain[-1] for chain in chains], dtype=np.int64)
        window = self._window
        window.slots = self.tree.slots
        window.written = torch.from_numpy(written).to(self.device)
        window.paths = torch.from_numpy(self.tree.paths(ends)).to(self.device)
        tokens = torch.from_numpy(self.tree.token[written]).to(self.device)
        positions = torch.from_numpy(np.maximum(self.tree.depth[written], 0)).to(self.device)
        return self._forward(tokens, positions, 0 if everywhere else 1)

    def _forward(self, tokens: torch.Tensor, positions: torch.Tensor, logits_to_keep: int) -> torch.Tensor:
        columns = torch.arange(self._window.paths.shape[1], device=self.device)
        found = self.model(
            input_ids=tokens,
            # A path's columns are its positions, so this is causal and leaves out what is behind a path's end.
            attention_mask=(columns <= positions[:, :, None])[:, None],
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=logits_to_keep,
        )
        logits: torch.Tensor = found.logits
        return logits
