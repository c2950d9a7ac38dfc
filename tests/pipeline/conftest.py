"""Real runs through the command line, small enough to repeat, and a tiny generator that writes steps of noise."""

import json
import time
from pathlib import Path

import pytest
import torch
from small_runs import Stepward, built_once, run_inside, run_stepward
from tiny_world import make_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM


@pytest.fixture(scope="session")
def stepward() -> Stepward:
    """Runs `stepward` with the given words, and gives its exit code and what it printed."""
    return run_inside


@pytest.fixture(scope="session")
def tiny_generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of one layer that likes line ends, three digits, answers and stopping: some of them are right."""
    return built_once(tmp_path_factory, "generator", _save_generator)


def _save_generator(folder: Path) -> None:
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["The answer is "])
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=1,
        num_key_value_heads=1, max_position_embeddings=1024, tie_word_embeddings=False, pad_token_id=0, bos_token_id=1,
        eos_token_id=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    liked = tokenizer.convert_tokens_to_ids(["Ċ", "The answer is ", "</s>", *"123"])
    with torch.no_grad():
        # Every state has this in common, and the liked tokens' logits rise with it.
        model.model.embed_tokens.weight += 1
        model.lm_head.weight[liked] += 0.2
        model.lm_head.weight[liked[:2]] += 0.02
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture(scope="session")
def small(tiny_generator: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The words of a run of seconds: two kinds, two seeds, every sampling stage of several units."""
    rows = [
        {"question": f"Which digit stands at place {place}?", "reference": str(place % 3 + 1)} for place in range(12)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    folder = built_once(tmp_path_factory, "problems", lambda folder: (folder / "digits.jsonl").write_text(text))
    problems = folder / "digits.jsonl"
    # Of this seed's few draws some are right and most are wrong in every split, so that there is something to learn.
    sizes = {
        "seed": 4,
        "generator.model": tiny_generator, "generator.max_new_tokens": 16,
        "problems.path": problems, "problems.reward": 4, "problems.validation": 3, "problems.test": 4,
        "solutions.reward": 4, "solutions.validation": 4, "solutions.test": 4, "solutions.unit": 2,
        "rollouts.completions": 3, "rollouts.unit": 2, "labels.kinds": "orm,soft",
        "rewards.seeds": "0,1", "rewards.epochs": 1, "rewards.batch": 8,
        "evaluation.ns": "1,2,4", "evaluation.subsets": 5,
    }  # fmt: skip
    return ("run", "tiny-cpu", *(f"{field}={value}" for field, value in sizes.items()))


@pytest.fixture(scope="session")
def whole(small: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A small run by one worker that nothing disturbed, and the seconds it took; not to be changed."""

    def build(runs: Path) -> None:
        start = time.monotonic()
        ended = run_stepward(*small, "name=whole", "--runs", runs, "--workers", 1)
        assert ended.returncode == 0, ended.stderr
        (runs / "seconds").write_text(str(time.monotonic() - start))

    runs = built_once(tmp_path_factory, "whole", build)
    return runs / "whole", float((runs / "seconds").read_text())
