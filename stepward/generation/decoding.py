"""Decodes many draws together, computing once what several draws have written alike.

Draws of one prompt that have written the same tokens so far are one *branch*: one row of the batch, whose next-token
distribution is computed once and read by each draw at its own uniform number. A branch splits where its draws choose
different tokens, and leaves the batch when all of them have ended. Nothing a draw gets depends on whom it shares a
branch with, and a confident model needs several times fewer rows than there are draws.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import Cache

from stepward.generation.cache import move_rows, roomy_cache
from stepward.generation.protocol import Sampling

_MOST_CHANCES = 1 << 25
"""Probabilities held at once when draws choose: bounds the memory of draws times vocabulary."""


@dataclass
class Branches:
    """The rows of a batch.

    Attributes:
        model: The causal language model.
        cache: Keys and values, a row a branch.
        seen: Which cached positions are tokens rather than padding, [branch, position] with room for all to come.
        used: How many positions of `seen` are in the cache.
        lengths: Tokens of each branch, [branch].
        logits: Of each branch's next token, [branch, vocabulary].
    """

    model: torch.nn.Module
    cache: Cache
    seen: torch.Tensor
    used: int
    lengths: torch.Tensor
    logits: torch.Tensor

    @classmethod
    def start(cls, model: torch.nn.Module, prompts: list[list[int]], room: int, device: torch.device) -> "Branches":
        """Reads the prompts, a branch each, padded on the left.

        Args:
            model: The causal language model.
            prompts: Token ids.
            room: Most tokens that will be appended.
            device: Where the model is.
        """
        longest = max(map(len, prompts))
        tokens = torch.zeros((len(prompts), longest), dtype=torch.long)
        seen = torch.zeros((len(prompts), longest + room), dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            tokens[row, longest - len(prompt) :] = torch.tensor(prompt)
            seen[row, longest - len(prompt) :] = True
        tokens, seen = tokens.to(device), seen.to(device)
        real = seen[:, :longest]
        # A padding position attends to itself alone, since a row of nothing would be NaN.
        causal = torch.ones((longest, longest), dtype=torch.bool, device=device).tril()
        mask = (causal & real[:, None, :]) | torch.eye(longest, dtype=torch.bool, device=device)
        cache = roomy_cache()
        found = model(
            input_ids=tokens,
            attention_mask=mask[:, None],
            position_ids=(real.cumsum(1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return cls(model, cache, seen, longest, real.sum(1), found.logits[:, -1])

    def advance(self, parents: NDArray[np.int64], tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Goes on with one token appended to each of some branches; the others are dropped.

        Args:
            parents: The branch that each new one continues, sorted, [new].
            tokens: The token it appends, [new].

        Returns:
            The row of each new branch, [new].
        """
        rows = _rows_for(parents)
        source = np.empty(len(rows), dtype=np.int64)
        source[rows] = parents
        moved = np.flatnonzero(source != np.arange(len(rows)))
        if len(moved) or len(rows) < len(self.lengths):
            device = self.lengths.device
            origin = torch.from_numpy(source).to(device)
            targets = torch.from_numpy(moved).to(device)
            move_rows(self.cache, targets, origin[targets], len(rows))
            self.seen, self.lengths = self.seen[origin], self.lengths[origin]
        appended = np.empty(len(rows), dtype=np.int64)
        appended[rows] = tokens
        self._append(torch.from_numpy(appended).to(self.lengths.device))
        return rows

    def _append(self, tokens: torch.Tensor) -> None:
        self.used += 1
        found = self.model(
            input_ids=tokens[:, None],
            attention_mask=self.seen[:, None, None, : self.used],
            position_ids=self.lengths[:, None],
            past_key_values=self.cache,
            use_cache=True,
        )
        self.lengths = self.lengths + 1
        self.logits = found.logits[:, -1]


