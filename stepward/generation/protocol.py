"""What every engine takes and gives: prompts in, completions out, draws numbered so that they can be repeated."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prefix to be continued `count` times.

    Attributes:
        id: What the draws' randomness derives from, together with the seed: a problem's or a prefix's id.
        question: The problem's text.
        steps: The steps already written; empty for a whole solution.
        count: How many completions to draw.
    """

    id: str
    question: str
    steps: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn.

    Attributes:
        temperature: Divides the logits; 0 is greedy.
        top_p: Keeps the smallest set of tokens with at least this probability, in (0, 1].
        max_new_tokens: The longest completion, in tokens.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 128


@dataclass(frozen=True, slots=True)
class Completion:
    """A sampled continuation: its text after the prefix, and False in `finished` if the token limit cut it."""

    text: str
    finished: bool


class Generator(Protocol):
    """An engine. Completion j of a prompt depends on (seed, prompt.id, j) only, as far as its docstring promises."""

    name: str

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        """Draws `prompt.count` completions for each prompt, in the order of the prompts."""
        ...


def uniforms(seed: int, prompt_id: str, draw: int, length: int) -> NDArray[np.float32]:
    """The uniform numbers in [0, 1) that decide one draw, one a token: a function of seed, prompt and draw alone."""
    digest = hashlib.blake2b(f"{seed}\0{draw}\0{prompt_id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
    key = np.frombuffer(digest, dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).random(length, dtype=np.float32)
