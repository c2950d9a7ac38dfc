"""The embedded engine: transformers on this machine, for the CPU, for one GPU, and for small models.

Every distinct path of tokens is read once (`tree`, `reading`): the question that prefixes share, the steps that
solutions share, and whatever draws write alike. What is read is kept for later calls as far as memory goes, since
labelling asks for the same prefixes in waves; a call that brings another question begins with an empty memory, so that
a unit of work gives the same records whatever the process did before.

How far batching changes what a record gets: each draw follows its own stream of uniform numbers (`uniforms`), so the
batch decides only the rounding of the logits, about 1e-6. A token changes where a uniform number falls within that of
a boundary between two tokens; tests/generation measures it. The same calls in the same order give the same text.

It rests on these calls of transformers, 5.3 to 5.19, and a test fails by their name when an upgrade changes them:
`DynamicLayer.lazy_initialization` and `update`, `Cache(layer_class_to_replicate=...)`, and a causal model's
`past_key_values`, `position_ids`, `logits_to_keep` and four-dimensional boolean `attention_mask`.
"""

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.generation.interface import Completion, Prompt, Sampling, Usage, truncate_at_stop
from stepward.generation.local.forward import CachedForward
from stepward.generation.local.scheduler import Scheduler, SequenceGroup
from stepward.generation.local.weights import Weights, put_weights
from stepward.generation.prompts import PromptBuilder, PromptTemplate
from stepward.generation.thoughts import without_thoughts
from stepward.models import load_causal_lm, load_tokenizer

_BATCH = 1024
_GIB = 1 << 30

GPU_SHARE = "STEPWARD_GPU_SHARE"
"""The environment variable that says which part of a GPU is this process's, where several share it."""

_MOST_TEXTS = 200_000
"""Decoded texts that are remembered: many draws are equal."""

_TAIL = 4
"""Tokens more than a stop text has bytes that are looked at for it: some have no text."""


