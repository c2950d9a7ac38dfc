"""vLLM's pooling gives the scores that plain transformers gives, for each kind of reward model's folder.

vLLM lives in an environment of its own: STEPWARD_VLLM_PYTHON is that environment's python (see docs/vllm.md). One
process of it scores every folder; here transformers does, and the two are compared.
"""

import importlib.util
import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_llama import CHARACTERS, SPECIAL, make_tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaForTokenClassification,
    PreTrainedModel,
)

pytestmark = pytest.mark.vllm

SCRIPT = Path(__file__).with_name("vllm_scores.py")
VOCABULARY = [*SPECIAL, *CHARACTERS]
STEP = VOCABULARY.index("\n")


@dataclass(frozen=True)
class Case:
    """A kind of folder, how vLLM is told to read it, and how transformers reads it.

    Attributes:
        written: The class that writes the folder.
        read: The class that reads it again.
        settings: Fields of its config.json beside the shape.
        pooler: Arguments of vLLM's `PoolerConfig`.
        engine: Arguments of vLLM's `LLM`.
    """

    written: Any
    read: Any
    settings: dict[str, Any]
    pooler: dict[str, Any]
    engine: dict[str, Any] = field(default_factory=dict)

    @property
    def tokens(self) -> list[str]:
        """The label tokens, if there are any."""
        tokens: list[str] = self.settings.get("classifier_from_token", [])
        return tokens


def label_tokens(tokens: list[str], **settings: Any) -> Case:
    """A causal language model that is read at its step tokens, as the chances of some of its tokens."""
    return Case(
        LlamaForCausalLM,
        AutoModelForCausalLM,
        {"classifier_from_token": tokens, "method": "no_post_processing", **settings},
        {"task": "token_classify", "tok_pooling_type": "STEP", "step_tag_id": STEP},
        {"convert": "classify"},
    )


def linear(labels: int, **pooler: Any) -> Case:
    """A token classifier; without a step token it is read at every token."""
    settings = {"num_labels": labels}
    pooler = {"task": "token_classify", **pooler}
    return Case(LlamaForTokenClassification, AutoModelForTokenClassification, settings, pooler)


CASES = {
    "label-tokens": label_tokens(["a", "b"]),
    "label-tokens-three-tied": label_tokens(["b", "c", "a"], tie_word_embeddings=True),
    "linear-one": linear(1),
    "linear-two-at-steps": linear(2, tok_pooling_type="STEP", step_tag_id=STEP),
    "scalar": Case(
        LlamaForSequenceClassification,
        AutoModelForSequenceClassification,
        # Without the problem type vLLM gives the reward's sigmoid.
        {"num_labels": 1, "problem_type": "regression"},
        {"task": "classify"},
    ),
}


def save(case: Case, folder: Path) -> Path:
    """Writes a random model whose scores are far from equal; vLLM's CPU build needs attention heads of 32."""
    torch.manual_seed(0)
    shape = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "max_position_embeddings": 128,
        "initializer_range": 0.25,
        "tie_word_embeddings": False,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    model = case.written(LlamaConfig(**(shape | case.settings)))
    if (bias := getattr(getattr(model, "score", None), "bias", None)) is not None:
        torch.nn.init.normal_(bias)  # drawn as zeros, by which nobody could see whether vLLM reads it
    model.save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def make_prompts() -> list[list[int]]:
    """Token ids of several lengths, more in all than vLLM takes in one batch, each with three step tokens."""
    draw = random.Random(0)
    others = [index for index in range(len(SPECIAL), len(VOCABULARY)) if index != STEP]
    prompts = []
    for length in (5, 17, 120, 40, 90):
        ids = [1, *draw.choices(others, k=length - 1)]
        for place in (length // 3, length // 2, length - 1):
            ids[place] = STEP
        prompts.append(ids)
    return prompts


PROMPTS = make_prompts()


@torch.inference_mode()
def reference(case: Case, model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    """The scores by transformers alone: `[row, class]`, or `[class]` for the scalar."""
    logits: torch.Tensor = model(torch.tensor([ids])).logits[0]
    if case.settings.get("problem_type") == "regression":
        return logits
    if case.tokens:
        logits = logits[:, [VOCABULARY.index(token) for token in case.tokens]]
    if "step_tag_id" in case.pooler:
        logits = logits[[place for place, id_ in enumerate(ids) if id_ == STEP]]
    return torch.sigmoid(logits) if logits.shape[-1] == 1 else torch.softmax(logits, dim=-1)


def run_vllm(jobs: dict[str, dict[str, Any]], python: str, folder: Path) -> dict[str, list[Any]]:
    """Runs `vllm_scores.py` in vLLM's environment: each job's scores, a prompt at a time."""
    asked, given = folder / "jobs.json", folder / "scores.json"
    asked.write_text(json.dumps(jobs), encoding="utf-8")
    done = subprocess.run([python, str(SCRIPT), str(asked), str(given)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{SCRIPT.name} failed in {python}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    scores: dict[str, list[Any]] = json.loads(given.read_text(encoding="utf-8"))
    return scores


@pytest.fixture(scope="module")
def vllm_python() -> str:
    """The interpreter that has vLLM. One that is named and doesn't work is a failure, not a reason to skip."""
    named = os.environ.get("STEPWARD_VLLM_PYTHON")
    if not named and importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM can't be imported here; set STEPWARD_VLLM_PYTHON to the python that can")
    return named or sys.executable


@pytest.fixture(scope="module")
def folders(vllm_python: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each case's folder."""
    place = tmp_path_factory.mktemp("folders")
    return {name: save(case, place / name) for name, case in CASES.items()}


@pytest.fixture(scope="module")
def scores(
    vllm_python: str, folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Any]]:
    """What vLLM gives for each case."""
    jobs = {
        name: {"folder": str(folders[name]), "engine": case.engine, "pooler": case.pooler, "prompts": PROMPTS}
        for name, case in CASES.items()
    }
    return run_vllm(jobs, vllm_python, tmp_path_factory.mktemp("vllm"))


@pytest.mark.parametrize("name", CASES)
def test_vllm_gives_the_scores_of_transformers(
    name: str, folders: dict[str, Path], scores: dict[str, list[Any]]
) -> None:
    case = CASES[name]
    model = case.read.from_pretrained(folders[name], dtype=torch.float32).eval()
    assert len(scores[name]) == len(PROMPTS)
    for ids, given in zip(PROMPTS, scores[name], strict=True):
        torch.testing.assert_close(torch.tensor(given), reference(case, model, ids), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_the_scores_tell_the_models_and_the_prompts_apart(name: str, scores: dict[str, list[Any]]) -> None:
    # Equal scores everywhere would agree with any reading of the folder.
    lasts = [given[-1] if isinstance(given[-1], list) else given for given in scores[name]]
    spread = torch.tensor(lasts).std(dim=0)
    assert bool((spread > 0.01).all()), spread
