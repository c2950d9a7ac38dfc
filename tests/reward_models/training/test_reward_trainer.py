"""Bradley-Terry training against InstructGPT's formula, on answers that plain transformers reads one by one."""

import math
from itertools import combinations
from pathlib import Path

import pytest
import torch
from trained import QUIET
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from stepward import RewardConfig, RewardTrainer

RANKED = {
    "Start at 1.": [" plus 2 gives 3", " plus 2 gives 4", " wrong"],
    "Start at 5.": [" plus 1 gives 6", " plus 1 gives 7"],
    "Start at 9.": [" gives 9", " gives 8", " plus 3", " plus plus wrong"],
}
"""Answers to each prompt, the best one first."""


def test_the_pairs_of_a_prompt_weigh_one_together(base: Path, tmp_path: Path) -> None:
    """InstructGPT, equation 1: the mean over prompts of the mean over a prompt's K (K - 1) / 2 pairs."""
    rows = [
        {"prompt": prompt, "chosen": better, "rejected": worse}
        for prompt, answers in RANKED.items()
        for better, worse in combinations(answers, 2)
    ]
    settings = {"per_device_train_batch_size": len(rows), "max_steps": 1, "pair_weight": "prompt", **QUIET}
    trainer = RewardTrainer(base, RewardConfig(str(tmp_path), **settings), train_dataset=rows)
    trainer.model.save_pretrained(tmp_path / "before")
    trainer.train()

    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "before").eval()
    tokenizer = AutoTokenizer.from_pretrained(base)

    def reward(prompt: str, answer: str) -> float:
        ids = tokenizer(prompt + answer + tokenizer.eos_token)["input_ids"]
        with torch.no_grad():
            return float(plain(torch.tensor([ids])).logits[0, 0])

    costs = []
    for prompt, answers in RANKED.items():
        rewards = [reward(prompt, answer) for answer in answers]
        leads = [better - worse for better, worse in combinations(rewards, 2)]
        costs.append(math.fsum(math.log1p(math.exp(-lead)) for lead in leads) / len(leads))
    by_prompt = math.fsum(costs) / len(costs)
    assert trainer.losses[0] == pytest.approx(by_prompt, rel=1e-5)

    sizes = [math.comb(len(answers), 2) for answers in RANKED.values()]
    by_pair = math.fsum(cost * size for cost, size in zip(costs, sizes, strict=True)) / sum(sizes)
    assert by_pair != pytest.approx(by_prompt, rel=1e-4), "another mean would not pass"