def _rows_for(parents: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows 0..n-1 for n new branches, so that as many as can be stay in their parent's row."""
    count = len(parents)
    first = np.r_[True, parents[1:] != parents[:-1]]
    stays = first & (parents < count)
    rows = np.full(count, -1, dtype=np.int64)
    rows[stays] = parents[stays]
    rows[~stays] = np.setdiff1d(np.arange(count), rows[stays], assume_unique=True)
    return rows


@torch.inference_mode()
def decode(
    model: torch.nn.Module,
    prompts: list[list[int]],
    counts: list[int],
    noise: NDArray[np.float32],
    ends: NDArray[np.int64],
    sampling: Sampling,
    device: torch.device,
) -> list[NDArray[np.int64]]:
    """Draws continuations of prompts.

    Args:
        model: The causal language model.
        prompts: Token ids of each prompt.
        counts: How many draws each prompt gets.
        noise: A uniform number in [0, 1) for each draw and token, [draw, token]; draws in the prompts' order.
        ends: The tokens that end a draw.
        sampling: How tokens are chosen.
        device: Where the model is.

    Returns:
        The tokens of each draw with its end token; a draw that ran into the limit has none.
    """
    branches = Branches.start(model, prompts, sampling.max_new_tokens, device)
    written = np.full((len(noise), sampling.max_new_tokens), -1, dtype=np.int64)
    draws = np.arange(len(noise))
    branch_of = np.repeat(np.arange(len(prompts)), counts)
    for position in range(sampling.max_new_tokens):
        tokens = choose(branches.logits, noise[draws, position], branch_of, sampling)
        written[draws, position] = tokens
        going = ~np.isin(tokens, ends)
        draws, branch_of, tokens = draws[going], branch_of[going], tokens[going]
        if len(draws) == 0 or position + 1 == sampling.max_new_tokens:
            break
        pairs = np.stack([branch_of, tokens], axis=1)
        distinct, index = np.unique(pairs, axis=0, return_inverse=True)
        branch_of = branches.advance(distinct[:, 0], distinct[:, 1])[index.reshape(-1)]
    return [row[: int((row >= 0).sum())] for row in written]


def choose(
    logits: torch.Tensor, noise: NDArray[np.float32], branch_of: NDArray[np.int64], sampling: Sampling
) -> NDArray[np.int64]:
    """Draws a token a draw by inverting its branch's cumulative distribution at the draw's uniform number.

    Args:
        logits: [branch, vocabulary].
        noise: Uniform numbers in [0, 1), [draw].
        branch_of: The branch of each draw, [draw].
        sampling: Temperature and top_p.

    Returns:
        Token ids, [draw].
    """
    if sampling.temperature == 0:
        return np.asarray(logits.argmax(-1).cpu().numpy()[branch_of])
    cumulative = _chances(logits, sampling).cumsum(-1)
    rows = torch.from_numpy(branch_of).to(logits.device)
    points = torch.from_numpy(noise).to(logits.device)
    tokens = torch.empty(len(rows), dtype=torch.long, device=logits.device)
    part = max(1, _MOST_CHANCES // logits.shape[-1])
    for start in range(0, len(rows), part):
        own = cumulative[rows[start : start + part]]
        # Scaled by the true total, so that rounding can't put the point past the last token; a token of chance 0 is
        # never drawn because the search is for the first total above the point.
        at = points[start : start + part, None] * own[:, -1:]
        tokens[start : start + part] = torch.searchsorted(own, at, right=True).squeeze(1)
    return np.asarray(tokens.clamp(max=logits.shape[-1] - 1).cpu().numpy())


def _chances(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Next-token probabilities, [branch, vocabulary], with the tail that top_p drops at 0."""
    chances = torch.softmax(logits.float() / sampling.temperature, -1)
    if sampling.top_p < 1:
        ordered, places = chances.sort(-1, descending=True)
        dropped = ordered.cumsum(-1) - ordered >= sampling.top_p
        chances = chances.scatter(-1, places, ordered.masked_fill(dropped, 0))
    return chances
