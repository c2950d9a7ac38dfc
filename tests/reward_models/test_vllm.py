"""Folders that the trainers wrote give the same scores three ways: by Stepward, plain transformers, and vLLM's pooling.

vLLM lives in an environment of its own: STEPWARD_VLLM_PYTHON is that environment's python (see docs/vllm.md). One
process of it scores every folder. The other two are compared without it as well.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_world import save_base
from trained import QUIET, rows_of
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoModelForTokenClassification

from stepward import (
    ORMConfig,
    ORMTrainer,
    PRMConfig,
    PRMTrainer,
    RewardConfig,
    RewardTrainer,
    Scorer,
    load_scorer,
)

SCRIPT = Path(__file__).with_name("vllm_scores.py")
POSITIONS = 128  # what vllm_scores.py reads
STEP = "<step>"
MARKED: dict[str, Any] = {"step_token": STEP, "add_step_token": True}
TRAIN: dict[str, Any] = {"num_train_epochs": 2, "learning_rate": 1e-3, "per_device_train_batch_size": 8, **QUIET}

CASES: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
    "prm by label tokens": (
        PRMTrainer, PRMConfig, AutoModelForCausalLM,
        {**MARKED, "head": "label_tokens", "label_tokens": (" plus", " wrong")},
    ),
    "prm by three label tokens": (
        PRMTrainer, PRMConfig, AutoModelForCausalLM,
        {**MARKED, "head": "label_tokens", "label_tokens": (" plus", " wrong", " gives")},
    ),
    "prm of one class": (PRMTrainer, PRMConfig, AutoModelForTokenClassification, {**MARKED, "num_labels": 1}),
    "prm of two classes": (PRMTrainer, PRMConfig, AutoModelForTokenClassification, MARKED),
    "orm": (ORMTrainer, ORMConfig, AutoModelForTokenClassification, MARKED),
    "bt": (RewardTrainer, RewardConfig, AutoModelForSequenceClassification, {}),
}  # fmt: skip

ASKED = [
    ("Start at 1 plus 3", ["1 plus 1 gives 2", "1 plus 2 wrong 3", "the answer is 3"]),
    ("Start at 7 plus 3", ["7 plus 1 wrong 8", "the answer is 8"]),
    ("Start at <step>", ["the answer is 4"]),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each case's folder, trained from a model of wide weights, whose scores lie apart."""
    place = tmp_path_factory.mktemp("folders")
    base = save_base(place / "base", initializer_range=0.3)
    for name, (trainer, config, _, settings) in CASES.items():
        kind = name.partition(" ")[0]
        made = trainer(base, config(str(place / "out"), **TRAIN, **settings), train_dataset=rows_of(kind))  # type: ignore[arg-type]
        made.train()
        made.save_model(str(place / name))
    return {name: place / name for name in CASES}


def ids_of(scorer: Scorer) -> list[list[int]]:
    """The token ids by which each question is asked."""
    return [list(scorer._render(question, steps).ids) for question, steps in ASKED]


def by_stepward(scorer: Scorer) -> list[torch.Tensor]:
    """A score a step; of a Bradley-Terry model the reward itself."""
    if scorer.description.kind == "bt":
        return [torch.tensor([scorer.reward(question, "\n".join(steps))]) for question, steps in ASKED]
    return [torch.tensor(scorer.score(question, steps).steps) for question, steps in ASKED]


def score_of(shares: torch.Tensor) -> torch.Tensor:
    """The score of shares `[step, class]` as plain transformers or vLLM give them: neutral counts as right."""
    return shares[:, 0] if shares.shape[-1] == 1 else 1 - shares[:, 0]


@torch.inference_mode()
def by_transformers(
    name: str, folder: Path, prompts: list[list[int]], step: int, tokens: list[int]
) -> list[torch.Tensor]:
    """The same by transformers alone."""
    model = CASES[name][2].from_pretrained(folder).eval()
    found = []
    for ids in prompts:
        logits = model(torch.tensor([ids])).logits[0]
        if name == "bt":
            found.append(logits)
            continue
        logits = logits[[place for place, id_ in enumerate(ids) if id_ == step]]
        logits = logits[:, tokens] if tokens else logits
        found.append(score_of(torch.sigmoid(logits) if logits.shape[-1] == 1 else torch.softmax(logits, dim=-1)))
    return found


def step_of(folder: Path) -> int:
    return int(json.loads((folder / "tokenizer.json").read_text())["added_tokens"][-1]["id"])


def tokens_of(folder: Path) -> list[int]:
    """Ids of the label tokens, in the order of their classes, from the folder's own configuration."""
    names = json.loads((folder / "config.json").read_text()).get("classifier_from_token", [])
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    return [vocabulary[name] for name in names]


@pytest.mark.parametrize("name", CASES)
def test_plain_transformers_gives_our_scores(name: str, folders: dict[str, Path]) -> None:
    folder = folders[name]
    scorer = load_scorer(folder)
    plain = by_transformers(name, folder, ids_of(scorer), step_of(folder), tokens_of(folder))
    spread = torch.cat(plain)
    assert float(spread.max() - spread.min()) > 0.01, "scores that are all the same would agree with any reading"
    for ours, theirs in zip(by_stepward(scorer), plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def vllm_python() -> str:
    """The interpreter that has vLLM. One that is named and doesn't work is a failure, not a reason to skip."""
    named = os.environ.get("STEPWARD_VLLM_PYTHON")
    if not named and importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM can't be imported here; set STEPWARD_VLLM_PYTHON to the python that can")
    return named or sys.executable


def pooling_of(name: str, folder: Path) -> dict[str, Any]:
    """How vLLM is told to read a folder."""
    if name == "bt":
        return {"engine": {}, "pooler": {"task": "classify"}}
    pooler = {"task": "token_classify", "tok_pooling_type": "STEP", "step_tag_id": step_of(folder)}
    return {"engine": {"convert": "classify"} if "label tokens" in name else {}, "pooler": pooler}


@pytest.fixture(scope="module")
def pooled(
    vllm_python: str, folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Any]]:
    """What vLLM gives for each folder, a prompt at a time."""
    place = tmp_path_factory.mktemp("vllm")
    asked, given = place / "jobs.json", place / "scores.json"
    jobs = {
        name: {"folder": str(folder), **pooling_of(name, folder), "prompts": ids_of(load_scorer(folder))}
        for name, folder in folders.items()
    }
    asked.write_text(json.dumps(jobs), encoding="utf-8")
    command = [vllm_python, str(SCRIPT), str(asked), str(given)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{SCRIPT.name} failed in {vllm_python}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    found: dict[str, list[Any]] = json.loads(given.read_text(encoding="utf-8"))
    return found


@pytest.mark.vllm
@pytest.mark.parametrize("name", CASES)
def test_vllm_gives_our_scores(name: str, folders: dict[str, Path], pooled: dict[str, list[Any]]) -> None:
    read: Callable[[torch.Tensor], torch.Tensor] = (lambda shares: shares) if name == "bt" else score_of
    for ours, theirs in zip(by_stepward(load_scorer(folders[name])), pooled[name], strict=True):
        torch.testing.assert_close(ours, read(torch.tensor(theirs)), rtol=0, atol=1e-4)
