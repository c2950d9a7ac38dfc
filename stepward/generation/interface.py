"""What every engine takes and gives: prompts in, completions out, draws numbered so that they can be repeated.

Draws are numbered a prompt: who asks for `count` draws from `first` on, and later for those after them, gets what he
would have got at once. So stopping early, going on after a stop and growing K all draw nothing twice.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stepward.errors import Code


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prefix to be continued `count` times.

    Attributes:
        id: What the draws' randomness derives from, together with the seed: a problem's or a prefix's id.
        question: The problem's text.
        steps: The steps already written; empty for a whole solution.
        count: How many completions to draw.
        first: The number of the first of them.
    """

    id: str
    question: str
    steps: tuple[str, ...]
    count: int
    first: int = 0


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn.

    Attributes:
        temperature: Divides the logits; 0 is greedy.
        top_p: Keeps the smallest set of tokens with at least this probability, in (0, 1].
        max_new_tokens: The longest completion, in tokens.
        stop: Texts that end a completion; what is given ends before the first of them.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 128
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """A sampled continuation.

    Attributes:
        text: What follows the prefix.
        finished: False where the token limit cut it; with no text, the limit came before the first word, as it does
            within a thought, or it is a thought and nothing else. Such a draw is a cut one and not an empty one.
        tokens: How many tokens it has, its end token among them.
        fault: Why the engine could not give it, empty where it could: `context`, `memory`, `filtered`, `refused: ...`
            or `failed: ...`, with a server's words. `failed_prompt` makes a record of it.
    """

    text: str
    finished: bool
    tokens: int = 0
    fault: str = ""


@dataclass(frozen=True, slots=True)
class FailedPrompt:
    """A prompt of which an engine could not give every draw, for who sets it aside.

    Attributes:
        id: The prompt's.
        code: `too_large` where it leaves no room in the context, `out_of_memory` in the engine's memory,
            `server_refused` where a filter or the server keeps it back, `unreachable` where every try failed.
        reason: The fault of the last draw that has one, in words.
        draws: Draws that were asked for.
        failed: Those that could not be given.
    """

    id: str
    code: Code
    reason: str
    draws: int
    failed: int


@dataclass(slots=True)
class Usage:
    """What an engine has done so far.

    Attributes:
        completions: Completions given, faulty ones not counted.
        generated: Tokens they have.
        computed: Positions that a model decoded for them; fewer than `generated` where draws share what they wrote.
            0 where the engine can't tell.
        prefilled: Tokens of prefixes that were read.
        reused: Tokens of prefixes that had not to be read, because an earlier read was kept.
        untold: Completions of prefixes by a server of which it can't be told whether it goes on from prefixes.
        requests: Calls of a server.
        errors: Failed calls, by kind; those that a later call made good are counted too.
        cost: Money spent, in the currency of the prices given; 0 without prices.
    """

    completions: int = 0
    generated: int = 0
    computed: int = 0
    prefilled: int = 0
    reused: int = 0
    untold: int = 0
    requests: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    cost: float = 0.0

    def since(self, before: "Usage") -> "Usage":
        """What was done after `before`, which is a copy of this meter taken earlier."""
        errors = {kind: count - before.errors.get(kind, 0) for kind, count in self.errors.items()}
        numbers = ("completions", "generated", "computed", "prefilled", "reused", "untold", "requests", "cost")
        return Usage(
            **{name: getattr(self, name) - getattr(before, name) for name in numbers},
            errors={kind: count for kind, count in errors.items() if count},
        )

    def copy(self) -> "Usage":
        """As it stands now."""
        return replace(self, errors=dict(self.errors))


class Generator(Protocol):
    """An engine. Completion j of a prompt depends on (seed, prompt.id, j) only, as far as its docstring promises."""

    @property
    def name(self) -> str:
        """What records carry."""

    @property
    def meter(self) -> Usage:
        """What it has done since it was made."""

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        """Draws `prompt.count` completions for each prompt, in the order of the prompts.

        A draw that can't be had for the prompt's own reasons is a `Completion` with a `fault`: one bad prompt never
        ends a call. `failed_prompt` tells of which prompts draws are lacking, and why.

        Raises:
            StepwardError: No prompt can be completed: no server, wrong key, another model than asked.
        """
        ...


_CODES: dict[str, Code] = {
    "context": "too_large", "memory": "out_of_memory",
    "filtered": "server_refused", "refused": "server_refused", "failed": "unreachable",
}  # fmt: skip
_REASONS = {
    "context": "its text and max_new_tokens are longer than the model's context",
    "memory": "its text and max_new_tokens don't fit into the engine's memory: raise its option memory",
    "filtered": "the server's content filter kept a draw back",
}


def failed_prompt(prompt: Prompt, drawn: Sequence[Completion]) -> FailedPrompt | None:
    """What an engine could not give of a prompt; None where it gave every draw."""
    faults = [one.fault for one in drawn if one.fault]
    if not faults:
        return None
    code = _CODES.get(faults[-1].partition(":")[0], "server_incompatible")
    return FailedPrompt(prompt.id, code, _REASONS.get(faults[-1], faults[-1]), len(drawn), len(faults))


def uniforms(seed: int, prompt_id: str, draw: int, length: int) -> NDArray[np.float32]:
    """The uniform numbers in [0, 1) that decide one draw, one a token: a function of seed, prompt and draw alone."""
    digest = hashlib.blake2b(f"{seed}\0{draw}\0{prompt_id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
    key = np.frombuffer(digest, dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).random(length, dtype=np.float32)


_BITS = 31
"""Servers differ in how wide a seed may be; all take 32 bits, and some keep the highest number for themselves."""


def draw_seed(seed: int, prompt_id: str, draw: int) -> int:
    """The seed of one draw: below 2^31 for draw 0, and one higher for each that follows."""
    digest = hashlib.blake2b(f"{seed}\0{prompt_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") % (1 << _BITS) + draw


def truncate_at_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """What stands before the first of the texts in `stop`, and whether one was found."""
    ends = [place for place in (text.find(one) for one in stop if one) if place >= 0]
    return (text[: min(ends)], True) if ends else (text, False)
