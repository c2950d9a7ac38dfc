"""The embedded engine: transformers on this machine, for the CPU and for small models.

A prompt's prefix is computed once for all its draws, and so is whatever they go on to write alike (`decoding`).

How far batching changes what a record gets: each draw follows its own stream of uniform numbers (`uniforms`), so the
batch decides only the rounding of the logits, about 1e-6. A token changes where a uniform number falls within that of
a boundary between two tokens; tests/generation measures it. The same prompts in the same call give the same text.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.generation.decoding import decode
from stepward.generation.protocol import Completion, Prompt, Sampling, uniforms
from stepward.models import load_causal_lm, load_tokenizer
from stepward.rendering import Renderer, Rendering

MAX_DRAWS = 1024
"""Draws decoded together. Branches, and so rows of the batch, are fewer."""

_MOST_TEXTS = 200_000
"""Decoded texts that are remembered: many draws are equal."""


class LocalGenerator:
    """Draws completions with a causal language model in a local folder.

    Args:
        folder: A transformers model folder with its tokenizer.
        rendering: How a prefix becomes tokens.
        name: The name that records carry; the folder's name by default.
        device: A torch device; a GPU where there is one, if not given.

    Raises:
        StepwardError: The folder holds no model or no tokenizer.
    """

    def __init__(
        self,
        folder: str | Path,
        rendering: Rendering | None = None,
        name: str | None = None,
        device: str | None = None,
    ) -> None:
        self.name = name or Path(folder).name
        self.tokenizer = load_tokenizer(folder)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = load_causal_lm(folder).to(self.device).eval()
        self.renderer = Renderer(self.tokenizer, rendering or Rendering())
        ends = self.model.generation_config.eos_token_id
        ends = self.tokenizer.eos_token_id if ends is None else ends
        self.ends = np.array(sorted({ends} if isinstance(ends, int) else set(ends or [])), dtype=np.int64)
        self._texts: dict[bytes, str] = {}

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        """Draws `prompt.count` completions for each prompt, in the order of the prompts.

        Raises:
            StepwardError: A prompt with `max_new_tokens` more is longer than the model's context.
        """
        ids = [self.renderer.prefix(prompt.question, prompt.steps) for prompt in prompts]
        self._check_lengths(prompts, ids, sampling)
        found: list[list[Completion]] = [[] for _ in prompts]
        # Prompts of like length share a batch: padding is work.
        order = sorted(range(len(prompts)), key=lambda index: (len(ids[index]), index))
        for batch in _batches(order, [prompt.count for prompt in prompts]):
            draws = [(index, draw) for index, first, count in batch for draw in range(first, first + count)]
            limit = sampling.max_new_tokens
            noise = np.stack([uniforms(seed, prompts[index].id, draw, limit) for index, draw in draws])
            counts = [count for _, _, count in batch]
            started = [ids[index] for index, _, _ in batch]
            tokens = decode(self.model, started, counts, noise, self.ends, sampling, self.device)
            for (index, _), row in zip(draws, tokens, strict=True):
                found[index].append(self._completion(row))
        return found

    def _check_lengths(self, prompts: Sequence[Prompt], ids: list[list[int]], sampling: Sampling) -> None:
        context = getattr(self.model.config, "max_position_embeddings", None)
        for prompt, tokens in zip(prompts, ids, strict=True):
            if context and len(tokens) + sampling.max_new_tokens > context:
                raise StepwardError(
                    f"prompt {prompt.id} has {len(tokens)} tokens and {sampling.max_new_tokens} may follow, but "
                    f"{self.name}'s context holds {context}: lower max_new_tokens or leave the problem out"
                )

    def _completion(self, row: NDArray[np.int64]) -> Completion:
        finished = bool(np.isin(row[-1], self.ends))
        key = row.tobytes()
        if key not in self._texts:
            if len(self._texts) >= _MOST_TEXTS:
                self._texts.clear()
            self._texts[key] = str(self.tokenizer.decode(row.tolist(), skip_special_tokens=True))
        return Completion(self._texts[key], finished)


def _batches(order: list[int], counts: list[int]) -> list[list[tuple[int, int, int]]]:
    """Splits prompts into batches of at most MAX_DRAWS draws, as (prompt, first draw, draws)."""
    batches: list[list[tuple[int, int, int]]] = [[]]
    room = MAX_DRAWS
    for index in order:
        first = 0
        while first < counts[index]:
            if room == 0:
                batches.append([])
                room = MAX_DRAWS
            taken = min(room, counts[index] - first)
            batches[-1].append((index, first, taken))
            first, room = first + taken, room - taken
    return [batch for batch in batches if batch]
