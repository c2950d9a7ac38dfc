"""An engine whose weights change draws as one that was loaded with the new ones: nothing of the old ones is left."""

from pathlib import Path
from typing import Any

import pytest
import torch
from raising import refused
from tiny_llama import save_llama

from stepward.generation.interface import Prompt, Sampling
from stepward.generation.local.engine import LocalGenerator
from stepward.models import load_causal_lm

# Prefixes of one question: what is read of them is kept from call to call.
PROMPTS = [Prompt(f"p{index}", "abc 12", ("ab.", "cd.")[: index + 1], 6) for index in range(2)]
SAMPLING = Sampling(max_new_tokens=24)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    """The same model with other weights."""
    model = load_causal_lm(folder)
    with torch.no_grad():
        for number, weight in enumerate(model.parameters()):
            torch.manual_seed(number)
            weight += 0.1 * torch.randn_like(weight)
    found = save_llama(tmp_path_factory.mktemp("other"))
    model.save_pretrained(found)
    return found


@pytest.mark.parametrize("way", ["folder", "state dict", "in place"])
def test_draws_after_new_weights_are_those_of_a_freshly_loaded_copy(way: str, folder: Path, other: Path) -> None:
    engine = LocalGenerator(folder)
    before = engine.complete(PROMPTS, SAMPLING, seed=3)
    expected = LocalGenerator(other).complete(PROMPTS, SAMPLING, seed=3)
    assert before != expected
    weights = load_causal_lm(other).state_dict()
    if way == "in place":
        engine.model.load_state_dict(weights)
        stale = engine.complete(PROMPTS, SAMPLING, seed=3)
        assert stale != expected, "what was read is kept until it is told"
        engine.reset()
    else:
        engine.load_weights(other if way == "folder" else weights)
    assert engine.complete(PROMPTS, SAMPLING, seed=3) == expected
    engine.load_weights(folder)
    assert engine.complete(PROMPTS, SAMPLING, seed=3) == before


def test_a_tied_weight_may_stand_once(tmp_path: Path) -> None:
    tied = save_llama(tmp_path, tie_word_embeddings=True)
    engine, fresh = LocalGenerator(tied), load_causal_lm(tied)
    weights = {name: tensor + 0.1 for name, tensor in fresh.state_dict().items() if name != "lm_head.weight"}
    engine.load_weights(weights)
    head, table = engine.model.lm_head.weight, engine.model.get_input_embeddings().weight
    assert head is table and torch.equal(table, weights["model.embed_tokens.weight"])


@pytest.mark.parametrize("fault", ["lacking", "strange", "shape"])
def test_weights_of_another_model_are_refused_and_change_nothing(fault: str, folder: Path, tmp_path: Path) -> None:
    engine = LocalGenerator(folder)
    before = {name: tensor.clone() for name, tensor in engine.model.state_dict().items()}
    weights: dict[str, Any] = {name: torch.zeros_like(tensor) for name, tensor in before.items()}
    name = "model.norm.weight"
    if fault == "lacking":
        del weights[name]
    elif fault == "strange":
        name = "score.weight"
        weights[name] = torch.zeros(1)
    else:
        weights[name] = torch.zeros(3)
    with refused("mismatch", field=name):
        engine.load_weights(weights)
    with refused("mismatch", field="rms_norm_eps", names=(0.5,)):
        engine.load_weights(save_llama(tmp_path, rms_norm_eps=0.5))
    assert all(torch.equal(tensor, before[name]) for name, tensor in engine.model.state_dict().items())
