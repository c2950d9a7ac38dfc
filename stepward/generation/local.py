"""The embedded engine: transformers on this machine, for the CPU and for small models.

A prompt's prefix is computed once and its cache forked for every draw; rows that have finished leave the batch.

How far batching changes what a record gets: each draw follows its own stream of uniform numbers (`uniforms`), so the
batch decides only the rounding of the logits, about 1e-6. A token changes where a uniform number falls within that of
a boundary between two tokens; tests/generation measures it. The same prompts in the same call give the same text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.generation.cache import roomy_cache
from stepward.generation.protocol import Completion, Prompt, Sampling, uniforms
from stepward.models import load_causal_lm, load_tokenizer
from stepward.rendering import Renderer, Rendering

MAX_ROWS = 256
"""Rows decoded together; the best of 64 to 1024 for the embedded generator on one core (docs/log.md)."""

_COMPACT = 0.75
"""The batch is compacted when fewer than this share of its rows are still being written."""


class LocalGenerator:
    """Draws completions with a causal language model in a local folder.

    Args:
        folder: A transformers model folder with its tokenizer.
        rendering: How a prefix becomes tokens.
        name: The name that records carry; the folder's name by default.
        device: A torch device.

    Raises:
        StepwardError: The folder holds no model or no tokenizer.
    """

    def __init__(
        self, folder: str | Path, rendering: Rendering | None = None, name: str | None = None, device: str = "cpu"
    ) -> None:
        self.name = name or Path(folder).name
        self.tokenizer = load_tokenizer(folder)
        self.model = load_causal_lm(folder).to(device).eval()  # type: ignore[arg-type]
        self.renderer = Renderer(self.tokenizer, rendering or Rendering())
        self.device = torch.device(device)
        ends = self.model.generation_config.eos_token_id
        ends = ends if ends is not None else self.tokenizer.eos_token_id
        self.ends = torch.tensor(sorted({ends} if isinstance(ends, int) else set(ends or [])), device=self.device)
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
            rows = [(index, draw) for index, first, count in batch for draw in range(first, first + count)]
            noise = np.stack(
                [uniforms(seed, prompts[index].id, draw, sampling.max_new_tokens) for index, draw in rows]
            )
            counts = [count for _, _, count in batch]
            tokens = self._decode([ids[index] for index, _, _ in batch], counts, noise, sampling)
            for (index, _), row in zip(rows, tokens, strict=True):
                found[index].append(self._completion(row, sampling))
        return found

    def _check_lengths(self, prompts: Sequence[Prompt], ids: list[list[int]], sampling: Sampling) -> None:
        context = getattr(self.model.config, "max_position_embeddings", None)
        for prompt, tokens in zip(prompts, ids, strict=True):
            if context and len(tokens) + sampling.max_new_tokens > context:
                raise StepwardError(
                    f"prompt {prompt.id} has {len(tokens)} tokens and {sampling.max_new_tokens} may follow, but "
                    f"{self.name}'s context holds {context}: lower max_new_tokens or leave the problem out"
                )

    @torch.inference_mode()
    def _decode(
        self, ids: list[list[int]], counts: list[int], noise: NDArray[np.float32], sampling: Sampling
    ) -> list[NDArray[np.int64]]:
        """Token ids of each row, without prompt; a row that was cut by the limit has no end token."""
        logits, state = self._prefill(ids, counts)
        written = np.full((len(noise), sampling.max_new_tokens), -1, dtype=np.int64)
        active = np.arange(len(noise))
        stream = torch.from_numpy(noise).to(self.device)
        for position in range(sampling.max_new_tokens):
            tokens = choose(logits, stream[active, position], sampling)
            written[active, position] = tokens.cpu().numpy()
            going = ~torch.isin(tokens, self.ends) & ~state.done
            state.done = ~going
            alive = int(going.sum())
            if alive == 0:
                break
            if alive < _COMPACT * len(active):
                kept = torch.nonzero(going).squeeze(1)
                state.keep(kept)
                active, tokens = active[kept.cpu().numpy()], tokens[kept]
            logits = state.step(self.model, tokens)
        return [row[: _length(row, self.ends.cpu().numpy())] for row in written]

    def _prefill(self, ids: list[list[int]], counts: list[int]) -> tuple[torch.Tensor, "_State"]:
        longest = max(map(len, ids))
        tokens = torch.zeros((len(ids), longest), dtype=torch.long)
        seen = torch.zeros((len(ids), longest), dtype=torch.bool)
        for row, prompt in enumerate(ids):
            tokens[row, longest - len(prompt) :] = torch.tensor(prompt)
            seen[row, longest - len(prompt) :] = True
        tokens, seen = tokens.to(self.device), seen.to(self.device)
        places = (seen.cumsum(1) - 1).clamp(min=0)
        # A padding position attends to itself alone, since a row of nothing would be NaN.
        causal = torch.ones((longest, longest), dtype=torch.bool, device=self.device).tril()
        mask = (causal & seen[:, None, :]) | torch.eye(longest, dtype=torch.bool, device=self.device)
        cache = roomy_cache()
        found = self.model(
            input_ids=tokens, attention_mask=mask[:, None], position_ids=places, past_key_values=cache,
            use_cache=True, logits_to_keep=1,
        )  # fmt: skip
        repeat = torch.repeat_interleave(
            torch.arange(len(ids), device=self.device), torch.tensor(counts, device=self.device)
        )
        cache.batch_select_indices(repeat)
        lengths = seen.sum(1)[repeat]
        state = _State(cache, seen[repeat], lengths, torch.zeros(len(repeat), dtype=torch.bool, device=self.device))
        return found.logits[:, -1][repeat], state

    def _completion(self, row: NDArray[np.int64], sampling: Sampling) -> Completion:
        finished = len(row) > 0 and bool(np.isin(row[-1], self.ends.cpu().numpy()))
        key = row.tobytes()
        if key not in self._texts:
            if len(self._texts) > 200_000:
                self._texts.clear()
            self._texts[key] = str(self.tokenizer.decode(row.tolist(), skip_special_tokens=True))
        return Completion(self._texts[key], finished)


@dataclass
class _State:
    """A batch being written: its cache, which cached positions each row sees, its lengths, and which rows are done."""

    cache: "torch.nn.Module | object"
    seen: torch.Tensor
    lengths: torch.Tensor
    done: torch.Tensor

    def keep(self, rows: torch.Tensor) -> None:
        """Drops all other rows."""
        self.cache.batch_select_indices(rows)  # type: ignore[union-attr]
        self.seen, self.lengths, self.done = self.seen[rows], self.lengths[rows], self.done[rows]

    def step(self, model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
        """Appends one token a row and gives the logits after it, [rows, vocabulary]."""
        self.seen = torch.cat([self.seen, torch.ones_like(self.seen[:, :1])], dim=1)
        found = model(
            input_ids=tokens[:, None], attention_mask=self.seen[:, None, None], position_ids=self.lengths[:, None],
            past_key_values=self.cache, use_cache=True,
        )  # fmt: skip
        self.lengths = self.lengths + 1
        logits: torch.Tensor = found.logits[:, -1]
        return logits


def choose(logits: torch.Tensor, noise: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Draws a token a row by inverting the cumulative distribution at the row's uniform number.

    Args:
        logits: [rows, vocabulary].
        noise: Uniform numbers in [0, 1), [rows].
        sampling: Temperature and top_p.

    Returns:
        Token ids, [rows].
    """
    if sampling.temperature == 0:
        return logits.argmax(-1)
    chances = torch.softmax(logits.float() / sampling.temperature, -1)
    if sampling.top_p < 1:
        ordered, places = chances.sort(-1, descending=True)
        dropped = ordered.cumsum(-1) - ordered >= sampling.top_p
        chances = chances.scatter(-1, places, ordered.masked_fill(dropped, 0))
    cumulative = chances.cumsum(-1)
    # Scaled by the true total, so that rounding can't put the number past the last token; a token of chance 0 is
    # never drawn because the search is for the first total above the number.
    points = noise[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, points, right=True).squeeze(1).clamp(max=logits.shape[-1] - 1)


def _batches(order: list[int], counts: list[int]) -> list[list[tuple[int, int, int]]]:
    """Splits prompts into batches of at most MAX_ROWS rows, as (prompt, first draw, draws)."""
    batches: list[list[tuple[int, int, int]]] = [[]]
    room = MAX_ROWS
    for index in order:
        first = 0
        while first < counts[index]:
            if room == 0:
                batches.append([])
                room = MAX_ROWS
            taken = min(room, counts[index] - first)
            batches[-1].append((index, first, taken))
            first, room = first + taken, room - taken
    return [batch for batch in batches if batch]


def _length(row: NDArray[np.int64], ends: NDArray[np.int64]) -> int:
    """Tokens of a row up to and with its first end token."""
    stops = np.flatnonzero(np.isin(row, ends) | (row < 0))
    if len(stops) == 0:
        return len(row)
    return int(stops[0]) + (1 if row[stops[0]] >= 0 else 0)