class LocalGenerator:
    """Draws completions with a causal language model in a local folder.

    Args:
        folder: A transformers model folder with its tokenizer.
        prompting: What stands around a question.
        name: The name that records carry; the folder's name by default.
        device: A torch device; a GPU where there is one, if not given.
        dtype: What the weights are turned into.
        batch: Most draws under way together. Rows of a batch are fewer, since draws share.
        memory: GiB for what is read and for reading. If not given, six tenths of the memory that a GPU has free; of a
            machine's a quarter, but 2 at most.

    Raises:
        StepwardError: The folder holds no model or no tokenizer, the model names no token that ends a text, or an
            option is none that there is.
    """

    def __init__(
        self,
        folder: str | Path,
        prompting: PromptTemplate | None = None,
        *,
        name: str | None = None,
        device: str | None = None,
        dtype: Literal["float32", "bfloat16", "float16"] = "float32",
        batch: int = _BATCH,
        memory: float | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise StepwardError(
                f"options.{next(iter(unknown))}: no such option; expected one of device, dtype, batch, memory",
                code="unknown_name",
                field=f"options.{next(iter(unknown))}",
            )
        self.name = name or Path(folder).name
        self.meter = Usage()
        self.device = _device(device)
        weights = _dtype(dtype)
        self.batch = _whole("batch", batch)
        self.tokenizer = load_tokenizer(folder)
        self.prompter = PromptBuilder(self.tokenizer, prompting)
        self.model = load_causal_lm(folder).to(self.device, weights).eval()
        self.ends = _ends(folder, self.model, self.tokenizer)
        self._ends = frozenset(self.ends.tolist())
        self.context = _context(self.model.config)
        self._known_tokens = int(self.model.get_input_embeddings().weight.shape[0])
        with torch.inference_mode():
            self.reader = CachedForward(self.model, self.device, _bytes(memory, self.device))
        self._sampling: tuple[float, float] | None = None
        self._questions: set[str] = set()
        self._texts: dict[bytes, str] = {}

    @torch.inference_mode()
    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        """Draws `prompt.count` completions for each prompt, in the order of the prompts.

        A prompt that is longer than the context with `max_new_tokens` more gets completions with the fault `context`;
        one of which not even one draw fits into the memory given, `memory`.

        Raises:
            StepwardError: A prompt has no text, or a token that the model has no embedding for.
        """
        self._forget(prompts, sampling)
        ids = [tuple(self.prompter.ids(prompt.question, prompt.steps)) for prompt in prompts]
        self._check(ids)
        found: list[list[Completion | None]] = [[None] * prompt.count for prompt in prompts]
        queue: deque[SequenceGroup] = deque()
        for place in _ordered(prompts, ids):
            prompt = prompts[place]
            if fault := self._fault(len(ids[place]) + sampling.max_new_tokens):
                found[place] = [Completion("", False, fault=fault)] * prompt.count
            elif prompt.count:
                draws = range(prompt.first, prompt.first + prompt.count)
                queue.append(SequenceGroup(prompt.id, ids[place], draws, place))
        self._draw(queue, sampling, seed, prompts, found)
        return [[one for one in drawn if one is not None] for drawn in found]

    def _check(self, ids: Sequence[tuple[int, ...]]) -> None:
        highest = max((max(each, default=0) for each in ids), default=0)
        if highest >= self._known_tokens:
            raise StepwardError(
                f"{self.name}: the model knows {self._known_tokens} tokens but its tokenizer gives id {highest}: they "
                "don't belong together",
                code="mismatch",
                field="model",
            )

    def reset(self) -> None:
        """Forgets all that the model has read: to be called when its weights were changed in place."""
        self.reader.clear()
        self._questions = set()
        self._sampling = None

    def load_weights(self, weights: Weights) -> None:
        """Puts other weights into the model, and forgets all that the old ones read.

        Args:
            weights: A state dict, or a model folder. Its tokenizer is not looked at.

        Raises:
            StepwardError: They are those of another architecture; the engine is left as it was.
        """
        put_weights(self.model, weights)
        self.reset()

    def _fault(self, length: int) -> str:
        """Why a prompt with its completion can't be drawn; empty where it can."""
        if self.context and length > self.context:
            return "context"
        return "memory" if length > self.reader.tree.most else ""

    def _draw(
        self,
        queue: "deque[SequenceGroup]",
        sampling: Sampling,
        seed: int,
        prompts: Sequence[Prompt],
        found: list[list[Completion | None]],
    ) -> None:
        total = sum(len(start.tokens) for start in queue)
        batch = Scheduler(self.reader, sampling, seed, self.ends, lambda row: self._stops(row, sampling.stop))
        computed, most = self.reader.computed, self.batch
        while queue or len(batch):
            if len(batch) <= most // 2:
                batch.admit(queue, most)
            while not batch.has_capacity():
                most = max(1, len(batch) // 2)
                queue.extendleft(batch.preempt())
            for place, number, row in batch.step():
                found[place][number - prompts[place].first] = self._completion(row, sampling)
        self.meter.prefilled += batch.prefilled
        self.meter.reused += max(0, total - batch.prefilled)
        self.meter.computed += self.reader.computed - computed - batch.prefilled

    def _forget(self, prompts: Sequence[Prompt], sampling: Sampling) -> None:
        """Empties the memory for another question, and for whole solutions: prefixes are what waves ask again."""
        questions = {prompt.question for prompt in prompts}
        if not questions <= self._questions or not all(prompt.steps for prompt in prompts):
            self.reader.clear()
        self._questions = questions | self._questions if questions <= self._questions else questions
        if not all(prompt.steps for prompt in prompts):
            self._questions = set()
        chosen = (sampling.temperature, sampling.top_p)
        if chosen != self._sampling:
            self.reader.chances.forget()
        self._sampling = chosen
        self.reader.tree.touch()

    def _completion(self, row: NDArray[np.int64], sampling: Sampling) -> Completion:
        text, stopped = truncate_at_stop(self._text(row), sampling.stop)
        text, finished = without_thoughts(text, stopped or int(row[-1]) in self._ends)
        self.meter.completions += 1
        self.meter.generated += len(row)
        return Completion(text, finished, len(row))

    def _text(self, row: NDArray[np.int64]) -> str:
        """What tokens say. Bytes that are no UTF-8 become U+FFFD."""
        key = row.tobytes()
        if key not in self._texts:
            if len(self._texts) >= _MOST_TEXTS:
                self._texts.clear()
            self._texts[key] = str(self.tokenizer.decode(row.tolist(), skip_special_tokens=True))
        return self._texts[key]

    def _stops(self, row: NDArray[np.int64], stop: tuple[str, ...]) -> bool:
        """Whether a stop text ends with these tokens; only the last few are decoded, and all where those say so."""
        tail = row[-(max(len(one.encode()) for one in stop) + _TAIL) :]
        text = self._text(tail)
        return any(one in text for one in stop) and any(one in self._text(row) for one in stop)


def _ordered(prompts: Sequence[Prompt], ids: list[tuple[int, ...]]) -> list[int]:
    """Prompts of one question together, so that they share; and questions of like length, since padding is work."""
    longest: dict[str, int] = {}
    for prompt, tokens in zip(prompts, ids, strict=True):
        longest[prompt.question] = max(longest.get(prompt.question, 0), len(tokens))
    # The longest first: what is shorter lies on its path.
    return sorted(
        range(len(prompts)),
        key=lambda place: (longest[prompts[place].question], prompts[place].question, -len(ids[place]), ids[place]),
    )


def _ends(folder: str | Path, model: Any, tokenizer: Any) -> NDArray[np.int64]:
    """The tokens that end a text, as the generation config says, or else the tokenizer."""
    ends = model.generation_config.eos_token_id
    ends = tokenizer.eos_token_id if ends is None else ends
    found = sorted({ends} if isinstance(ends, int) else set(ends or []))
    if not found:
        raise StepwardError(
            f"{folder}: no token ends a text, so every completion would be cut; expected eos_token_id in "
            "generation_config.json, or eos_token in tokenizer_config.json",
            code="missing",
            file=folder,
            field="eos_token_id",
        )
    return np.array(found, dtype=np.int64)


def _context(config: Any) -> int | None:
    """The longest text that every layer sees as a whole; None where the model sets no bound."""
    text = config.get_text_config()
    bounds = [getattr(text, "max_position_embeddings", None)]
    # Layers that see a window only are read like the others, which is the same within the window.
    if getattr(text, "use_sliding_window", True):
        bounds += [getattr(text, "sliding_window", None), getattr(text, "attention_chunk_size", None)]
    return min((bound for bound in bounds if bound), default=None)


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise StepwardError(
            f"options.device: {name!r} is no device here; expected cpu, or cuda where there is one",
            code="bad_value",
            field="options.device",
        ) from error
    return device


def _dtype(name: str) -> torch.dtype:
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in known:
        raise StepwardError(
            f"options.dtype: {name!r} is none of {', '.join(known)}", code="unknown_name", field="options.dtype"
        )
    return known[name]


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise StepwardError(
            f"options.{name}: expected a whole number of at least 1, got {value!r}",
            code="bad_value",
            field=f"options.{name}",
        )
    return value


def _bytes(memory: Any, device: torch.device) -> int:
    if memory is None:
        if device.type == "cuda":
            share = float(os.environ.get(GPU_SHARE, 1.0))
            return int(0.6 * share * torch.cuda.mem_get_info(device)[0])
        return min(2 * _GIB, int(psutil.virtual_memory().available) // 4)
    if not isinstance(memory, (int, float)) or isinstance(memory, bool) or not memory > 0:
        raise StepwardError(
            f"options.memory: expected GiB above 0, got {memory!r}", code="bad_value", field="options.memory"
        )
    return int(memory * _GIB)
