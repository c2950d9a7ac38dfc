"""Makes the embedded generator: a small Llama trained from nothing on careless solutions of the arithmetic world.

It is made once, by `python scripts/train_demo_generator.py FOLDER`, and shipped; the studies' other sizes and a more
careful generator are made in the same way (`BASES`). What was decided and why (docs/log.md has the runs):
- Words and numbers up to the world's largest are single tokens; all other text falls back to bytes.
- Muon for the matrices, AdamW for the rest: three times fewer tokens to the same loss than AdamW alone.
- Short stories first: without them, finding the clause that a step speaks of takes most of the training.
- The loop is written out here because two optimisers don't fit the Trainer.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from stepward.models import load_causal_lm, load_tokenizer
from stepward.problems.arithmetic.dataset import LEVELS, stories
from stepward.problems.arithmetic.story import careless_solution
from stepward.records import join_steps
from stepward.rendering import Renderer
from stepward.storage.files import refuse_filled

SPECIAL = ("<pad>", "<s>", "</s>")
_SEGMENTS = Regex(r"\n| ?[A-Za-z]+| ?[0-9]+| ?[^A-Za-z0-9\s]+|\s+")


@dataclass(frozen=True)
class Round:
    """A part of the training, with stories and optimisers of its own.

    Attributes:
        steps: Optimiser steps.
        stories: Distinct stories to draw from. Each chunk of batches is a draw of its own, so some come again early.
        rate: The learning rate's peak, reached after 100 steps and falling along a cosine to 2% of it.
        levels: The stories' levels, in turn.
        curriculum: Until these shares of the steps, only stories up to these levels.
    """

    steps: int
    stories: int
    rate: float
    levels: tuple[int, ...] = LEVELS
    curriculum: tuple[tuple[float, int], ...] = ((1.0, max(LEVELS)),)


ROUNDS = (
    Round(3_200, 150_000, 5e-3, curriculum=((0.12, 2), (0.25, 3), (1.0, 5))),
    # The first round learns one person's stories as far as they can be, but not whose count a line takes up.
    Round(1_500, 72_000, 4e-3, levels=(1, 4, 5, 2, 4, 5, 3, 4, 5)),
)


@dataclass(frozen=True)
class Settings:
    """What decides the embedded generator.

    Attributes:
        seed: Decides the stories, their misreadings, the weights and the order.
        rounds: What it is trained on, one after the other.
        batch: Solutions a step.
        slip: Chance that a line's arithmetic is off, in the training solutions.
        care: How much rarer misreadings are in them than the wordings say, in [0, 1].
        tokenizer: The folder of a generator whose tokenizer is taken; None: one is trained.
        start: The folder of a generator to go on from, with its size and tokenizer; None: from nothing.
        hidden: Width; a multiple of the head size.
        layers: Depth.
        inner: Width of the feed-forward layers.
        head: Size of an attention head; vLLM's CPU build needs a multiple of 32.
    """

    seed: int = 0
    rounds: tuple[Round, ...] = ROUNDS
    batch: int = 48
    slip: float = 0.01
    care: float = 0.0
    tokenizer: Path | None = None
    start: Path | None = None
    hidden: int = 96
    layers: int = 5
    inner: int = 256
    head: int = 32


_SHIPPED = Path(str(resources.files("stepward"))) / "embedded"
_ALIKE = Settings(
    rounds=(Round(450, 14_400, 5e-3, levels=(1, 2, 3), curriculum=((0.15, 2), (1.0, 3))),),
    batch=32,
    tokenizer=_SHIPPED,
)

BASES = {
    "0.2m": replace(_ALIKE, hidden=64, layers=4, inner=128),
    "0.6m": replace(_ALIKE, hidden=96, layers=5, inner=256),
    "1.6m": replace(_ALIKE, hidden=160, layers=5, inner=416),
    "4m": replace(_ALIKE, hidden=256, layers=5, inner=680),
    "careful": Settings(seed=7, rounds=(Round(120, 3_840, 1e-3),), batch=32, care=0.5, start=_SHIPPED),
}
"""What the studies start from beside the embedded generator, by name.

The four sizes are trained from nothing on the same short stories in the same order: they differ in nothing but size.
`careful` goes on from the embedded generator, on solutions with half the misreadings: it is the stronger generator.
"""


@dataclass(frozen=True)
class _Example:
    """One training sequence: the prompt's ids, then the solution's with the end token, and the story's level."""

    prompt: list[int]
    solution: list[int]
    level: int

    def __len__(self) -> int:
        return len(self.prompt) + len(self.solution)


def make(folder: Path, settings: Settings, report: Callable[[int, float], None] = lambda step, loss: None) -> None:
    """Trains the generator and saves it with its tokenizer as a transformers folder.

    Args:
        folder: Where to save.
        settings: What to train.
        report: Called after every step with the step's number and its loss.
    """
    texts = _texts(settings, 0)
    tokenizer = _tokenizer(settings, texts)
    torch.manual_seed(settings.seed)
    start = settings.start
    model = LlamaForCausalLM(_config(settings, tokenizer)) if start is None else load_causal_lm(start)
    for number in range(len(settings.rounds)):
        train_round(model, tokenizer, texts if number == 0 else _texts(settings, number), settings, number, report)
    model.generation_config.do_sample = True
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _tokenizer(settings: Settings, texts: list["Text"]) -> PreTrainedTokenizerFast:
    taken = settings.start or settings.tokenizer
    if taken is not None:
        tokenizer: PreTrainedTokenizerFast = load_tokenizer(taken)
        return tokenizer
    return train_tokenizer([question + "\n" + join_steps(written) for question, written, _ in texts[:20_000]])


