"""Data, tokenizer and models for `benchmarks/training.py`: made by a seed, the same files for every side.

Lengths follow the published table of 272,226 outcome-labelled solutions (median 217, mean 258.64, 36 to 2,007 tokens):
a lognormal whose median and mean are the table's, clipped to its ends. Half of the variance (of the logarithm) lies
between problems, half between solutions of one problem; that split is a guess, as are the lengths of questions and
steps. How often solutions of one problem start with the same steps is published nowhere, so it is a parameter.

Words are drawn at random. A wrong step ends in a word that right steps hardly use, so that there is something to learn.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

Row = dict[str, Any]

VOCABULARY = 32_000
MEDIAN, MEAN, SHORTEST, LONGEST = 217, 258.64, 36, 2007
SPREAD = math.sqrt(2 * math.log(MEAN / MEDIAN))
BETWEEN = 0.5
SOLUTIONS = 15
GOLDEN = (math.sqrt(5) - 1) / 2
STEP = (20, 60)
LEAST_STEP = 8
SPECIAL = ("<unk>", "<s>", "</s>", "<pad>")
# A wrong step's last word is one of the first so many.
TELLING = 64
WRONG_STEP = 0.17
PAIR_PART = "\n"


@dataclass(frozen=True)
class Shape:
    """How the data are made.

    Attributes:
        seed: Of everything drawn.
        shared_steps: The chance that a solution's first step is its problem's usual one, and, if it is, its second.
        question: Fewest and most tokens of a question, where the shortest solution leaves room for it.
    """

    seed: int = 0
    shared_steps: float = 0.3
    question: tuple[int, int] = (60, 110)


@dataclass(frozen=True)
class Attempt:
    """A solution: its words step by step, and whether each step is right; all after the first wrong one are wrong."""

    question: list[str]
    steps: list[list[str]]
    labels: list[int]

    @property
    def tokens(self) -> int:
        """Of the stepwise row: a first token, the question, and each step with its separator."""
        return 1 + len(self.question) + sum(len(step) + 1 for step in self.steps)


def problems(count: int, shape: Shape, first: int = 0) -> list[list[Attempt]]:
    """`[problem][solution]`; problem number i is the same whatever `first` and `count` are."""
    return [_problem(first + index, shape) for index in range(count)]


def _problem(number: int, shape: Shape) -> list[Attempt]:
    # Lengths have their own stream: they stay the same when `shared_steps` changes.
    sizes, words = (np.random.default_rng([shape.seed, number, stream]) for stream in (0, 1))
    # Spread evenly over the distribution, problem after problem and within each, so that few problems show it too.
    place = (np.random.default_rng(shape.seed).random() + number * GOLDEN) % 1
    places = (sizes.permutation(SOLUTIONS) + sizes.random(SOLUTIONS)) / SOLUTIONS
    own = np.array([NormalDist().inv_cdf(float(one)) for one in places])
    exponents = math.sqrt(BETWEEN) * NormalDist().inv_cdf(place) + math.sqrt(1 - BETWEEN) * own
    totals = np.clip(np.exp(math.log(MEDIAN) + SPREAD * exponents), SHORTEST, LONGEST).round().astype(int)
    room = int(totals.min()) - 1 - LEAST_STEP
    question = _draw(words, min(int(sizes.integers(shape.question[0], shape.question[1] + 1)), room))
    usual = [_draw(words, int(sizes.integers(*STEP)) - 1) for _ in range(2)]
    return [_attempt(question, int(total), usual, shape.shared_steps, words) for total in totals]


def _attempt(
    question: list[str], total: int, usual: Sequence[list[str]], shared_steps: float, words: np.random.Generator
) -> Attempt:
    left = total - 1 - len(question)
    steps: list[list[str]] = []
    for step in usual:
        if words.random() >= shared_steps or left - len(step) - 1 < LEAST_STEP:
            break
        steps.append(step)
        left -= len(step) + 1
    shared = len(steps)
    while left:
        size = int(words.integers(*STEP))
        size = left if left - size < LEAST_STEP else size
        steps.append(_draw(words, size - 1))
        left -= size
    wrong = words.random(len(steps)) < WRONG_STEP
    wrong[:shared] = False
    labels = (np.cumsum(wrong) == 0).astype(int)
    for index in np.flatnonzero(wrong):
        steps[index][-1] = f"w{words.integers(TELLING)}"
    return Attempt(question, steps, [int(label) for label in labels])


def _draw(words: np.random.Generator, count: int) -> list[str]:
    return [f"w{word}" for word in words.integers(TELLING, VOCABULARY - len(SPECIAL) - 1, count)]


def stepwise_row(attempt: Attempt) -> Row:
    """TRL's stepwise columns."""
    return {
        "prompt": " ".join(attempt.question),
        "completions": [" ".join(step) for step in attempt.steps],
        "labels": attempt.labels,
    }


def pair_rows(attempts: Sequence[Attempt]) -> list[tuple[Row, int]]:
    """A problem's right solutions, each beside a wrong one that no other pair has; and the tokens of both together."""
    right = [attempt for attempt in attempts if attempt.labels[-1]]
    wrong = [attempt for attempt in attempts if not attempt.labels[-1]]
    rows = []
    for chosen, rejected in zip(right, wrong, strict=False):
        row = {"prompt": " ".join(chosen.question) + PAIR_PART, "chosen": _text(chosen), "rejected": _text(rejected)}
        # A separator after the question takes the place of the last step's, and then comes the end token.
        rows.append((row, chosen.tokens + rejected.tokens + 2))
    return rows


def _text(attempt: Attempt) -> str:
    return PAIR_PART.join(" ".join(step) for step in attempt.steps)


def distinct_tokens(attempts: Iterable[Attempt]) -> int:
    """Tokens of one problem's solutions when each shared prefix counts once: the least that a tree could compute."""
    rows = sorted([*one.question, *(word for step in one.steps for word in (*step, "\n"))] for one in attempts)
    last: list[str] = []
    total = 1
    for row in rows:
        pairs = zip(last, row, strict=False)
        shared = next((at for at, (old, new) in enumerate(pairs) if old != new), min(len(last), len(row)))
        total += len(row) - shared
        last = row
    return total


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_models(folder: Path, seed: int) -> None:
    """Saves one random Llama as a token classifier (`prm`) and as a scalar head (`preference`), with its tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification, LlamaForTokenClassification

    tokenizer = _tokenizer()
    for name, kind, classes in (
        ("prm", LlamaForTokenClassification, 2),
        ("preference", LlamaForSequenceClassification, 1),
    ):
        config = LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=256,
            intermediate_size=688,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=2048,
            id2label={index: f"LABEL_{index}" for index in range(classes)},
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        torch.manual_seed(seed)
        kind(config).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)


def _tokenizer() -> Any:
    """A word a token, split at spaces; a line break is a token too. Like Llama's, it starts a text with `<s>`."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Sequence as Both
    from tokenizers.pre_tokenizers import Split
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    names = [*SPECIAL, "\n"]
    names += [f"w{index}" for index in range(VOCABULARY - len(names))]
    tokenizer = Tokenizer(WordLevel({name: index for index, name in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Both([Split(Regex("\n"), "isolated"), Split(" ", "removed")])
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", SPECIAL.index("<s>"))])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
