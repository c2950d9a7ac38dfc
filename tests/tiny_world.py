"""For tests of reward models: a tiny base model with its own tokenizer, and a small world of sums to train on."""

from pathlib import Path
from random import Random

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from stepward.records import Problem, Solution, StepLabels, solution_id

World = tuple[list[Problem], list[Solution], list[StepLabels]]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer, as the embedded generator's."""
    tokenizer = Tokenizer(models.BPE())
    pieces = pre_tokenizers.Split(Regex(r"\n| ?[A-Za-z]+| ?[0-9]+| ?[^A-Za-z0-9\s]+|\s+"), "isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pieces, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<pad>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([" Start at the answer is plus gives wrong"] * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>")


def save_base(folder: Path, **changes: object) -> Path:
    """Saves a random Llama of two layers with its tokenizer."""
    tokenizer = make_tokenizer()
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
    }
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**(shape | changes))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_world(count: int = 6, kind: str = "soft", seed: int = 0) -> World:
    """Problems with solutions that share prefixes; a step that says "wrong" makes all from it on wrong."""
    random = Random(seed)
    problems, solutions, labels = [], [], []
    for number in range(count):
        start = random.randrange(10)
        problem = Problem(f"p{number}", f"Start at {start} plus 3", str(start + 3))
        problems.append(problem)
        texts = {tuple(_steps(random, start)) for _ in range(5)}
        for steps in sorted(texts):
            fine = [all("wrong" not in step for step in steps[: end + 1]) for end in range(len(steps))]
            targets = [float(fine[-1] if kind == "orm" else good) for good in fine]
            if kind == "soft":
                targets = [value * 0.75 + 0.125 for value in targets]
            solution = Solution(solution_id(problem.id, steps), problem.id, steps, steps[-1][-1], fine[-1])
            solutions.append(solution)
            labels.append(StepLabels(solution.id, problem.id, kind, tuple(targets)))
    return problems, solutions, labels


def _steps(random: Random, start: int) -> list[str]:
    words = random.choices(("gives", "wrong"), (3, 1), k=random.randint(1, 3))
    return [f"{start} plus {index} {word} {start + index}" for index, word in enumerate(words, 1)] + [
        f"the answer is {start + len(words)}"
    ]