Text = tuple[str, list[str], int]
"""A problem's text, a careless solution of it, and its level."""


def _texts(settings: Settings, number: int) -> list[Text]:
    seed, this = settings.seed + 1_000 * number, settings.rounds[number]
    found = []
    for index, story in enumerate(islice(stories("generator", seed, this.levels), this.stories)):
        written = careless_solution(story, Random(f"{seed}/{index}"), settings.slip, settings.care)
        found.append((story.text, written, this.levels[index % len(this.levels)]))
    return found


def _solution_ids(renderer: Renderer, tokenizer: Any, question: str, written: list[str]) -> list[int]:
    prompt = len(renderer.prompt(question))
    return [*renderer.solution(question, written).ids[prompt:], tokenizer.eos_token_id]


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE in which every word and number of the texts is one token, and anything else is bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_SEGMENTS, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4_000,
        min_frequency=2,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    pad, bos, eos = SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=pad, bos_token=bos, eos_token=eos, clean_up_tokenization_spaces=False
    )


def _config(settings: Settings, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    heads = settings.hidden // settings.head
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden,
        intermediate_size=settings.inner,
        num_hidden_layers=settings.layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=settings.head,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        rms_norm_eps=1e-5,
    )


def train_round(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    texts: list[Text],
    settings: Settings,
    number: int,
    report: Callable[[int, float], None],
) -> None:
    """Trains for one round."""
    renderer = Renderer(tokenizer)
    examples = [
        _Example(renderer.prompt(question), _solution_ids(renderer, tokenizer, question, written), level)
        for question, written, level in texts
    ]
    matrices = [weight for name, weight in model.named_parameters() if weight.ndim == 2 and "embed" not in name]
    others = [weight for name, weight in model.named_parameters() if weight.ndim != 2 or "embed" in name]
    this, done = settings.rounds[number], sum(before.steps for before in settings.rounds[:number])
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=this.rate, momentum=0.95, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=this.rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    model.train()
    for step, batch in enumerate(_batches(examples, settings, number)):
        share = step / this.steps
        scale = min(1.0, (step + 1) / 100) * (0.98 * 0.5 * (1 + math.cos(math.pi * share)) + 0.02)
        loss = _loss(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = this.rate * scale
            optimizer.step()
            optimizer.zero_grad()
        report(done + step + 1, loss.item())


def _loss(model: LlamaForCausalLM, batch: list[_Example]) -> torch.Tensor:
    """Mean cross-entropy over the tokens of the solutions; what a problem says next can't be foreseen."""
    longest = max(map(len, batch))
    ids = torch.zeros((len(batch), longest), dtype=torch.long)
    wanted = torch.zeros((len(batch), longest), dtype=torch.bool)
    for row, example in enumerate(batch):
        start = len(example.prompt)
        ids[row, : len(example)] = torch.tensor(example.prompt + example.solution)
        wanted[row, start : len(example)] = True
    hidden = model.model(ids, use_cache=False).last_hidden_state[:, :-1]
    return cross_entropy(model.lm_head(hidden[wanted[:, 1:]]), ids[:, 1:][wanted[:, 1:]])


def _batches(examples: list[_Example], settings: Settings, number: int) -> Iterator[list[_Example]]:
    """Shuffled batches of like lengths, as the round's curriculum allows."""
    order = np.random.default_rng(settings.seed + number)
    levels = np.array([example.level for example in examples])
    lengths = np.array([len(example) for example in examples])
    this, done = settings.rounds[number], 0
    for until, level in this.curriculum:
        allowed = np.flatnonzero(levels <= level)
        last = round(until * this.steps)
        while done < last:
            # Sorting within a chunk of many batches cuts padding to a few percent and keeps the order random.
            chunk = order.permutation(allowed)[: 20 * settings.batch]
            chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
            groups = [chunk[start : start + settings.batch] for start in range(0, len(chunk), settings.batch)]
            for group in order.permutation(len(groups)):
                if done < last:
                    yield [examples[index] for index in groups[group]]
                    done += 1


def main(words: Sequence[str] | None = None) -> None:
    """Trains the embedded generator (about an hour on one core), or a base of the studies (minutes)."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where the model goes")
    parser.add_argument("--base", choices=BASES, help="a model that the studies start from")
    parser.add_argument("--seed", type=int, help="decides everything random in it")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    args = parser.parse_args(words)
    refuse_filled(args.folder)  # better now than after an hour
    torch.set_num_threads(args.threads)
    settings = Settings() if args.base is None else BASES[args.base]
    settings = settings if args.seed is None else replace(settings, seed=args.seed)
    steps = sum(one.steps for one in settings.rounds)

    def report(step: int, loss: float) -> None:
        if step % 50 == 0 or step == steps:
            print(f"step {step} of {steps}, loss {loss:.4f}", flush=True)

    make(args.folder, settings, report)


if __name__ == "__main__":
    main()
