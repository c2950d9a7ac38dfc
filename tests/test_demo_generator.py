"""The command that made the embedded generator, run on a tiny setting: its tokens, its folder, its repeatability."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from raising import refused
from train_demo_generator import BASES, ROUNDS, Round, Settings, main, make, train_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from stepward.generation.interface import Prompt, Sampling
from stepward.generation.local.engine import LocalGenerator
from stepward.problems.arithmetic.dataset import LEVELS, stories
from stepward.problems.arithmetic.story import careless_solution
from stepward.problems.arithmetic.templates import DAYS, NAMES, THINGS
from stepward.storage.run_dir import embedded_generator

TINY = Settings(rounds=(Round(5, 120, 0.05), Round(5, 60, 0.03)), batch=4, hidden=32, layers=1, inner=32)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Weights are promised to be equal on one thread."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, float]]]:
    """The folder of a tiny generator, and what was reported while it was trained."""
    folder, reported = tmp_path_factory.mktemp("made"), list[tuple[int, float]]()
    make(folder, TINY, lambda step, loss: reported.append((step, loss)))
    return folder, reported


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Trained on some stories, and on every number twice."""
    drawn = islice(stories("generator"), 300)
    texts = [f"{story.text}\n" + "\n".join(careless_solution(story, Random(0))) for story in drawn]
    return train_tokenizer(texts + ["has " + " ".join(map(str, range(100)))] * 2)


@pytest.mark.parametrize("shipped", [False, True])
def test_numbers_and_the_worlds_words_are_single_tokens(tokenizer: PreTrainedTokenizerFast, shipped: bool) -> None:
    met = AutoTokenizer.from_pretrained(embedded_generator()) if shipped else tokenizer
    for word in (*map(str, range(100)), *NAMES, *THINGS, *DAYS[:6]):
        assert len(met.encode(f" {word}", add_special_tokens=False)) == 1, word
    assert len(met.encode("\n", add_special_tokens=False)) == 1


@given(st.text(st.characters(codec="utf-8", exclude_characters="<")))
def test_any_text_comes_back_from_its_tokens(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_a_plain_transformers_load_gives_the_model_and_its_tokenizer(
    made: tuple[Path, list[tuple[int, float]]],
) -> None:
    folder, reported = made
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.config.vocab_size == len(tokenizer) and model.config.head_dim % 32 == 0
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert model.generation_config.eos_token_id == 2
    assert [step for step, _ in reported] == list(range(1, 11)), "two rounds of five steps"
    assert reported[-1][1] < reported[0][1]
    drawn = LocalGenerator(folder).complete([Prompt("p", "On Monday", (), 2)], Sampling(max_new_tokens=4), seed=0)
    assert len(drawn[0]) == 2


def test_the_same_settings_give_the_same_weights_and_another_seed_others(
    made: tuple[Path, list[tuple[int, float]]], tmp_path: Path
) -> None:
    make(tmp_path / "again", TINY)
    make(tmp_path / "other", replace(TINY, seed=1))
    weights = [
        (folder / "model.safetensors").read_bytes() for folder in (made[0], tmp_path / "again", tmp_path / "other")
    ]
    assert weights[0] == weights[1] != weights[2]
    assert (made[0] / "tokenizer.json").read_bytes() == (tmp_path / "again" / "tokenizer.json").read_bytes()


def test_a_generator_goes_on_from_another_with_its_size_and_tokenizer(
    made: tuple[Path, list[tuple[int, float]]], tmp_path: Path
) -> None:
    folder, before = made[0], AutoModelForCausalLM.from_pretrained(made[0]).state_dict()
    still = Round(1, 20, 1e-9)
    make(tmp_path / "on", replace(TINY, rounds=(still,), start=folder, hidden=64, care=1.0))
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "on").state_dict()
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    make(tmp_path / "like", replace(TINY, rounds=(still,), tokenizer=folder, hidden=64))
    like = AutoModelForCausalLM.from_pretrained(tmp_path / "like")
    assert like.config.hidden_size == 64 and like.config.vocab_size == len(AutoTokenizer.from_pretrained(folder))
    for name in ("on", "like"):
        assert (tmp_path / name / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_the_studies_sizes_differ_in_size_alone() -> None:
    sizes = [settings for name, settings in BASES.items() if name != "careful"]
    assert len({replace(one, hidden=0, layers=0, inner=0) for one in sizes}) == 1
    assert all(one.hidden % one.head == 0 and one.head % 32 == 0 for one in sizes)


def test_every_rounds_curriculum_ends_with_all_of_its_levels() -> None:
    for part in ROUNDS:
        shares, levels = zip(*part.curriculum, strict=True)
        assert list(shares) == sorted(shares) and shares[-1] == 1.0
        assert list(levels) == sorted(levels) and levels[-1] == max(part.levels) == max(LEVELS)
        assert min(part.levels) <= levels[0], "the first steps have stories to draw from"


def test_it_takes_no_models_place(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with refused("file_exists", names=(tmp_path, "config.json")):
        main([str(tmp_path)])
